// POST /v1/chat/completions: from the body to the door's request, and from its messages to the
// answer, streamed and not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/gateway/api_fixture.h"

namespace trireme::gateway {
namespace chat_completions_test {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

constexpr Api kChat = Api::kChatCompletions;
constexpr const char* kHello = R"({"model":"demo","messages":[{"role":"user","content":"Hi"}])";

std::string with(const std::string& fields) { return kHello + fields + "}"; }

TEST(ChatCompletions, MessagesReachTheDoorAsTheyCame) {
  const ApiCall call = taken(kChat, R"({"messages": [ {"role":"user", "content":"H\u00e9"} ]})");
  EXPECT_EQ(chat_in(call).messages_json, R"([ {"role":"user", "content":"H\u00e9"} ])");
  EXPECT_EQ(submit_in(call).model, "demo");
  EXPECT_EQ(submit_in(call).sampling.max_tokens, 4096) << "the length of the model";
  EXPECT_FALSE(call.streamed);
  EXPECT_THAT(call.warnings, IsEmpty());
}

// Content, reasoning and two calls, in pieces.
void answer(AnswerWriter& writer, std::string& out) {
  writer.on_accepted(0, accepted(), out);
  writer.on_piece(0, part_piece({reasoning("Think")}), out);
  writer.on_piece(0, part_piece({reasoning("ing."), content("Hel")}), out);
  writer.on_piece(0, part_piece({content("lo \"\n\xC3\xA9")}), out);
  writer.on_piece(0,
                  part_piece({
                      call_part(0, "call_a", "sum", "{\"a\":"),
                  }),
                  out);
  writer.on_piece(
      0, part_piece({call_part(0, "", "", "1}"), call_part(1, "call_b", "now", "{}")}), out);
  door::Finished last = finished(door::FinishReason::kToolCalls);
  writer.on_finished(0, last, out);
}

Json joined(const std::vector<Event>& events) {
  Json message = {{"content", ""}, {"reasoning", ""}, {"calls", Json::array()}, {"finish", ""}};
  for (const Event& event : events) {
    if (event.data == "[DONE]") break;
    const Json chunk = Json::parse(event.data);
    for (const Json& choice : chunk["choices"]) {
      const Json& delta = choice["delta"];
      const auto add = [&](const char* from, Json& to) {
        if (delta.contains(from)) to = to.get<std::string>() + delta[from].get<std::string>();
      };
      add("content", message["content"]);
      add("reasoning_content", message["reasoning"]);
      for (const Json& call : delta.value("tool_calls", Json::array())) {
        const size_t index = call["index"];
        if (call.contains("id")) {
          EXPECT_EQ(index, message["calls"].size());
          EXPECT_EQ(call["function"]["arguments"], "");
          message["calls"].push_back({call["id"], call["function"]["name"], ""});
        } else {
          Json& arguments = message["calls"][index][2];
          arguments =
              arguments.get<std::string>() + call["function"]["arguments"].get<std::string>();
        }
      }
      if (!choice["finish_reason"].is_null()) message["finish"] = choice["finish_reason"];
    }
  }
  return message;
}

TEST(ChatCompletions, JoinedChunksEqualTheBody) {
  std::string stream;
  answer(*taken(kChat, with(R"(,"stream":true)")).writer, stream);
  std::string nothing;
  const ApiCall call = taken(kChat, with(""));
  answer(*call.writer, nothing);
  EXPECT_EQ(nothing, "");
  ASSERT_TRUE(call.writer->finished());

  const Json message = joined(events_of(stream));
  const Json body = Json::parse(call.writer->body());
  const Json& whole = body["choices"][0]["message"];
  EXPECT_EQ(message["content"], whole["content"]);
  EXPECT_EQ(message["content"], "Hello \"\n\xC3\xA9");
  EXPECT_EQ(message["reasoning"], whole["reasoning"]);
  EXPECT_EQ(whole["reasoning"], whole["reasoning_content"]);
  ASSERT_EQ(whole["tool_calls"].size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    const Json& made = whole["tool_calls"][i];
    EXPECT_EQ(message["calls"][i],
              (Json{made["id"], made["function"]["name"], made["function"]["arguments"]}));
  }
  EXPECT_EQ(message["finish"], body["choices"][0]["finish_reason"]);
  EXPECT_EQ(body["usage"]["prompt_tokens_details"]["cached_tokens"], 4);
  EXPECT_EQ(body["usage"]["completion_tokens_details"]["reasoning_tokens"], 1);
}

TEST(ChatCompletions, StreamHasTheBytesOfTheGoldenFile) {
  std::string stream;
  answer(*taken(kChat, with(R"(,"stream":true,"stream_options":{"include_usage":true})")).writer,
         stream);
  expect_golden("chat_stream.txt", stream);
  std::string nothing;
  const ApiCall call = taken(kChat, with(""));
  answer(*call.writer, nothing);
  expect_golden("chat_body.json", call.writer->body() + "\n");
}

TEST(ChatCompletions, FailureAfterTheFirstByteIsAnErrorAndTheEnd) {
  const ApiCall call = taken(kChat, with(R"(,"stream":true)"));
  std::string out;
  call.writer->on_accepted(0, accepted(), out);
  call.writer->on_piece(0, text_piece("a"), out);
  door::Finished failed = finished(door::FinishReason::kFailed);
  failed.error_kind = door::ErrorKind::kDeadline;
  failed.error_id = "TRI-REQ-038";
  failed.error_message = "the deadline is over";
  call.writer->on_failure(from_finished(failed), out);
  EXPECT_TRUE(call.writer->finished());
  const auto events = events_of(out);
  ASSERT_GE(events.size(), 2U);
  EXPECT_EQ(events.back().data, "[DONE]");
  const Json error = Json::parse(events[events.size() - 2].data)["error"];
  EXPECT_EQ(error["type"], "timeout_error");
  EXPECT_EQ(error["id"], "TRI-REQ-038");
  EXPECT_THAT(error["message"].get<std::string>(), StartsWith("TRI-REQ-038: "));
}

TEST(ChatCompletions, SilenceIsAComment) {
  const ApiCall call = taken(kChat, with(R"(,"stream":true)"));
  std::string out;
  door::Progress progress;
  progress.queue_position = 12;
  call.writer->on_silence(&progress, out);
  progress = {0, 0, 4096, 9000};
  call.writer->on_silence(&progress, out);
  call.writer->on_silence(nullptr, out);
  EXPECT_EQ(out, ": queued 12\n\n: prefill 4096/9000\n\n: keep-alive\n\n");
  EXPECT_THAT(events_of(out), IsEmpty());
}

// Two choices whose pieces interleave; the first has a piece without text.
void answer_twice(AnswerWriter& writer, std::string& out) {
  writer.on_accepted(0, accepted(), out);
  door::Piece piece = part_piece({content("B")}, 1);
  piece.logprobs = {entry(5, -1, "B")};
  writer.on_piece(0, piece, out);
  piece = part_piece({}, 0);
  piece.token_ids = {6};
  piece.logprobs = {entry(6, -2, "\xC3")};
  writer.on_piece(0, piece, out);
  piece = part_piece({content("\xC3\xA9")}, 0);
  piece.token_ids = {7};
  piece.logprobs = {entry(7, -3, "\xA9")};
  writer.on_piece(0, piece, out);
  writer.on_finished(0, finished(door::FinishReason::kStop, 1), out);
  EXPECT_FALSE(writer.finished());
  writer.on_finished(0, finished(door::FinishReason::kLength, 0), out);
  EXPECT_TRUE(writer.finished());
}

constexpr const char* kTwice = R"(,"n":2,"logprobs":true,"top_logprobs":2,"return_token_ids":true)";

TEST(ChatCompletions, LogprobsAndIdsOfEveryTokenAreInTheBody) {
  const ApiCall call = taken(kChat, with(kTwice));
  std::string nothing;
  answer_twice(*call.writer, nothing);
  const Json body = Json::parse(call.writer->body());
  EXPECT_EQ(body["prompt_token_ids"], Json::parse("[1,2,3]"));
  const Json& first = body["choices"][0];
  EXPECT_EQ(first["message"]["content"], "\xC3\xA9");
  EXPECT_EQ(first["finish_reason"], "length");
  EXPECT_EQ(first["token_ids"], Json::parse("[6,7]"));
  ASSERT_EQ(first["logprobs"]["content"].size(), 2U);
  EXPECT_EQ(first["logprobs"]["content"][0], Json::parse(R"({
      "token": "\ufffd", "logprob": -2, "bytes": [195], "top_logprobs": [
        {"token": "\ufffd", "logprob": -2, "bytes": [195]},
        {"token": "z", "logprob": -4, "bytes": [122]}]})"));
  EXPECT_EQ(body["choices"][1]["message"]["content"], "B");
  EXPECT_EQ(body["usage"]["completion_tokens"], 6);
}

TEST(ChatCompletions, EachChunkHasAnIndexAndEachTokenIsInOneChunk) {
  std::string stream;
  const ApiCall call = taken(kChat,
                             with(std::string(kTwice) + R"(,"stream":true,"stream_options":)"
                                                        R"({"continuous_usage_stats":true})"));
  answer_twice(*call.writer, stream);
  std::vector<Json> ids(2, Json::array());
  std::vector<size_t> logprobs(2), roles(2);
  for (const Event& event : events_of(stream)) {
    if (event.data == "[DONE]") break;
    const Json chunk = Json::parse(event.data);
    EXPECT_TRUE(chunk["usage"].contains("completion_tokens"));
    for (const Json& choice : chunk["choices"]) {
      const size_t index = choice["index"];
      for (const Json& id : choice.value("token_ids", Json::array())) ids[index].push_back(id);
      if (!choice["logprobs"].is_null()) logprobs[index] += choice["logprobs"]["content"].size();
      roles[index] += choice["delta"].contains("role");
    }
  }
  EXPECT_EQ(ids[0], Json::parse("[6,7]"));
  EXPECT_EQ(ids[1], Json::parse("[5]"));
  EXPECT_THAT(logprobs, ElementsAre(2, 1));
  EXPECT_THAT(roles, ElementsAre(1, 1)) << "the role stands in the first chunk of a choice";
}

TEST(ChatCompletions, AnEmptyAnswerIsAnAnswer) {
  std::string stream;
  const ApiCall streamed = taken(kChat, with(R"(,"stream":true)"));
  streamed.writer->on_accepted(0, accepted(), stream);
  streamed.writer->on_finished(0, finished(), stream);
  ASSERT_EQ(events_of(stream).size(), 3U) << "role, finish_reason, [DONE]";
  const ApiCall call = taken(kChat, with(""));
  std::string nothing;
  call.writer->on_accepted(0, accepted(), nothing);
  call.writer->on_finished(0, finished(), nothing);
  EXPECT_EQ(Json::parse(call.writer->body())["choices"][0]["message"]["content"], "");
}

// A coordinator of another version may send choices and prompts that were not asked for.
TEST(ChatCompletions, MessagesOfOtherChoicesAreDropped) {
  const ApiCall call = taken(kChat, with(R"(,"stream":true)"));
  std::string out;
  call.writer->on_accepted(0, accepted(), out);
  call.writer->on_piece(0, text_piece("a", 7), out);
  call.writer->on_piece(3, text_piece("a", 0), out);
  call.writer->on_piece(0, text_piece("a", -1), out);
  call.writer->on_finished(1, finished(), out);
  EXPECT_EQ(out, "");
  EXPECT_FALSE(call.writer->finished());
}

}  // namespace chat_completions_test
}  // namespace trireme::gateway
