// The range of every field: boundary values are accepted, values beyond are refused with the name
// of the field.
#include "model/sampling_params.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "base/text.h"

namespace trireme {
namespace sampling_params_test {

using Edit = std::function<void(GenerationParams&)>;

Status status_of(const Edit& edit) {
  GenerationParams params;
  edit(params);
  return validate(params, 100);
}

TEST(SamplingParams, BoundaryValuesAreAccepted) {
  const Edit fine[] = {
      [](auto&) {},
      [](auto& p) { p.sampling.temperature = 0; },
      [](auto& p) { p.sampling.top_p = 1; },
      [](auto& p) { p.sampling.min_p = 1; },
      [](auto& p) { p.sampling.num_logprobs = kMaxLogprobs; },
      [](auto& p) { p.num_choices = kMaxChoices; },
      [](auto& p) {
        p.stop_token_ids = {0, 99};
      },
      [](auto& p) {
        p.sampling.logit_bias = {{99, -100.0f}};
      },
      [](auto& p) { p.sampling.min_tokens = p.max_tokens; },
  };
  for (const Edit& edit : fine) {
    const Status status = status_of(edit);
    EXPECT_TRUE(status.ok()) << message_of(status);
  }
}

TEST(SamplingParams, ValuesBeyondTheBoundariesAreRefusedByName) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const struct {
    const char* field;
    Edit edit;
  } cases[] = {
      {"temperature", [](auto& p) { p.sampling.temperature = -0.1f; }},
      {"temperature", [&](auto& p) { p.sampling.temperature = nan; }},
      {"top_k", [](auto& p) { p.sampling.top_k = -1; }},
      {"top_p", [](auto& p) { p.sampling.top_p = 0; }},
      {"top_p", [](auto& p) { p.sampling.top_p = 1.01f; }},
      {"min_p", [](auto& p) { p.sampling.min_p = 1.5f; }},
      {"repetition_penalty", [](auto& p) { p.sampling.repetition_penalty = 0; }},
      {"presence_penalty", [&](auto& p) { p.sampling.presence_penalty = nan; }},
      {"max_tokens", [](auto& p) { p.max_tokens = 0; }},
      {"min_tokens", [](auto& p) { p.sampling.min_tokens = p.max_tokens + 1; }},
      {"logprobs", [](auto& p) { p.sampling.num_logprobs = kMaxLogprobs + 1; }},
      {"n ", [](auto& p) { p.num_choices = 0; }},
      {"n ", [](auto& p) { p.num_choices = kMaxChoices + 1; }},
      {"stop_token_ids", [](auto& p) { p.stop_token_ids = {100}; }},
      {"logit_bias",
       [](auto& p) {
         p.sampling.logit_bias = {{-1, 1.0f}};
       }},
      {"stop", [](auto& p) { p.stop = {""}; }},
  };
  for (const auto& one : cases) {
    const Status status = status_of(one.edit);
    EXPECT_EQ(error_id(status), "TRI-REQ-001") << one.field;
    EXPECT_THAT(message_of(status), testing::HasSubstr(one.field));
  }
}

TEST(SamplingParams, ErrorsNameTheAllowedRange) {
  EXPECT_THAT(message_of(status_of([](auto& p) { p.stop_token_ids = {100}; })),
              testing::HasSubstr("stop_token_ids is 100, allowed are the ids 0 to 99"));
  EXPECT_THAT(message_of(status_of([](auto& p) {
                p.max_tokens = 3;
                p.sampling.min_tokens = 5;
              })),
              testing::HasSubstr("min_tokens is 5, allowed are 0 to max_tokens, 3"));
}

}  // namespace sampling_params_test
}  // namespace trireme
