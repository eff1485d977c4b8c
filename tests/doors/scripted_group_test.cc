// The scripted rank without its sockets: which answer a request gets, and what it draws.
#include "tests/doors/scripted_group.h"

#include <gtest/gtest.h>

namespace trireme {
namespace {

const ScriptedShape kShape{.pages = 8, .page_tokens = 4, .max_slots = 4, .vocabulary = 4096};

class ScriptedGroupTest : public testing::Test {
 protected:
  ScriptedGroupTest() {
    auto loaded = Tokenizer::load_folder(TRIREME_SOURCE_DIR "/models/demo");
    EXPECT_TRUE(loaded.ok());
    tokenizer_ = std::move(*loaded);
    script_ = std::make_unique<AnswerScript>(*tokenizer_, 2);
    group_ = std::make_unique<ScriptedGroup>(kShape, *script_, *tokenizer_);
  }
  void say(const std::string& line) {
    const Status added = script_->add(line);
    EXPECT_TRUE(added.ok()) << added;
  }
  // The tokens that a request with this prompt gets, one a step.
  std::vector<TokenId> answer(SlotId slot,
                              const std::string& prompt,
                              int count,
                              uint64_t seed = 1) {
    StepPlan plan;
    plan.parts.resize(1);
    StepPart& part = plan.parts[0];
    OpenedSlot opened;
    opened.slot = slot;
    opened.seed = seed;
    Chunk chunk{slot, 0, true, *tokenizer_->encode(prompt)};
    opened.num_prompt = static_cast<int32_t>(chunk.ids.size());
    part.opened.push_back(opened);
    for (PageId page = 0; page < 4; ++page) part.grants.push_back({slot, page});
    part.chunks.push_back(chunk);
    std::vector<TokenId> ids = group_->execute(plan, 10).result.ids;
    part = StepPart{};
    part.decodes.push_back(slot);
    while (static_cast<int>(ids.size()) < count) {
      last_ = group_->execute(plan, 10);
      if (last_.result.ids.empty()) break;
      ids.push_back(last_.result.ids[0]);
    }
    return ids;
  }
  std::string text(std::span<const TokenId> ids) { return tokenizer_->decode(ids, false); }

  std::unique_ptr<const Tokenizer> tokenizer_;
  std::unique_ptr<AnswerScript> script_;
  std::unique_ptr<ScriptedGroup> group_;
  ScriptedStep last_;
};

TEST_F(ScriptedGroupTest, AnAnswerIsChosenByItsPromptElseByItsPlace) {
  say(R"({"match": "two", "text": "second"})");
  say(R"({"text": "first"})");
  say(R"({"text": "last"})");
  const std::vector<TokenId> first = answer(0, "one", 1, 5);
  EXPECT_TRUE(text(answer(1, "one two", 2)).starts_with("second"));
  EXPECT_EQ(answer(2, "three", 1, 6)[0], tokenizer_->encode("last")->at(0));
  EXPECT_EQ(first[0], tokenizer_->encode("first")->at(0));
}

TEST_F(ScriptedGroupTest, TheEndFollowsTheAnswerAndALoopHasNone) {
  say(R"({"ids": [300, 301]})");
  say(R"({"ids": [300, 301], "loop": true})");
  EXPECT_EQ(answer(0, "x", 4, 1), (std::vector<TokenId>{300, 301, 2, 2}));
  EXPECT_EQ(answer(1, "x", 5, 2), (std::vector<TokenId>{300, 301, 300, 301, 300}));
}

TEST_F(ScriptedGroupTest, EverySplitOfATextGivesTheText) {
  const std::string said = "<tool_call>\n{\"name\": \"übung\"}\n</tool_call>";
  for (const std::string split : {"tokens", "bytes", "random:7"}) {
    script_->clear();
    say(R"({"text": "<tool_call>\n{\"name\": \"übung\"}\n</tool_call>", "split": ")" + split +
        "\"}");
    const auto* chosen = &script_->choose({}, "");
    EXPECT_EQ(text(chosen->ids), said) << split;
    if (split != "bytes") continue;
    EXPECT_EQ(chosen->ids.size(), said.size());
  }
}

TEST_F(ScriptedGroupTest, ActsHappenAtTheirToken) {
  say(R"({"words": 8, "act": "fail", "at": 2, "step_us": 700})");
  EXPECT_EQ(answer(0, "x", 8).size(), 2u);
  ASSERT_EQ(last_.result.failures.size(), 1u);
  EXPECT_EQ(last_.takes_us, 700);
}

TEST_F(ScriptedGroupTest, WordsDifferFromTheirNeighbours) {
  say(R"({"words": 500})");
  const std::vector<TokenId>& ids = script_->choose({}, "").ids;
  ASSERT_EQ(ids.size(), 500u);
  for (size_t i = 1; i < ids.size(); ++i) EXPECT_NE(ids[i], ids[i - 1]);
}

TEST_F(ScriptedGroupTest, AWrongLineIsRefused) {
  for (const char* line : {"",
                           "[]",
                           "{",
                           R"({"ids": "x"})",
                           R"({"act": "sing"})",
                           R"({"text": "a", "split": "hairs"})",
                           R"({"loop": true})"}) {
    EXPECT_FALSE(script_->add(line).ok()) << line;
  }
}

}  // namespace
}  // namespace trireme
