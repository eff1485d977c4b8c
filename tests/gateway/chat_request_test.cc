// Values of chat requests as they reach the door, and the refusals of wrong messages and tools.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/gateway/api_fixture.h"

namespace trireme::gateway {
namespace chat_request_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr Api kChat = Api::kChatCompletions;

std::string with(const std::string& fields) {
  return R"({"messages":[{"role":"user","content":"Hi"}])" + fields + "}";
}

std::string with_message(const std::string& message) {
  return R"({"messages":[{"role":"user","content":"Hi"},)" + message + "]}";
}

constexpr const char* kTools =
    R"(,"tools":[{"type":"function","function":{"name":"sum","parameters":{"type":"object"}}}])";

TEST(ChatRequest, NumbersReachTheDoor) {
  const ApiCall call = taken(
      kChat,
      with(R"(,"temperature":0.25,"top_p":0.5,"n":3,"stop":["a","b"],"seed":-1,"max_tokens":9.0,)"
           R"("logit_bias":{"7":-2.5},"presence_penalty":1,"frequency_penalty":-1,"top_k":-1,)"
           R"("min_p":0.125,"repetition_penalty":1.5,"min_tokens":2,"ignore_eos":true,)"
           R"("stop_token_ids":[4,5],"include_stop_str_in_output":true,)"
           R"("skip_special_tokens":false,"cache_salt":"salt","request_id":"mine",)"
           R"("logprobs":true,"top_logprobs":2,"return_token_ids":true)"));
  const door::Submit& submit = submit_in(call);
  const door::Sampling& sampling = submit.sampling;
  EXPECT_EQ(sampling.temperature, 0.25F);
  EXPECT_EQ(sampling.top_p, 0.5F);
  EXPECT_EQ(sampling.n, 3);
  EXPECT_THAT(sampling.stop, ElementsAre("a", "b"));
  EXPECT_EQ(sampling.seed, UINT64_MAX);
  EXPECT_EQ(sampling.max_tokens, 9);
  EXPECT_THAT(sampling.logit_bias, ElementsAre(Pair(7, -2.5F)));
  EXPECT_EQ(sampling.presence_penalty, 1.0F);
  EXPECT_EQ(sampling.frequency_penalty, -1.0F);
  EXPECT_EQ(sampling.top_k, 0);
  EXPECT_EQ(sampling.min_p, 0.125F);
  EXPECT_EQ(sampling.repetition_penalty, 1.5F);
  EXPECT_EQ(sampling.min_tokens, 2);
  EXPECT_TRUE(sampling.ignore_eos);
  EXPECT_THAT(sampling.stop_token_ids, ElementsAre(4, 5));
  EXPECT_TRUE(sampling.include_stop_str_in_output);
  EXPECT_EQ(sampling.skip_special_tokens, false);
  EXPECT_EQ(sampling.logprobs, 2);
  EXPECT_EQ(submit.cache_salt, "salt");
  EXPECT_EQ(submit.client_request_id, "mine");
  EXPECT_TRUE(submit.token_bytes);
  EXPECT_TRUE(submit.want_prompt_ids);
  EXPECT_EQ(submit.on_disconnect, door::OnDisconnect::kCancel);
}

TEST(ChatRequest, SeedsHave64Bits) {
  const auto seed = [](const std::string& text) {
    return submit_in(taken(kChat, with(",\"seed\":" + text))).sampling.seed;
  };
  EXPECT_EQ(seed("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(seed("-9223372036854775808"), uint64_t{1} << 63);
  EXPECT_EQ(refusal(kChat, with(R"(,"seed":18446744073709551616)")).param, "seed");
}

TEST(ChatRequest, HeadersReachTheDoor) {
  ApiHeaders headers;
  headers.idempotency_key = "key";
  headers.traceparent = "00-1-2-01";
  headers.client_request_id = "client";
  headers.principal = "alice";
  headers.client = "10.0.0.9";
  headers.timeout_ms = 1500;
  auto result = read_call(kChat, with(R"(,"request_id":"other")"), headers, demo_context());
  const door::Submit& submit = submit_in(std::get<ApiCall>(result));
  EXPECT_EQ(submit.idempotency_key, "key");
  EXPECT_EQ(submit.traceparent, "00-1-2-01");
  EXPECT_EQ(submit.client_request_id, "client") << "the header wins over the field";
  EXPECT_EQ(submit.principal, "alice");
  EXPECT_EQ(submit.share, "10.0.0.9");
  EXPECT_EQ(submit.deadline_ms, 1500);
  EXPECT_EQ(submit.on_disconnect, door::OnDisconnect::kContinue) << "a repetition finds it";
}

TEST(ChatRequest, ToolsReachTheDoorAsTheyCame) {
  const ApiCall call = taken(kChat, with(kTools));
  EXPECT_EQ(chat_in(call).tools_json,
            R"([{"type":"function","function":{"name":"sum","parameters":{"type":"object"}}}])");
  EXPECT_EQ(chat_in(call).tool_choice, ToolChoice::kAuto);
  EXPECT_EQ(chat_in(taken(kChat, with(R"(,"tools":[])"))).tools_json, "");
}

TEST(ChatRequest, ToolChoiceIsRead) {
  const auto choice = [](const std::string& text) {
    return chat_in(taken(kChat, with(std::string(kTools) + ",\"tool_choice\":" + text)));
  };
  EXPECT_EQ(choice("\"none\"").tool_choice, ToolChoice::kNone);
  EXPECT_EQ(choice("\"auto\"").tool_choice, ToolChoice::kAuto);
  EXPECT_EQ(choice("\"required\"").tool_choice, ToolChoice::kRequired);
  const ChatRequest named = choice(R"({"type":"function","function":{"name":"sum"}})");
  EXPECT_EQ(named.tool_choice, ToolChoice::kNamed);
  EXPECT_EQ(named.tool_name, "sum");
  EXPECT_TRUE(chat_in(taken(kChat, with(R"(,"parallel_tool_calls":false)"))).one_call);

  for (const char* bad : {R"(,"tool_choice":"required")",
                          R"(,"tool_choice":{"type":"function","function":{"name":"sum"}})"}) {
    EXPECT_EQ(refusal(kChat, with(bad)).param, "tool_choice") << "without tools";
  }
  const ApiError unknown = refusal(
      kChat,
      with(std::string(kTools) + R"(,"tool_choice":{"type":"function","function":{"name":"x"}})"));
  EXPECT_EQ(unknown.error_id, "TRI-HTTP-031");
  EXPECT_EQ(unknown.param, "tool_choice");
}

TEST(ChatRequest, StrictToolsAreNamed) {
  const ApiCall call =
      taken(kChat, with(R"(,"tools":[{"type":"function","function":{"name":"f","strict":true}}])"));
  EXPECT_THAT(call.warnings, ElementsAre("tools.strict"));
}

TEST(ChatRequest, TemplateVariablesComeFromFourFields) {
  const auto kwargs = [](const std::string& fields) {
    return chat_in(taken(kChat, with(fields))).kwargs_json;
  };
  EXPECT_EQ(kwargs(""), "");
  EXPECT_EQ(kwargs(R"(,"chat_template_kwargs":{})"), "");
  EXPECT_EQ(kwargs(R"(,"reasoning_effort":"low")"),
            R"({"reasoning_effort":"low","enable_thinking":true})");
  EXPECT_EQ(kwargs(R"(,"reasoning_effort":"none")"),
            R"({"reasoning_effort":"none","enable_thinking":false})");
  const Json both = Json::parse(kwargs(
      R"(,"reasoning_effort":"low","chat_template_kwargs":{"a":[1, 2],"enable_thinking":false})"));
  EXPECT_EQ(both, Json::parse(R"({"a":[1,2],"enable_thinking":false,"reasoning_effort":"low"})"));
}

TEST(ChatRequest, GenerationPromptAndContinuation) {
  EXPECT_FALSE(chat_in(taken(kChat, with(""))).no_generation_prompt);
  EXPECT_TRUE(
      chat_in(taken(kChat, with(R"(,"add_generation_prompt":false)"))).no_generation_prompt);
  const ChatRequest continued = chat_in(taken(kChat, with(R"(,"continue_final_message":true)")));
  EXPECT_TRUE(continued.continue_final_message);
  EXPECT_EQ(refusal(kChat, with(R"(,"continue_final_message":true,"add_generation_prompt":true)"))
                .error_id,
            "TRI-HTTP-032");
}

TEST(ChatRequest, MessagesOfClientsAreTaken) {
  for (const char* message : {
           R"({"role":"assistant","content":null,"refusal":null,"audio":null,"function_call":null,)"
           R"("tool_calls":[{"id":"c","type":"function","function":)"
           R"({"name":"f","arguments":"{}"}}]})",
           R"({"role":"assistant","content":"a","reasoning_content":"r","annotations":[]})",
           R"({"role":"tool","tool_call_id":"c","content":"1"})",
           R"({"role":"developer","content":[{"type":"text","text":"a"}]})",
           R"({"role":"assistant","content":[{"type":"refusal","refusal":"no"}]})",
           R"({"role":"assistant"})",
       }) {
    taken(kChat, with_message(message));
  }
}

TEST(ChatRequest, WrongMessagesAreRefusedByTheirNumber) {
  const std::pair<const char*, const char*> kWrong[] = {
      {"TRI-HTTP-029", "7"},
      {"TRI-HTTP-029", R"({"content":"a"})"},
      {"TRI-HTTP-029", R"({"role":"robot","content":"a"})"},
      {"TRI-HTTP-029", R"({"role":"user"})"},
      {"TRI-HTTP-029", R"({"role":"user","content":7})"},
      {"TRI-HTTP-029", R"({"role":"user","content":["a"]})"},
      {"TRI-HTTP-029", R"({"role":"user","content":[{"text":"a"}]})"},
      {"TRI-HTTP-029", R"({"role":"user","content":[{"type":"text"}]})"},
      {"TRI-HTTP-029", R"({"role":"user","content":"a","tool_calls":[{}]})"},
      {"TRI-HTTP-029", R"({"role":"assistant","tool_calls":[{"id":"c"}]})"},
      {"TRI-HTTP-029", R"({"role":"assistant","tool_calls":7})"},
      {"TRI-HTTP-030", R"({"role":"user","content":[{"type":"image_url","image_url":{}}]})"},
      {"TRI-HTTP-030", R"({"role":"user","content":[{"type":"input_audio"}]})"},
      {"TRI-HTTP-030", R"({"role":"user","content":[{"type":"file"}]})"},
      {"TRI-HTTP-024", R"({"role":"assistant","content":"a","function_call":{"name":"f"}})"},
      {"TRI-HTTP-024", R"({"role":"assistant","audio":{"id":"a"}})"},
  };
  for (const auto& [id, message] : kWrong) {
    const ApiError error = refusal(kChat, with_message(message));
    EXPECT_EQ(error.error_id, id) << message;
    EXPECT_THAT(error.param, HasSubstr("messages[1]")) << message;
    EXPECT_THAT(error.message, HasSubstr("messages[1]")) << message;
  }
  EXPECT_EQ(refusal(kChat, R"({"messages":[]})").error_id, "TRI-HTTP-029");
}

TEST(ChatRequest, ListsHaveLimits) {
  std::string messages = R"({"messages":[{"role":"user","content":"a"})";
  for (int i = 0; i < 4096; ++i) messages += R"(,{"role":"user","content":"a"})";
  EXPECT_EQ(refusal(kChat, messages + "]}").error_id, "TRI-HTTP-028");
  std::string tools = R"(,"tools":[{"type":"function","function":{"name":"f"}})";
  for (int i = 0; i < 1024; ++i) tools += R"(,{"type":"function","function":{"name":"f"}})";
  EXPECT_EQ(refusal(kChat, with(tools + "]")).error_id, "TRI-HTTP-028");
}

TEST(ChatRequest, FieldsThatContradictEachOtherAreRefused) {
  const ApiError error = refusal(kChat, with(R"(,"top_logprobs":3)"));
  EXPECT_EQ(error.error_id, "TRI-HTTP-032");
  EXPECT_EQ(error.param, "top_logprobs");
}

TEST(ChatRequest, OnlyAnObjectOfJsonIsRead) {
  EXPECT_EQ(refusal(kChat, "").error_id, "TRI-HTTP-020");
  EXPECT_EQ(refusal(kChat, "{\"messages\":[}").error_id, "TRI-HTTP-020");
  EXPECT_EQ(refusal(kChat, "[]").error_id, "TRI-HTTP-021");
  EXPECT_EQ(refusal(kChat, std::string(100, '[') + std::string(100, ']')).error_id, "TRI-HTTP-020");
  EXPECT_EQ(refusal(kChat, "{\"messages\":\"\xFF\"}").error_id, "TRI-HTTP-020");
}

TEST(ChatRequest, ModelsAreFoundByName) {
  ApiContext context = demo_context();
  EXPECT_EQ(submit_in(taken(kChat, with(""))).model, "demo");
  const ApiError unknown = refusal(kChat, with(R"(,"model":"other")"));
  EXPECT_EQ(unknown.http_status, 404);
  EXPECT_EQ(unknown.code, "model_not_found");
  EXPECT_EQ(unknown.param, "model");
  EXPECT_THAT(unknown.message, HasSubstr("served are demo"));

  context.accept_any_model = true;
  EXPECT_EQ(submit_in(taken(kChat, with(R"(,"model":"other")"), context)).model, "demo");

  context.accept_any_model = false;
  context.models.push_back(demo_model());
  context.models.back().name = "second";
  EXPECT_EQ(submit_in(taken(kChat, with(R"(,"model":"second")"), context)).model, "second");
  EXPECT_EQ(refusal(kChat, with(""), context).error_id, "TRI-HTTP-022");

  context.models.clear();
  const ApiError none = refusal(kChat, with(""), context);
  EXPECT_EQ(none.http_status, 503);
  EXPECT_EQ(none.error_id, "TRI-HTTP-027");
}

TEST(ChatRequest, StructuredOutputIsRefusedByItsField) {
  const ApiError error =
      refusal(kChat, with(R"(,"response_format":{"type":"json_schema","json_schema":{}})"));
  EXPECT_EQ(error.error_id, "TRI-REQ-095");
  EXPECT_EQ(error.param, "response_format");
}

}  // namespace chat_request_test
}  // namespace trireme::gateway
