// POST /v1/messages and count_tokens: blocks become a chat, and answers become blocks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/gateway/api_fixture.h"

namespace trireme::gateway {
namespace messages_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Api kMessages = Api::kMessages;

std::string with(const std::string& fields) {
  return R"({"max_tokens":9,"messages":[{"role":"user","content":"Hi"}])" + fields + "}";
}

Json messages_of(const std::string& messages, const std::string& fields = "") {
  const ApiCall call = taken(kMessages, R"({"max_tokens":9,"messages":)" + messages + fields + "}");
  return Json::parse(chat_in(call).messages_json);
}

TEST(Messages, BlocksBecomeMessages) {
  EXPECT_EQ(messages_of(R"([
      {"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},
                                {"type":"text","text":"b"}]},
      {"role":"assistant","content":[
        {"type":"thinking","thinking":"t","signature":"s"},
        {"type":"text","text":"c"},
        {"type":"tool_use","id":"u1","name":"f","input":{"x": 1}},
        {"type":"tool_use","id":"u2","name":"g","input":{}}]},
      {"role":"user","content":[
        {"type":"tool_result","tool_use_id":"u1","content":"1"},
        {"type":"tool_result","tool_use_id":"u2","content":[{"type":"text","text":"2"}]},
        {"type":"text","text":"go"}]}])",
                        R"(,"system":[{"type":"text","text":"s"}])"),
            Json::parse(R"([
      {"role":"system","content":"s"},
      {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
      {"role":"assistant","content":"c","reasoning_content":"t","tool_calls":[
        {"id":"u1","type":"function","function":{"name":"f","arguments":"{\"x\": 1}"}},
        {"id":"u2","type":"function","function":{"name":"g","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"u1","content":"1"},
      {"role":"tool","tool_call_id":"u2","content":"2"},
      {"role":"user","content":"go"}])"));
}

TEST(Messages, TheBillingLineIsDropped) {
  const std::string hello = R"([{"role":"user","content":"Hi"}])";
  const Json plain = messages_of(hello, R"(,"system":"You are")");
  EXPECT_EQ(messages_of(hello, R"(,"system":"x-anthropic-billing-header: cc=1;\nYou are")"), plain);
  EXPECT_EQ(messages_of(hello,
                        R"(,"system":[{"type":"text","text":"x-anthropic-billing-header: cc=1;"},)"
                        R"({"type":"text","text":"You are"}])"),
            plain);
  EXPECT_EQ(messages_of(hello, R"(,"system":"x-anthropic-billing-header: cc=1;")"),
            messages_of(hello));
  EXPECT_EQ(
      messages_of(R"([{"role":"system","content":"You are"},{"role":"user","content":"Hi"}])"),
      plain);
}

TEST(Messages, ALastMessageOfTheAssistantIsContinued) {
  const auto chat = [](const std::string& messages) {
    return chat_in(taken(kMessages, R"({"max_tokens":9,"messages":)" + messages + "}"));
  };
  EXPECT_FALSE(chat(R"([{"role":"user","content":"a"}])").continue_final_message);
  for (const char* content : {R"("b")", R"([{"type":"text","text":"b"}])", R"("")", "[]"}) {
    const ChatRequest made =
        chat(std::string(R"([{"role":"user","content":"a"},{"role":"assistant","content":)") +
             content + "}]");
    EXPECT_TRUE(made.continue_final_message) << content;
    EXPECT_TRUE(made.no_generation_prompt) << content;
    EXPECT_EQ(Json::parse(made.messages_json).size(), 2U) << content;
  }
}

TEST(Messages, ToolsAndChoices) {
  constexpr const char* kTools =
      R"(,"tools":[{"name":"f","description":"d","input_schema":{"x": 1},)"
      R"("cache_control":{"type":"ephemeral"}}])";
  const auto chat = [&](const std::string& choice) {
    return chat_in(taken(kMessages, with(std::string(kTools) + ",\"tool_choice\":" + choice)));
  };
  const ChatRequest made = chat(R"({"type":"auto","disable_parallel_tool_use":true})");
  EXPECT_EQ(Json::parse(made.tools_json), Json::parse(R"([{"type":"function","function":
                {"name":"f","description":"d","parameters":{"x":1}}}])"));
  EXPECT_TRUE(made.one_call);
  EXPECT_EQ(chat(R"({"type":"any"})").tool_choice, ToolChoice::kRequired);
  EXPECT_EQ(chat(R"({"type":"none"})").tool_choice, ToolChoice::kNone);
  EXPECT_EQ(chat(R"({"type":"tool","name":"f"})").tool_name, "f");
  EXPECT_EQ(refusal(kMessages, with(R"(,"tool_choice":{"type":"any"})")).error_id, "TRI-HTTP-031");
}

TEST(Messages, ThinkingAndEffortAreTemplateVariables) {
  const ApiCall call =
      taken(kMessages, with(R"(,"thinking":{"type":"enabled","budget_tokens":1024})"));
  EXPECT_EQ(chat_in(call).kwargs_json, R"({"enable_thinking":true})");
  EXPECT_THAT(call.warnings, ElementsAre("thinking.budget_tokens"));
  EXPECT_EQ(chat_in(taken(kMessages, with(R"(,"thinking":{"type":"disabled"})"))).kwargs_json,
            R"({"enable_thinking":false})");
  EXPECT_EQ(chat_in(taken(kMessages, with(R"(,"output_config":{"effort":"high"})"))).kwargs_json,
            R"({"reasoning_effort":"high","enable_thinking":true})");
  EXPECT_EQ(refusal(kMessages, with(R"(,"output_config":{"format":{}})")).error_id, "TRI-REQ-095");
}

TEST(Messages, WrongBlocksAreRefusedByTheirMessage) {
  for (const char* message : {
           "7",
           R"({"role":"user"})",
           R"({"role":"robot","content":"a"})",
           R"({"role":"user","content":7})",
           R"({"role":"user","content":[7]})",
           R"({"role":"user","content":[{"type":"image","source":{}}]})",
           R"({"role":"user","content":[{"type":"tool_result"}]})",
           R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"a",)"
           R"("content":[{"type":"image"}]}]})",
           R"({"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f"}]})",
           R"({"role":"assistant","content":[{"type":"redacted_thinking","data":"x"}]})",
       }) {
    const ApiError error =
        refusal(kMessages,
                std::string(R"({"max_tokens":9,"messages":[{"role":"user","content":"a"},)") +
                    message + "]}");
    EXPECT_THAT(error.message, HasSubstr("messages[1]")) << message;
  }
}

void answer(AnswerWriter& writer, door::FinishReason reason, std::string& out) {
  writer.on_accepted(0, accepted(), out);
  writer.on_silence(nullptr, out);
  writer.on_piece(0, part_piece({reasoning("Think")}), out);
  writer.on_piece(0, part_piece({reasoning("ing."), content("Hel")}), out);
  writer.on_piece(0, part_piece({content("lo")}), out);
  writer.on_piece(0, part_piece({call_part(0, "call_a", "sum", "{\"a\":")}), out);
  writer.on_piece(
      0, part_piece({call_part(0, "", "", "1}"), call_part(1, "call_b", "now", "{}")}), out);
  writer.on_finished(0, finished(reason), out);
}

// The message that the events make, as a client builds it.
Json joined(const std::vector<Event>& events) {
  Json message;
  std::string arguments;
  for (const Event& each : events) {
    const Json event = Json::parse(each.data);
    EXPECT_EQ(event["type"], each.name);
    if (each.name == "message_start") message = event["message"];
    if (each.name == "content_block_start") {
      EXPECT_EQ(event["index"], message["content"].size());
      message["content"].push_back(event["content_block"]);
      arguments.clear();
    }
    if (each.name == "content_block_delta") {
      Json& block = message["content"].back();
      const Json& delta = event["delta"];
      for (const char* name : {"text", "thinking"}) {
        if (delta.contains(name)) {
          block[name] = block[name].get<std::string>() + delta[name].get<std::string>();
        }
      }
      if (delta.contains("partial_json")) arguments += delta["partial_json"].get<std::string>();
    }
    if (each.name == "content_block_stop" && !arguments.empty()) {
      message["content"].back()["input"] = Json::parse(arguments);
    }
    if (each.name == "message_delta") {
      message["stop_reason"] = event["delta"]["stop_reason"];
      message["stop_sequence"] = event["delta"]["stop_sequence"];
      message["usage"] = event["usage"];
    }
  }
  return message;
}

TEST(Messages, JoinedEventsEqualTheBody) {
  std::string stream;
  answer(
      *taken(kMessages, with(R"(,"stream":true)")).writer, door::FinishReason::kToolCalls, stream);
  const ApiCall call = taken(kMessages, with(""));
  std::string nothing;
  answer(*call.writer, door::FinishReason::kToolCalls, nothing);
  EXPECT_EQ(nothing, "");
  const Json body = Json::parse(call.writer->body());
  EXPECT_EQ(joined(events_of(stream)), body);
  EXPECT_EQ(body["stop_reason"], "tool_use");
  EXPECT_EQ(body["usage"]["input_tokens"], 3);
  EXPECT_EQ(body["usage"]["cache_read_input_tokens"], 4);
  EXPECT_EQ(events_of(stream).back().name, "message_stop");
  expect_golden("message_stream.txt", stream);
}

TEST(Messages, StopReasons) {
  const auto stop = [](door::FinishReason reason, const std::string& text) {
    const ApiCall call = taken(kMessages, with(""));
    std::string nothing;
    call.writer->on_accepted(0, accepted(), nothing);
    door::Finished last = finished(reason);
    last.stop_string = text;
    call.writer->on_finished(0, last, nothing);
    const Json body = Json::parse(call.writer->body());
    return Json{body["stop_reason"], body["stop_sequence"]};
  };
  EXPECT_EQ(stop(door::FinishReason::kStop, ""), (Json{"end_turn", nullptr}));
  EXPECT_EQ(stop(door::FinishReason::kStop, "X"), (Json{"stop_sequence", "X"}));
  EXPECT_EQ(stop(door::FinishReason::kLength, ""), (Json{"max_tokens", nullptr}));
}

TEST(Messages, ArgumentsThatWereCutStayAnObject) {
  const ApiCall call = taken(kMessages, with(""));
  std::string nothing;
  call.writer->on_accepted(0, accepted(), nothing);
  call.writer->on_piece(0, part_piece({call_part(0, "c", "f", R"({"a":"x","b":[1,2)")}), nothing);
  call.writer->on_finished(0, finished(door::FinishReason::kLength), nothing);
  EXPECT_EQ(Json::parse(call.writer->body())["content"][0]["input"],
            Json::parse(R"({"a":"x","b":[1]})"));
}

TEST(Messages, NothingIsSaidWhereNoTokenIsAskedFor) {
  const ApiCall call =
      taken(kMessages, R"({"max_tokens":0,"messages":[{"role":"user","content":"a"}]})");
  std::string nothing;
  answer(*call.writer, door::FinishReason::kStop, nothing);
  const Json body = Json::parse(call.writer->body());
  EXPECT_THAT(body["content"], IsEmpty());
  EXPECT_EQ(body["usage"]["output_tokens"], 0);
  EXPECT_EQ(body["stop_reason"], "max_tokens");
}

TEST(Messages, AFailureIsAnEvent) {
  const ApiCall call = taken(kMessages, with(R"(,"stream":true)"));
  std::string stream;
  call.writer->on_accepted(0, accepted(), stream);
  ApiError error;
  error.http_status = 429;
  error.message = "TRI-REQ-030: full";
  call.writer->on_failure(error, stream);
  EXPECT_TRUE(call.writer->finished());
  const Event last = events_of(stream).back();
  EXPECT_EQ(last.name, "error");
  EXPECT_EQ(Json::parse(last.data)["error"]["type"], "overloaded_error");
}

TEST(Messages, TokensAreCountedOfTheSameChat) {
  const std::string prompt = R"("system":"s","messages":[{"role":"user","content":"Hi"}],)"
                             R"("tools":[{"name":"f","input_schema":{}}])";
  const ApiCall counted = taken(Api::kCountTokens, "{" + prompt + "}");
  const ApiCall asked = taken(kMessages, R"({"max_tokens":9,)" + prompt + "}");
  EXPECT_EQ(std::get<ChatRequest>(std::get<door::Tokenize>(counted.questions).what),
            chat_in(asked));
  EXPECT_EQ(write_tokenized(Api::kCountTokens, {0, {1, 2, 3}, {}}, counted),
            R"({"input_tokens":3})");
}

TEST(Messages, IdsOfTextsAndChats) {
  const ApiCall text = taken(
      Api::kTokenize, R"({"prompt":"a","add_special_tokens":false,"return_token_strs":true})");
  const auto& question = std::get<door::Tokenize>(text.questions);
  EXPECT_EQ(std::get<std::string>(question.what), "a");
  EXPECT_FALSE(question.add_special_tokens);
  EXPECT_EQ(write_tokenized(Api::kTokenize, {0, {1, 2}, {"a", "\""}}, text),
            R"({"count":2,"max_model_len":4096,"tokens":[1,2],"token_strs":["a","\""]})");
  const ApiCall chat = taken(Api::kTokenize, R"({"messages":[{"role":"user","content":"a"}]})");
  EXPECT_TRUE(std::holds_alternative<ChatRequest>(std::get<door::Tokenize>(chat.questions).what));
  EXPECT_EQ(refusal(Api::kTokenize, "{}").error_id, "TRI-HTTP-022");
  EXPECT_EQ(refusal(Api::kTokenize, R"({"prompt":"a","messages":[{"role":"user","content":"a"}]})")
                .error_id,
            "TRI-HTTP-022");

  const ApiCall ids = taken(Api::kDetokenize, R"({"tokens":[3,4]})");
  EXPECT_THAT(std::get<door::Detokenize>(ids.questions).ids, ElementsAre(3, 4));
  EXPECT_FALSE(std::get<door::Detokenize>(ids.questions).skip_special_tokens);
  EXPECT_EQ(write_detokenized({0, "a\nb"}), R"({"prompt":"a\nb"})");
}

}  // namespace messages_test
}  // namespace trireme::gateway
