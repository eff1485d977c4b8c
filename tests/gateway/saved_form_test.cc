// The form of an answer that can be resumed: what goes with the request, and what is refused.
#include "clients/gateway/api/answers/saved_form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/gateway/api_fixture.h"

namespace trireme::gateway {
namespace saved_form_test {

using testing::HasSubstr;

std::variant<ApiCall, ApiError> read_resumable_call(Api api, const std::string& body) {
  ApiHeaders headers;
  headers.resumable = true;
  return read_call(api, body, headers, demo_context());
}

ApiCall taken_resumable(Api api, const std::string& body) {
  auto read = read_resumable_call(api, body);
  if (auto* error = std::get_if<ApiError>(&read)) {
    ADD_FAILURE() << error->message;
    return {};
  }
  return std::move(std::get<ApiCall>(read));
}

// A request of each form, with all that its answer depends on.
const std::pair<Api, const char*> kRequests[] = {
    {Api::kChatCompletions,
     R"({"messages":[{"role":"user","content":"x"}],"stream":true,"n":2,"logprobs":true,
         "return_token_ids":true,"stream_options":{"include_usage":true}})"},
    {Api::kCompletions,
     R"({"prompt":["a","b"],"stream":true,"n":2,"logprobs":1,
         "stream_options":{"include_usage":true,"continuous_usage_stats":true}})"},
    {Api::kResponses,
     R"({"input":"x","instructions":"Be \"brief\"\n","stream":true,"temperature":0.1,"top_p":0.9,
         "max_output_tokens":7,"reasoning":{"effort":"low"},"parallel_tool_calls":false,
         "tools":[{"type":"function","name":"f","parameters":{}}],"tool_choice":"required",
         "include":["message.output_text.logprobs"],"top_logprobs":2})"},
    {Api::kMessages,
     R"({"messages":[{"role":"user","content":"x"}],"max_tokens":9,"stream":true})"},
};

// An answer of one choice for every prompt that the writer may have.
std::string written(AnswerWriter& writer) {
  std::string out;
  for (int prompt = 0; prompt < 2; ++prompt) writer.on_accepted(prompt, accepted(prompt), out);
  for (int prompt = 0; prompt < 2; ++prompt) {
    door::Piece piece = part_piece({reasoning("r"), content("c"), call_part(0, "id", "f", "{}")});
    piece.token_ids = {1, 2};
    piece.logprobs = {entry(1, -0.5f, "c")};
    writer.on_piece(prompt, piece, out);
    for (int choice = 0; choice < 2; ++choice) {
      writer.on_finished(prompt, finished(door::FinishReason::kStop, choice), out);
    }
  }
  return out;
}

TEST(SavedForm, AnotherGatewayWritesTheSameBytes) {
  for (const auto& [api, body] : kRequests) {
    const ApiCall call = taken_resumable(api, body);
    for (const door::Submit& submit : std::get<std::vector<door::Submit>>(call.questions)) {
      EXPECT_EQ(submit.client_state, call.saved_form);
      EXPECT_EQ(submit.on_disconnect, door::OnDisconnect::kContinue);
    }
    const auto form = read_form(call.saved_form);
    ASSERT_TRUE(form.ok()) << message_of(form.status()) << call.saved_form;
    EXPECT_EQ(form->api, api);
    EXPECT_EQ(save_form(*form), call.saved_form);
    const std::string bytes = written(*call.writer);
    EXPECT_GT(bytes.size(), 500u);
    EXPECT_EQ(written(*make_writer(*form)), bytes);
  }
}

TEST(SavedForm, HoldsNothingOfThePrompt) {
  const ApiCall call = taken_resumable(
      Api::kChatCompletions,
      R"({"messages":[{"role":"user","content":"secret"}],"stream":true,"user":"secret"})");
  EXPECT_EQ(call.saved_form.find("secret"), std::string::npos);
}

TEST(SavedForm, WhatCannotBeResumedIsRefusedByItsField) {
  const auto refused = [](Api api, const std::string& body, const char* field) {
    const auto read = read_resumable_call(api, body);
    const auto* error = std::get_if<ApiError>(&read);
    ASSERT_NE(error, nullptr) << body;
    EXPECT_EQ(error->error_id, "TRI-HTTP-035") << body;
    EXPECT_EQ(error->http_status, 400);
    EXPECT_EQ(error->param, field);
  };
  refused(Api::kCompletions, R"({"prompt":"a"})", "stream");
  refused(
      Api::kCompletions, R"({"prompt":"a","stream":true,"prompt_logprobs":0})", "prompt_logprobs");
  refused(Api::kCompletions,
          R"({"prompt":"a","stream":true,"echo":true,"logprobs":0})",
          "prompt_logprobs");
  refused(Api::kCompletions, R"({"prompt":["a","b","c"],"stream":true,"n":22})", "n");
  taken_resumable(Api::kCompletions, R"({"prompt":["a","b","c","d"],"stream":true,"n":16})");
  const std::string instructions(70'000, 'i');
  refused(Api::kResponses,
          R"({"input":"a","stream":true,"instructions":")" + instructions + "\"}",
          "tools");
  taken_resumable(Api::kMessages,
                  R"({"messages":[{"role":"user","content":"x"}],"max_tokens":9,"stream":true,
                      "system":")" +
                      instructions + "\"}");
}

TEST(SavedForm, OtherBytesAreNoForm) {
  const std::string good = taken_resumable(Api::kCompletions, kRequests[1].second).saved_form;
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string bytes = good;
    const size_t at = bytes.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return bytes.replace(at, from.size(), to);
  };
  for (const std::string& bytes : {std::string(),
                                   std::string("{}"),
                                   std::string("\xff"),
                                   good.substr(0, good.size() / 2),
                                   with("\"version\":1", "\"version\":2"),
                                   with("\"api\":\"completion\"", "\"api\":\"else\""),
                                   with("\"streamed\":true", "\"streamed\":false"),
                                   with("\"num_prompts\":2", "\"num_prompts\":0"),
                                   with("\"num_prompts\":2", "\"num_prompts\":4294967298"),
                                   with("\"num_choices\":2", "\"num_choices\":100000"),
                                   with("\"model\":\"demo\"", "\"model\":1")}) {
    EXPECT_EQ(error_id(read_form(bytes).status()), "TRI-HTTP-036") << bytes;
  }
}

TEST(SavedForm, ARepeatedRequestHasTheFormInWhichItBegan) {
  const std::string own = taken_resumable(Api::kCompletions, kRequests[1].second).saved_form;
  SavedForm begun = *read_form(own);
  begun.options.created_s = 5;
  std::vector<door::Accepted> prompts(2);
  EXPECT_EQ(common_form(own, prompts)->options.created_s, 1700000001);
  prompts[1].repeated_key = true;
  prompts[1].client_state = save_form(begun);
  EXPECT_EQ(common_form(own, prompts)->options.created_s, 1700000001) << "of the first prompt";
  prompts[0] = prompts[1];
  EXPECT_EQ(common_form(own, prompts)->options.created_s, 5);
  begun.options.includes_usage = false;
  prompts[1].client_state = save_form(begun);
  EXPECT_FALSE(common_form(own, prompts));
  prompts[1].client_state.clear();
  EXPECT_FALSE(common_form(own, prompts)) << "it was not begun to be resumed";
}

}  // namespace saved_form_test
}  // namespace trireme::gateway
