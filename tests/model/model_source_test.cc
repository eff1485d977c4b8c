// A model folder as a whole: end-of-sequence ids of both files, and the notes for the user.
#include "model/checkpoint/model_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace trireme {
namespace model_source_test {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class ModelSourceTest : public testing::Test {
 protected:
  ModelSourceTest()
      : golden_(TRIREME_TEST_DATA "/golden/models/llama-gqa"),
        folder_(fs::path(testing::TempDir()) /
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    fs::create_symlink(golden_ / "model.safetensors", folder_ / "model.safetensors");
  }
  ~ModelSourceTest() override { fs::remove_all(folder_); }

  // The golden with another "eos_token_id" (null: absent), and a generation_config.json.
  ModelSource open(const json& eos, const std::string& generation_config) {
    std::ifstream file(golden_ / "config.json");
    json config = json::parse(file);
    config.erase("eos_token_id");
    if (!eos.is_null()) config["eos_token_id"] = eos;
    std::ofstream(folder_ / "config.json") << config.dump();
    std::ofstream(folder_ / "generation_config.json") << generation_config;
    auto source = open_model(folder_.string());
    EXPECT_TRUE(source.ok()) << message_of(source.status());
    return std::move(source).value();
  }

  const fs::path golden_;
  const fs::path folder_;
};

TEST_F(ModelSourceTest, EndIdsAreThoseOfBothFiles) {
  const ModelSource source = open({9, 7}, R"({"eos_token_id": [7, 3]})");
  EXPECT_THAT(source.eos_ids, ElementsAre(3, 7, 9));
  EXPECT_THAT(source.notes, IsEmpty());
}

TEST_F(ModelSourceTest, TheFamilysEndIdHoldsWhereNeitherFileStatesOne) {
  EXPECT_THAT(open({}, "{}").eos_ids, ElementsAre(2));
  EXPECT_THAT(open({}, R"({"eos_token_id": 7})").eos_ids, ElementsAre(7));
}

TEST_F(ModelSourceTest, EndIdsBeyondTheVocabularyAreDroppedWithANote) {
  const ModelSource source = open({7}, R"({"eos_token_id": [320, 319, 151645]})");
  EXPECT_THAT(source.eos_ids, ElementsAre(7, 319));
  EXPECT_THAT(source.notes, ElementsAre(AllOf(HasSubstr("TRI-CONF-007"), HasSubstr("holds 320"))));
}

TEST_F(ModelSourceTest, TooManyEndIdsAreCutWithANote) {
  json ids = json::array();
  for (int id = 0; id < 300; ++id) ids.push_back(id);
  const ModelSource source = open(ids, "{}");
  EXPECT_THAT(source.eos_ids, SizeIs(128));
  EXPECT_THAT(source.notes, ElementsAre(HasSubstr("300")));
}

TEST_F(ModelSourceTest, ADefaultThatCannotBeUsedIsANoteAndTheModelOpens) {
  const ModelSource source = open({7}, R"({"top_p": 0, "temperature": 0.5})");
  EXPECT_EQ(source.sampling_defaults.top_p, 1);
  EXPECT_EQ(source.sampling_defaults.temperature, 0.5f);
  EXPECT_THAT(source.notes, ElementsAre(HasSubstr("\"top_p\" is 0")));
}

}  // namespace model_source_test
}  // namespace trireme
