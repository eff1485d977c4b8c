#include "tests/chat/answer_mutation.h"

#include <gtest/gtest.h>

namespace trireme {
namespace answer_mutation_test {

TEST(AnswerMutation, NothingIsLostAndCutsDoNotMatter) { read_mutated_answers(100'000, 1); }

}  // namespace answer_mutation_test
}  // namespace trireme
