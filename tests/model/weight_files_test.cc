// Which files of a folder are its weights: one file, shards with an index, both, or neither.
#include "model/checkpoint/weight_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "model/checkpoint/model_source.h"
#include "model/checkpoint/tensor_check.h"
#include "tests/model/checkpoint_editor.h"

namespace trireme {
namespace weight_files_test {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::string kSharded = TRIREME_TEST_DATA "/golden/models/llama-rope-llama3-sharded";
constexpr size_t npos = std::string::npos;
const std::string kNorm = "model.norm.weight";
const std::string kFirst = "model-00001-of-00003.safetensors";
const std::string kLast = "model-00003-of-00003.safetensors";  // holds kNorm

// A copy of the model in three shards.
class Shards : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::copy(kSharded, folder_);
    index_ = json::parse(std::ifstream(index_path()));
  }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string index_path() const { return path("model.safetensors.index.json"); }
  void write_index() const { std::ofstream(index_path()) << index_.dump(); }
  void edit_shard(const std::string& name, const std::function<void(EditedTensors&)>& edit) const {
    EditedTensors tensors = read_tensors(path(name));
    edit(tensors);
    write_tensors(path(name), tensors);
  }
  // One file with all tensors.
  void write_single() const { write_tensors(path("model.safetensors"), all_tensors()); }
  EditedTensors all_tensors() const { return EditedCheckpoint(kSharded).tensors; }

  StatusOr<ModelSource> open() const { return open_model(folder_); }
  void expect_refusal(const std::string& id, const std::string& words) const {
    const Status status = open().status();
    EXPECT_EQ(error_id(status), id) << message_of(status);
    EXPECT_THAT(message_of(status), HasSubstr(words));
  }
  // The whole model is there; returns the first byte of the final norm.
  char complete_model(const std::vector<std::string>& notes) const {
    const auto source = open();
    EXPECT_TRUE(source.ok()) << message_of(source.status());
    if (!source.ok()) return 0;
    EXPECT_EQ(source->notes.size(), notes.size()) << join(source->notes);
    for (size_t i = 0; i < std::min(notes.size(), source->notes.size()); ++i) {
      EXPECT_THAT(source->notes[i], HasSubstr(notes[i]));
    }
    const auto unused = check_tensors(TensorTable(source->config), *source->checkpoint);
    EXPECT_TRUE(unused.ok()) << message_of(unused.status());
    const StoredTensor* norm = source->checkpoint->find(kNorm);
    std::vector<std::byte> bytes(norm->bytes);
    EXPECT_TRUE(source->checkpoint->read(*norm, {0, norm->shape[0]}, {0, 1}, bytes).ok());
    return static_cast<char>(bytes[0]);
  }

  const std::string folder_ = testing::TempDir() + "/weight_files_test";
  json index_;
};

TEST_F(Shards, TheSingleFileWinsOverAnIndexAndALineSaysSo) {
  EditedTensors tensors = all_tensors();
  tensors.at(kNorm).bytes[0] = 'x';
  write_tensors(path("model.safetensors"), tensors);
  EXPECT_EQ(complete_model({"the single file is loaded"}), 'x');
  for (const char* shard : {"1", "2", "3"}) {
    fs::remove(path(format_text("model-0000{}-of-00003.safetensors", shard)));
  }
  EXPECT_EQ(complete_model({"the single file is loaded"}), 'x');
  std::ofstream(index_path()) << "no JSON";
  EXPECT_EQ(complete_model({"the single file is loaded"}), 'x');
}

TEST_F(Shards, AnIncompleteSingleFileIsNamedAsTheCause) {
  EditedTensors tensors = all_tensors();
  std::erase_if(tensors, [](const auto& tensor) { return tensor.first.find("layers") != npos; });
  write_tensors(path("model.safetensors"), tensors);
  const std::string words =
      "model.safetensors is read although model.safetensors.index.json is there, too";
  const auto status = [&] {
    const auto source = open();
    return check_tensors(TensorTable(source->config), *source->checkpoint).status();
  };
  EXPECT_EQ(error_id(status()), "TRI-LOAD-007");
  EXPECT_THAT(message_of(status()), HasSubstr(words));
  fs::remove(index_path());
  EXPECT_THAT(message_of(status()), Not(HasSubstr(words)));
}

