// Mutated bodies of every API: each is read or refused with an id and a message, and whatever is
// read has JSON for the door. Nothing crashes.
#include <gtest/gtest.h>

#include "base/json_value.h"
#include "tests/gateway/api_fixture.h"
#include "tests/json_mutation.h"

namespace trireme::gateway {
namespace body_mutation_test {

constexpr uint64_t kSeed = 20;
constexpr int kRounds = 1500;

struct Start {
  Api api;
  const char* body;
};

constexpr Start kStarts[] = {
    {Api::kChatCompletions,
     R"({"model":"demo","messages":[{"role":"system","content":"s"},{"role":"user","content":)"
     R"([{"type":"text","text":"H\u00e9"}]},{"role":"assistant","content":null,"tool_calls":)"
     R"([{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},)"
     R"({"role":"tool","tool_call_id":"c","content":"1"}],"tools":[{"type":"function",)"
     R"("function":{"name":"f","parameters":{}}}],"tool_choice":{"type":"function",)"
     R"("function":{"name":"f"}},"stream":true,"stream_options":{"include_usage":true},)"
     R"("logprobs":true,"top_logprobs":2,"n":2,"seed":-1,"stop":["a"],"logit_bias":{"1":2},)"
     R"("chat_template_kwargs":{"a":1},"documents":[{}],"reasoning_effort":"low"})"},
    {Api::kCompletions,
     R"({"prompt":[[1,2],[3]],"echo":true,"logprobs":1,"prompt_logprobs":0,"max_tokens":0,)"
     R"("best_of":1,"stop":"x","suffix":"","response_format":{"type":"text"}})"},
    {Api::kResponses,
     R"({"input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},)"
     R"({"type":"reasoning","summary":[{"type":"summary_text","text":"r"}]},)"
     R"({"type":"function_call","call_id":"c","name":"f","arguments":"{}"},)"
     R"({"type":"function_call_output","call_id":"c","output":"1"}],"instructions":"i",)"
     R"("tools":[{"type":"function","name":"f","parameters":{}},{"type":"web_search"}],)"
     R"("reasoning":{"effort":"low"},"text":{"format":{"type":"text"}},"include":["x"]})"},
    {Api::kMessages,
     R"({"max_tokens":5,"system":[{"type":"text","text":"x-anthropic-billing-header: a\nb"}],)"
     R"("messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":)"
     R"("thinking","thinking":"t"},{"type":"tool_use","id":"u","name":"f","input":{"a":1}}]},)"
     R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"u","content":"1"}]}],)"
     R"("tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"tool","name":"f"},)"
     R"("thinking":{"type":"enabled"},"output_config":{"effort":"low"}})"},
    {Api::kCountTokens, R"({"messages":[{"role":"user","content":"a"}],"system":"s"})"},
    {Api::kTokenize, R"({"prompt":"a","add_special_tokens":true,"return_token_strs":true})"},
    {Api::kDetokenize, R"({"tokens":[1,2,3],"skip_special_tokens":false})"},
};

const std::vector<nlohmann::json> kOdd = {
    nullptr, -1, 0, 1e300, "", "\n", nlohmann::json::array(), nlohmann::json::object(), true};

bool is_array_or_empty(const std::string& text) {
  if (text.empty()) return true;
  const auto value = JsonValue::parse(text, "TRI-HTTP-020", "the text");
  return value.ok() && value->is(JsonValue::Kind::kArray);
}

void expect_sound(const ChatRequest& chat, const std::string& body) {
  EXPECT_TRUE(!chat.messages_json.empty() && is_array_or_empty(chat.messages_json)) << body;
  EXPECT_TRUE(is_array_or_empty(chat.tools_json)) << body;
  EXPECT_TRUE(is_array_or_empty(chat.documents_json)) << body;
  EXPECT_TRUE(chat.kwargs_json.empty() || nlohmann::json::accept(chat.kwargs_json)) << body;
}

void expect_sound(Api api, const std::string& body) {
  auto result = read(api, body);
  if (const auto* error = std::get_if<ApiError>(&result)) {
    EXPECT_GE(error->http_status, 400) << body;
    EXPECT_LT(error->http_status, 500) << body << error->message;
    EXPECT_FALSE(error->error_id.empty()) << body;
    EXPECT_TRUE(error->message.starts_with(error->error_id + ": ")) << error->message;
    EXPECT_TRUE(Json::accept(write_error(api, *error, ""))) << body;
    return;
  }
  const ApiCall& call = std::get<ApiCall>(result);
  const auto* submits = std::get_if<std::vector<door::Submit>>(&call.questions);
  if (submits == nullptr) return;
  EXPECT_FALSE(submits->empty()) << body;
  EXPECT_NE(call.writer, nullptr) << body;
  for (const door::Submit& submit : *submits) {
    if (const auto* chat = std::get_if<ChatRequest>(&submit.prompt)) expect_sound(*chat, body);
  }
}

TEST(Bodies, AreReadOrRefusedWhateverTheyAre) {
  Random random(kSeed);
  for (const Start& start : kStarts) {
    taken(start.api, start.body);
    for (int round = 0; round < kRounds; ++round) {
      std::string body = mutate_text(start.body, kOdd, random);
      if (below(random, 2) == 0) body = mutate_bytes(body, random);
      expect_sound(start.api, body);
    }
  }
}

// Bodies of one API sent to another.
TEST(Bodies, OfAnotherApiAreReadOrRefused) {
  for (const Start& start : kStarts) {
    for (const Start& other : kStarts) expect_sound(start.api, other.body);
  }
}

}  // namespace body_mutation_test
}  // namespace trireme::gateway
