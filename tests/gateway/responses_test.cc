// POST /v1/responses: items become a chat, and answers become items with their events.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/gateway/api_fixture.h"

namespace trireme::gateway {
namespace responses_test {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Api kResponses = Api::kResponses;

Json messages_of(const std::string& body) {
  return Json::parse(chat_in(taken(kResponses, body)).messages_json);
}

TEST(Responses, InputBecomesMessages) {
  EXPECT_EQ(messages_of(R"({"input":"H\u00e9","instructions":"Be kind"})"),
            Json::parse(R"([{"role":"system","content":"Be kind"},
                            {"role":"user","content":"H\u00e9"}])"));
  EXPECT_EQ(messages_of(R"({"input":[
      {"role":"developer","content":"d"},
      {"type":"message","role":"user","content":[{"type":"input_text","text":"a"},
                                                 {"type":"input_text","text":"b"}]},
      {"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"r"}]},
      {"type":"message","role":"assistant","content":[{"type":"output_text","text":"x"},
                                                      {"type":"output_text","text":"y"}]},
      {"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1}"},
      {"type":"function_call","call_id":"c2","name":"g","arguments":"{}"},
      {"type":"function_call_output","call_id":"c1","output":"1"},
      {"type":"function_call_output","call_id":"c2",
       "output":[{"type":"input_text","text":"2"}]},
      {"role":"assistant","content":"z"},
      {"role":"assistant","content":"w"}]})"),
            Json::parse(R"([
      {"role":"developer","content":"d"},
      {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
      {"role":"assistant","content":"xy","reasoning_content":"r","tool_calls":[
        {"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},
        {"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"c1","content":"1"},
      {"role":"tool","tool_call_id":"c2","content":"2"},
      {"role":"assistant","content":"z"},
      {"role":"assistant","content":"w"}])"));
}

TEST(Responses, AStreamedEventIsOneLineHoweverTheToolsAreWritten) {
  const ApiCall call = taken(kResponses,
                             "{\"input\":\"a\",\"stream\":true,\"tools\":[\n {\r\n\n"
                             "\"type\":\"function\",\"name\":\"a b\"}]}");
  std::string out;
  call.writer->on_accepted(0, accepted(), out);
  const std::vector<Event> events = events_of(out);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(Json::parse(events[0].data)["response"]["tools"][0]["name"], "a b");
}

TEST(Responses, ToolsThatAreNoFunctionsAreNamed) {
  const ApiCall call = taken(kResponses,
                             R"({"input":"a","tools":[{"type":"web_search"},
      {"type":"function","name":"f","description":"d","parameters":{"x": 1},"strict":true}]})");
  EXPECT_EQ(Json::parse(chat_in(call).tools_json), Json::parse(R"([{"type":"function","function":
                {"name":"f","description":"d","parameters":{"x":1},"strict":true}}])"));
  EXPECT_THAT(call.warnings, ElementsAre("tools.web_search", "tools.strict"));
}

TEST(Responses, NothingIsKeptBetweenRequests) {
  for (const char* field :
       {R"("previous_response_id":"r")", R"("conversation":"c")", R"("background":true)"}) {
    const ApiError error = refusal(kResponses, std::string(R"({"input":"a",)") + field + "}");
    EXPECT_EQ(error.error_id, "TRI-HTTP-024") << field;
  }
  EXPECT_EQ(refusal(kResponses, R"({"input":[{"type":"item_reference","id":"i"}]})").param,
            "input[0]");
  EXPECT_EQ(
      refusal(kResponses, R"({"input":"a","text":{"format":{"type":"json_schema"}}})").error_id,
      "TRI-REQ-095");
}

TEST(Responses, WrongItemsAreRefusedByTheirNumber) {
  for (const char* item : {"7",
                           R"({"role":"user"})",
                           R"({"role":"robot","content":"a"})",
                           R"({"role":"user","content":[{"type":"input_image"}]})",
                           R"({"type":"function_call","name":"f"})",
                           R"({"type":"function_call_output","output":"a"})",
                           R"({"type":"reasoning","content":"r"})",
                           R"({"type":"computer_call"})"}) {
    const ApiError error = refusal(
        kResponses, std::string(R"({"input":[{"role":"user","content":"a"},)") + item + "]}");
    EXPECT_THAT(error.message, HasSubstr("input[1]")) << item;
  }
  EXPECT_EQ(refusal(kResponses, R"({"input":[]})").error_id, "TRI-HTTP-029");
}

void answer(AnswerWriter& writer, door::FinishReason reason, std::string& out) {
  writer.on_accepted(0, accepted(), out);
  writer.on_piece(0, part_piece({reasoning("Think")}), out);
  writer.on_piece(0, part_piece({reasoning("ing."), content("Hel")}), out);
  writer.on_piece(0, part_piece({content("lo")}), out);
  writer.on_piece(0, part_piece({call_part(0, "call_a", "sum", "{\"a\":")}), out);
  writer.on_piece(
      0, part_piece({call_part(0, "", "", "1}"), call_part(1, "call_b", "now", "{}")}), out);
  writer.on_finished(0, finished(reason), out);
}

TEST(Responses, TheLastEventIsTheBody) {
  constexpr const char* kFields = R"("input":"a","instructions":"i","temperature":0.5,)"
                                  R"("max_output_tokens":9,"tool_choice":"auto",)"
                                  R"("tools":[{"type":"function","name":"sum"}])";
  std::string stream;
  answer(*taken(kResponses, "{" + std::string(kFields) + R"(,"stream":true})").writer,
         door::FinishReason::kToolCalls,
         stream);
  const ApiCall call = taken(kResponses, "{" + std::string(kFields) + "}");
  std::string nothing;
  answer(*call.writer, door::FinishReason::kToolCalls, nothing);
  EXPECT_EQ(nothing, "");

  const auto events = events_of(stream);
  const Json body = Json::parse(call.writer->body());
  const Json last = Json::parse(events.back().data);
  EXPECT_EQ(last["type"], "response.completed");
  EXPECT_EQ(last["response"], body);
  EXPECT_EQ(body["instructions"], "i");
  EXPECT_EQ(body["tools"], Json::parse(R"([{"type":"function","name":"sum"}])"));
  EXPECT_EQ(body["usage"], Json::parse(R"({"input_tokens":7,
      "input_tokens_details":{"cached_tokens":4,"cache_write_tokens":0},"output_tokens":3,
      "output_tokens_details":{"reasoning_tokens":1},"total_tokens":10})"));
  expect_golden("response_stream.txt", stream);

  // Numbers without gaps, and the deltas of an item are its text.
  std::map<std::string, std::string> joined;
  for (size_t i = 0; i < events.size(); ++i) {
    const Json event = Json::parse(events[i].data);
    EXPECT_EQ(event["sequence_number"], i);
    EXPECT_EQ(event["type"], events[i].name);
    if (event.contains("delta")) {
      joined[event["item_id"]] += event["delta"].get<std::string>();
    }
  }
  ASSERT_EQ(body["output"].size(), 4U);
  EXPECT_EQ(joined[body["output"][0]["id"]], body["output"][0]["content"][0]["text"]);
  EXPECT_EQ(joined[body["output"][1]["id"]], body["output"][1]["content"][0]["text"]);
  EXPECT_EQ(joined[body["output"][2]["id"]], body["output"][2]["arguments"]);
  EXPECT_EQ(joined[body["output"][3]["id"]], body["output"][3]["arguments"]);
}

TEST(Responses, CutAnswersAreIncomplete) {
  const ApiCall call = taken(kResponses, R"({"input":"a"})");
  std::string nothing;
  call.writer->on_accepted(0, accepted(), nothing);
  call.writer->on_piece(0, part_piece({content("Hel")}), nothing);
  call.writer->on_finished(0, finished(door::FinishReason::kLength), nothing);
  const Json body = Json::parse(call.writer->body());
  EXPECT_EQ(body["status"], "incomplete");
  EXPECT_EQ(body["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(body["output"][0]["status"], "incomplete");
}

TEST(Responses, AFailureIsAnEvent) {
  const ApiCall call = taken(kResponses, R"({"input":"a","stream":true})");
  std::string stream;
  call.writer->on_accepted(0, accepted(), stream);
  call.writer->on_piece(0, part_piece({content("Hel")}), stream);
  door::Finished failed = finished(door::FinishReason::kFailed);
  failed.error_kind = door::ErrorKind::kInternal;
  failed.error_id = "TRI-REQ-041";
  failed.error_message = "TRI-REQ-041: a rank died";
  call.writer->on_failure(from_finished(failed), stream);
  EXPECT_TRUE(call.writer->finished());
  const Json last = Json::parse(events_of(stream).back().data);
  EXPECT_EQ(last["type"], "response.failed");
  EXPECT_EQ(last["response"]["status"], "failed");
  EXPECT_EQ(last["response"]["error"]["code"], "server_error");
  EXPECT_EQ(last["response"]["error"]["message"], "TRI-REQ-041: a rank died");
}

TEST(Responses, LogprobsGoWithTheTextOfTheirTokens) {
  const ApiCall call = taken(kResponses, R"({"input":"a","top_logprobs":1})");
  EXPECT_EQ(submit_in(call).sampling.logprobs, 1);
  std::string nothing;
  call.writer->on_accepted(0, accepted(), nothing);
  const auto piece = [](std::vector<AnswerPart> parts, const char* bytes) {
    door::Piece made = part_piece(std::move(parts));
    made.logprobs.resize(1);
    made.logprobs[0].token = {5, -0.5};
    made.logprobs[0].token_bytes = bytes;
    return made;
  };
  call.writer->on_piece(0, piece({reasoning("r")}, "r"), nothing);
  call.writer->on_piece(0, piece({}, "\xC3"), nothing);
  call.writer->on_piece(0, piece({content("\xC3\xA9")}, "\xA9"), nothing);
  call.writer->on_finished(0, finished(), nothing);
  const Json body = Json::parse(call.writer->body());
  const Json logprobs = body["output"][1]["content"][0]["logprobs"];
  ASSERT_EQ(logprobs.size(), 2U);
  EXPECT_EQ(logprobs[0]["bytes"], Json::parse("[195]"));
  EXPECT_EQ(logprobs[1]["bytes"], Json::parse("[169]"));
}

}  // namespace responses_test
}  // namespace trireme::gateway
