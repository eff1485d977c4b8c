#include <gtest/gtest.h>

#include "tests/chat/answer_mutation.h"

namespace trireme {
namespace answer_mutation_long_test {

TEST(AnswerMutation, NothingIsLostInAMillionAnswers) { read_mutated_answers(1'000'000, 2); }

}  // namespace answer_mutation_long_test
}  // namespace trireme
