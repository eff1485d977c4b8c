#include "model/tokenizer/sequence_reader.h"

#include <gtest/gtest.h>

#include <vector>

#include "model/tokenizer/limits.h"

namespace trireme {
namespace sequence_reader_test {

const Pipeline kPipeline{"normalizer", "normalizers", "TRI-TOK-008"};

// The types of the visited steps, or the error.
StatusOr<std::vector<std::string>> visited(const std::string& text) {
  const StatusOr<JsonValue> value = JsonValue::parse(text, "TRI-TOK-002", "the test");
  EXPECT_TRUE(value.ok()) << value.status();
  std::vector<std::string> types;
  RETURN_IF_ERROR(each_step(*value, kPipeline, [&](const JsonFields&, const std::string& type) {
    types.push_back(type);
    return type == "Bad" ? invalid("TRI-TOK-010", "a bad step") : ok_status();
  }));
  return types;
}

std::string step(const std::string& type) { return "{\"type\":\"" + type + "\"}"; }
std::string sequence(const std::string& items) {
  return R"({"type":"Sequence","normalizers":[)" + items + "]}";
}
std::string nested(int depth, std::string inner) {
  for (int i = 0; i < depth; ++i) inner = sequence(inner);
  return inner;
}
std::string steps(size_t count) { return join(std::vector<std::string>(count, step("A")), ","); }
std::string error_of(const std::string& text) { return error_id(visited(text).status()); }

TEST(Pipeline, VisitsTheStepsOfNestedSequencesInTheOrderOfTheFile) {
  const std::string inner = sequence(step("B") + "," + step("C"));
  const auto types = visited(sequence(step("A") + "," + inner + "," + step("D")));
  ASSERT_TRUE(types.ok()) << types.status();
  EXPECT_EQ(*types, (std::vector<std::string>{"A", "B", "C", "D"}));
  EXPECT_EQ(*visited(step("A")), (std::vector<std::string>{"A"}));
  EXPECT_TRUE(visited(sequence(""))->empty());
}

TEST(Pipeline, StopsAtTheFirstErrorOfTheVisitor) {
  EXPECT_EQ(error_of(sequence(step("Bad") + "," + step("A"))), "TRI-TOK-010");
}

TEST(Pipeline, BoundsTheDepth) {
  EXPECT_TRUE(visited(nested(kMaxSequenceDepth, step("A"))).ok());
  EXPECT_EQ(error_of(nested(kMaxSequenceDepth + 1, step("A"))), "TRI-TOK-008");
}

TEST(Pipeline, BoundsTheStepsOfAllSequencesTogether) {
  EXPECT_EQ(visited(sequence(steps(kMaxSteps)))->size(), kMaxSteps);
  EXPECT_EQ(error_of(sequence(steps(kMaxSteps + 1))), "TRI-TOK-008");
  EXPECT_EQ(error_of(sequence(sequence(steps(kMaxSteps)) + "," + step("A"))), "TRI-TOK-008");
}

TEST(Pipeline, RefusesAStepWithoutATypeAndASequenceWithoutAList) {
  for (const std::string text : {R"([])",
                                 R"({})",
                                 R"({"type":3})",
                                 R"({"type":"Sequence"})",
                                 R"({"type":"Sequence","normalizers":{}})"}) {
    EXPECT_EQ(error_of(text), "TRI-TOK-003") << text;
  }
}

}  // namespace sequence_reader_test
}  // namespace trireme
