// generation_config.json: what can be used is, the rest is dropped and named.
#include "model/config/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace trireme {
namespace generation_config_test {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

GenerationDefaults parse(const std::string& text) {
  return parse_generation_config(text, "DIR/generation_config.json");
}

void expect_plain(const SamplingParams& sampling) {
  EXPECT_EQ(sampling.temperature, 1);
  EXPECT_EQ(sampling.top_k, 0);
  EXPECT_EQ(sampling.top_p, 1);
  EXPECT_EQ(sampling.min_p, 0);
  EXPECT_EQ(sampling.repetition_penalty, 1);
}

TEST(GenerationConfig, ReadsDefaultsAndEndIds) {
  const GenerationDefaults defaults = parse(
      R"({"temperature": 0.5, "top_k": 20.0, "top_p": 0.75, "min_p": 0.25,
          "repetition_penalty": 2, "eos_token_id": [7, 9.0], "max_length": Infinity})");
  EXPECT_THAT(defaults.notes, IsEmpty());
  EXPECT_EQ(defaults.sampling.temperature, 0.5f);
  EXPECT_EQ(defaults.sampling.top_k, 20);
  EXPECT_EQ(defaults.sampling.top_p, 0.75f);
  EXPECT_EQ(defaults.sampling.min_p, 0.25f);
  EXPECT_EQ(defaults.sampling.repetition_penalty, 2);
  EXPECT_THAT(defaults.eos_ids, ElementsAre(7, 9));
  EXPECT_EQ(parse(R"({"do_sample": false, "temperature": 0.5})").sampling.temperature, 0);
}

TEST(GenerationConfig, TheRangesAreThoseOfARequest) {
  const GenerationDefaults defaults =
      parse(R"({"top_k": 2147483647, "top_p": 1e-7, "repetition_penalty": 0.01})");
  EXPECT_THAT(defaults.notes, IsEmpty());
  EXPECT_EQ(defaults.sampling.top_k, 2147483647);
  EXPECT_EQ(defaults.sampling.top_p, 1e-7f);
  EXPECT_EQ(defaults.sampling.repetition_penalty, 0.01f);
}

TEST(GenerationConfig, AValueThatCannotBeUsedIsDroppedWithALineAndTheOthersApply) {
  for (const char* field : {R"("top_p": 0)",
                            R"("top_p": 1e-50)",
                            R"("top_p": 1.5)",
                            R"("top_p": "0.9")",
                            R"("top_k": -1)",
                            R"("top_k": 1.5)",
                            R"("top_k": NaN)",
                            R"("temperature": -0.5)",
                            R"("temperature": "hot")",
                            R"("temperature": Infinity)",
                            R"("temperature": {"__float__": "NaN"})",
                            R"("min_p": 2)",
                            R"("repetition_penalty": 0)",
                            R"("do_sample": "yes")"}) {
    const std::string text = std::string("{\"eos_token_id\": 7, ") + field + "}";
    const GenerationDefaults defaults = parse(text);
    expect_plain(defaults.sampling);
    EXPECT_THAT(defaults.eos_ids, ElementsAre(7));
    const std::string key = std::string(field).substr(0, std::string(field).find(':'));
    EXPECT_THAT(defaults.notes,
                ElementsAre(AllOf(HasSubstr("TRI-CONF-007: DIR/generation_config.json"),
                                  HasSubstr(key),
                                  HasSubstr("the value is ignored"))))
        << field;
  }
  EXPECT_EQ(parse(R"({"top_p": 0, "top_k": -1})").notes.size(), 2u);
}

TEST(GenerationConfig, InvalidEndIdsAreDroppedAndTheValidOnesApply) {
  const GenerationDefaults defaults = parse(R"({"eos_token_id": [7, -1, 9, "x", 99999999999]})");
  EXPECT_THAT(defaults.eos_ids, ElementsAre(7, 9));
  EXPECT_THAT(defaults.notes, ElementsAre(HasSubstr("eos_token_id")));
}

TEST(GenerationConfig, AFileThatCannotBeReadIsALineToo) {
  for (const char* text : {"",
                           "{",
                           "[1]",
                           "\xEF\xBB\xBF{}",
                           "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"}) {
    const GenerationDefaults defaults = parse(text);
    expect_plain(defaults.sampling);
    EXPECT_THAT(defaults.notes, ElementsAre(HasSubstr("DIR/generation_config.json"))) << text;
  }
  EXPECT_THAT(load_generation_config("/nonexistent").notes, IsEmpty());
}

TEST(GenerationConfig, OfADoubledKeyTheLastCountsAndHalfASurrogatePairIsNotInTheWay) {
  const GenerationDefaults defaults =
      parse(R"({"top_k": 1, "x": "\ud83d", "eos_token_id": 7, "top_k": 2})");
  EXPECT_THAT(defaults.notes, IsEmpty());
  EXPECT_EQ(defaults.sampling.top_k, 2);
  EXPECT_THAT(defaults.eos_ids, ElementsAre(7));
}

TEST(GenerationConfig, FieldsWithoutSupportAreNamedInOneNoteUnlessNeutral) {
  const GenerationDefaults defaults =
      parse(R"({"stop_strings": ["x"], "num_beams": 4, "typical_p": 0.5, "suppress_tokens": [1]})");
  EXPECT_THAT(defaults.notes,
              ElementsAre(AllOf(HasSubstr("TRI-CONF-007: DIR/generation_config.json"),
                                HasSubstr("stop_strings, suppress_tokens, typical_p, num_beams"),
                                HasSubstr("not supported"))));
  EXPECT_THAT(parse(R"({"stop_strings": null, "suppress_tokens": [], "typical_p": 1.0,
                        "num_beams": 1, "no_repeat_ngram_size": 0, "min_length": 0,
                        "encoder_repetition_penalty": 1.0, "guidance_scale": 1,
                        "penalty_alpha": 0.0, "max_length": 20, "pad_token_id": 3})")
                  .notes,
              IsEmpty());
}

TEST(GenerationConfig, ALinkThatLeadsNowhereIsNamed) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / "generation_config_link";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  std::filesystem::create_symlink("gone.json", folder / "generation_config.json");
  EXPECT_THAT(load_generation_config(folder.string()).notes,
              ElementsAre(AllOf(HasSubstr("TRI-CONF-007"),
                                HasSubstr("generation_config.json is a link"),
                                HasSubstr("gone.json"))));
  std::filesystem::remove_all(folder);
}

}  // namespace generation_config_test
}  // namespace trireme