TEST_F(Shards, AnIndexOfTheSingleFileNeedsNoLine) {
  write_single();
  for (auto& [tensor, shard] : index_["weight_map"].items()) shard = "model.safetensors";
  write_index();
  complete_model({});
  fs::remove(index_path());
  complete_model({});
}

TEST_F(Shards, ABrokenLinkInPlaceOfTheSingleFileLeavesTheShards) {
  fs::create_symlink("../../blobs/0123", path("model.safetensors"));
  complete_model({"is a link to a file that is not there"});
  fs::remove(index_path());
  expect_refusal("TRI-LOAD-001", "is a link to ../../blobs/0123, which is not there");
}

TEST_F(Shards, ALinkToAFileIsTheFile) {
  write_single();
  fs::rename(path("model.safetensors"), path("blob"));
  fs::create_symlink("blob", path("model.safetensors"));
  fs::remove(index_path());
  complete_model({});
}

TEST_F(Shards, ABrokenLinkOfTheIndexIsNamed) {
  fs::remove(index_path());
  fs::create_symlink("nowhere", index_path());
  expect_refusal("TRI-LOAD-001", "model.safetensors.index.json is a link to nowhere");
}

TEST_F(Shards, AMissingShardIsNamedAndABrokenLinkToo) {
  fs::remove(path(kLast));
  expect_refusal("TRI-LOAD-002", kLast + " is not there, model.safetensors.index.json names it");
  fs::create_symlink("nowhere", path(kLast));
  expect_refusal("TRI-LOAD-001", kLast + " is a link to nowhere");
}

TEST_F(Shards, WithoutAnIndexTheFilesThatAreThereAreNamed) {
  fs::remove(index_path());
  expect_refusal("TRI-LOAD-001", "fetch the index as well");
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) {
    if (entry.path().extension() == ".safetensors") fs::remove(entry.path());
  }
  std::ofstream(path("pytorch_model.bin")) << "x";
  expect_refusal("TRI-LOAD-001", ", but pytorch_model.bin; weights in other formats");
}

// A folder of another kind, with or without config.json, and the words about it.
TEST_F(Shards, AFolderOfAnotherKindIsNamed) {
  const struct {
    std::vector<std::string> files;
    const char* words;
  } kinds[] = {
      {{"adapter_config.json", "adapter_model.safetensors"},
       "holds an adapter (adapter_model.safetensors) without its model; merge it into its base "
       "model first"},
      {{"adapter_config.json", "adapter_model.bin"}, "holds an adapter (adapter_model.bin)"},
      {{"params.json", "consolidated.safetensors", "tekken.json"},
       "holds weights in the format of their publisher's programs (consolidated.safetensors); "
       "use the model in the transformers format"},
      {{"params.json", "consolidated.00.pth", "consolidated.01.pth"},
       "(consolidated.00.pth, consolidated.01.pth)"},
      {{"consolidated.safetensors", "model-00001-of-00002.safetensors"}, "fetch the index as well"},
      {{"model-Q4_K_M.gguf"}, ", but model-Q4_K_M.gguf;"},
      {{"pytorch_model.bin", "adapter_model.bin"}, ", but adapter_model.bin, pytorch_model.bin;"},
      {{"weights.pt"}, ", but weights.pt;"},
  };
  for (const auto& [files, words] : kinds) {
    fs::remove_all(folder_);
    fs::create_directory(folder_);
    for (const std::string& file : files) std::ofstream(path(file)) << "x";
    expect_refusal("TRI-LOAD-001", words);
    fs::copy(kSharded + "/config.json", path("config.json"));
    expect_refusal("TRI-LOAD-001", words);
  }
}

TEST_F(Shards, AnLfsPointerIsNamedWhereverItStands) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
  std::ofstream(path(kLast)) << pointer;
  expect_refusal("TRI-LOAD-003", kLast + " is a git-lfs pointer");
  std::ofstream(index_path()) << pointer;
  expect_refusal("TRI-LOAD-006", "git lfs pull");
  std::ofstream(path("model.safetensors")) << pointer;
  expect_refusal("TRI-LOAD-003", "model.safetensors is a git-lfs pointer");
}

TEST_F(Shards, AByteOrderMarkOfTheIndexIsNamed) {
  std::ofstream(index_path()) << "\xef\xbb\xbf" << index_.dump();
  expect_refusal("TRI-LOAD-006", "byte order mark");
}

TEST_F(Shards, TheIndexDecidesWhichOfTwoShardsCounts) {
  edit_shard(kFirst, [&](EditedTensors& tensors) {
    tensors[kNorm] = read_tensors(path(kLast)).at(kNorm);
    tensors.at(kNorm).bytes[0] = 'x';
  });
  edit_shard(kLast, [](EditedTensors& tensors) { tensors.at(kNorm).bytes[0] = 'y'; });
  EXPECT_EQ(complete_model({}), 'y');
  const std::string fingerprint = open()->checkpoint->fingerprint();
  index_["weight_map"][kNorm] = kFirst;
  write_index();
  EXPECT_EQ(complete_model({}), 'x');
  EXPECT_NE(open()->checkpoint->fingerprint(), fingerprint);  // ranks must not mix the two
  const auto source = open();
  const std::vector<std::string> names = source->checkpoint->names();
  EXPECT_EQ(std::ranges::count(names, kNorm), 1);

  for (const char* other : {"", "model-00002-of-00003.safetensors"}) {
    index_["weight_map"].erase(kNorm);
    if (*other != '\0') index_["weight_map"][kNorm] = other;
    write_index();
    expect_refusal("TRI-LOAD-005", kNorm);
  }
}

TEST_F(Shards, ABufferOfTwoShardsNeedsNoEntryOfTheIndex) {
  const std::string buffer = "model.rotary_emb.inv_freq";
  for (const std::string& shard : {kFirst, kLast}) {
    edit_shard(shard, [&](EditedTensors& tensors) { tensors[buffer] = zeros("F32", {4}, 32); });
  }
  complete_model({});
}

TEST_F(Shards, ATensorOfOneShardCountsWhateverTheIndexSays) {
  index_["weight_map"].erase(kNorm);
  write_index();
  complete_model({});
  index_["weight_map"][kNorm] = kFirst;
  index_["weight_map"]["stored.nowhere"] = kFirst;
  write_index();
  complete_model({});
}

TEST_F(Shards, ATensorThatOnlyTheIndexHasIsMissing) {
  edit_shard(kLast, [](EditedTensors& tensors) { tensors.erase(kNorm); });
  const auto source = open();
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  const Status status = check_tensors(TensorTable(source->config), *source->checkpoint).status();
  EXPECT_EQ(error_id(status), "TRI-LOAD-007");
  EXPECT_THAT(message_of(status), HasSubstr(kNorm));
}

TEST_F(Shards, AnIndexCannotNameFilesOutsideOfItsFolder) {
  for (const char* shard : {"../x.safetensors", "/etc/passwd", ".hidden", ""}) {
    index_["weight_map"] = {{"a", shard}};
    write_index();
    expect_refusal("TRI-LOAD-006", "allowed are file names in the same folder");
  }
}

TEST_F(Shards, AnIndexWithoutAMapIsRefused) {
  for (const char* text : {"{}",
                           "[]",
                           "3",
                           R"({"weight_map": 3})",
                           R"({"weight_map": {}})",
                           R"({"weight_map": {"a": 3}})",
                           R"({"weight_map": {"a": "b", "a": "c"}})",
                           "{",
                           ""}) {
    std::ofstream(index_path()) << text;
    const Status status = open().status();
    EXPECT_EQ(error_id(status), "TRI-LOAD-006") << text;
    EXPECT_THAT(message_of(status), HasSubstr(index_path()));
  }
}

}  // namespace weight_files_test
}  // namespace trireme
