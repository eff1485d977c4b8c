// POST /v1/completions: prompts of every form, and answers of several prompts and choices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/gateway/api_fixture.h"

namespace trireme::gateway {
namespace completions_test {

using testing::ElementsAre;
using testing::SizeIs;

constexpr Api kCompletions = Api::kCompletions;

std::vector<door::Submit> submits(const std::string& body) {
  return std::get<std::vector<door::Submit>>(taken(kCompletions, body).questions);
}

TEST(Completions, APromptIsTextsOrIds) {
  using Ids = std::vector<TokenId>;
  EXPECT_EQ(std::get<std::string>(submits(R"({"prompt":"a"})")[0].prompt), "a");
  const auto texts = submits(R"({"prompt":["a","b"]})");
  ASSERT_THAT(texts, SizeIs(2));
  EXPECT_EQ(std::get<std::string>(texts[1].prompt), "b");
  EXPECT_EQ(std::get<Ids>(submits(R"({"prompt":[1,2]})")[0].prompt), (Ids{1, 2}));
  const auto lists = submits(R"({"prompt":[[1,2],[3]]})");
  ASSERT_THAT(lists, SizeIs(2));
  EXPECT_EQ(std::get<Ids>(lists[1].prompt), Ids{3});

  for (const char* bad : {R"({"prompt":[]})",
                          R"({"prompt":7})",
                          R"({"prompt":[1,"a"]})",
                          R"({"prompt":["a",{}]})",
                          R"({"prompt":[-1]})",
                          R"({"prompt":[1.5]})"}) {
    EXPECT_EQ(refusal(kCompletions, bad).param, "prompt") << bad;
  }
  Json many = {{"prompt", Json::array()}};
  for (int i = 0; i < 65; ++i) many["prompt"].push_back("a");
  EXPECT_EQ(refusal(kCompletions, many.dump()).error_id, "TRI-HTTP-028");
}

TEST(Completions, DefaultsAreThoseOfThisApi) {
  const door::Submit submit = submits(R"({"prompt":"a"})")[0];
  EXPECT_EQ(submit.sampling.max_tokens, 16);
  EXPECT_TRUE(submit.add_special_tokens);
  EXPECT_FALSE(submits(R"({"prompt":"a","add_special_tokens":false})")[0].add_special_tokens);
}

TEST(Completions, PromptsThatEachChoiceRepeatHaveABound) {
  const auto body = [](const char* field, int num_choices) {
    Json request = {{"prompt", std::string(8 << 20, 'a')}, {"n", num_choices}};
    request[field] = 1;
    if (request.contains("echo")) request["echo"] = true;
    return request.dump();
  };
  EXPECT_EQ(submits(body("echo", 32))[0].sampling.n, 32);
  const ApiError echo = refusal(kCompletions, body("echo", 33));
  EXPECT_EQ(echo.error_id, "TRI-HTTP-033");
  EXPECT_EQ(echo.param, "echo");
  EXPECT_EQ(submits(body("logprobs", 64))[0].sampling.n, 64);
  const ApiError logprobs = refusal(kCompletions, body("prompt_logprobs", 2));
  EXPECT_EQ(logprobs.error_id, "TRI-HTTP-033");
  EXPECT_EQ(logprobs.param, "prompt_logprobs");
}

TEST(Completions, EachPromptHasAKeyOfItsOwn) {
  ApiHeaders headers;
  headers.idempotency_key = "k";
  auto result = read_call(kCompletions, R"({"prompt":["a","b"]})", headers, demo_context());
  const auto& all = std::get<std::vector<door::Submit>>(std::get<ApiCall>(result).questions);
  EXPECT_EQ(all[0].idempotency_key, "k#0");
  EXPECT_EQ(all[1].idempotency_key, "k#1");
}

// Two prompts of two choices, whose pieces interleave.
void answer(AnswerWriter& writer, std::string& out) {
  writer.on_accepted(0, accepted(0), out);
  writer.on_accepted(1, accepted(1), out);
  writer.on_piece(1, text_piece("d", 1), out);
  writer.on_piece(0, text_piece("a", 0), out);
  writer.on_piece(1, text_piece("c", 0), out);
  writer.on_piece(0, text_piece("b", 1), out);
  writer.on_piece(0, text_piece("A", 0), out);
  EXPECT_FALSE(writer.finished());
  for (const int prompt : {1, 0}) {
    for (const int choice : {1, 0}) {
      door::Finished last = finished(door::FinishReason::kLength, choice);
      last.text = "!";
      writer.on_finished(prompt, last, out);
    }
  }
  EXPECT_TRUE(writer.finished());
}

constexpr const char* kTwoByTwo = R"({"prompt":["p","q"],"n":2)";

TEST(Completions, ChoicesAreNumberedPromptByPrompt) {
  const ApiCall call = taken(kCompletions, std::string(kTwoByTwo) + "}");
  std::string nothing;
  answer(*call.writer, nothing);
  EXPECT_EQ(nothing, "");
  const Json body = Json::parse(call.writer->body());
  ASSERT_EQ(body["choices"].size(), 4U);
  const char* kTexts[] = {"aA!", "b!", "c!", "d!"};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(body["choices"][i]["index"], i);
    EXPECT_EQ(body["choices"][i]["text"], kTexts[i]);
    EXPECT_EQ(body["choices"][i]["finish_reason"], "length");
  }
  EXPECT_EQ(body["usage"]["prompt_tokens"], 14);
  EXPECT_EQ(body["usage"]["completion_tokens"], 12);
  EXPECT_EQ(body["usage"]["prompt_tokens_details"]["cached_tokens"], 8);

  std::string stream;
  answer(*taken(kCompletions, std::string(kTwoByTwo) + R"(,"stream":true})").writer, stream);
  std::map<int, std::string> joined;
  for (const Event& event : events_of(stream)) {
    if (event.data == "[DONE]") break;
    const Json chunk = Json::parse(event.data);
    for (const Json& choice : chunk["choices"]) {
      joined[choice["index"]] += choice["text"].get<std::string>();
    }
  }
  EXPECT_THAT(joined,
              ElementsAre(testing::Pair(0, "aA!"),
                          testing::Pair(1, "b!"),
                          testing::Pair(2, "c!"),
                          testing::Pair(3, "d!")));
}

TEST(Completions, UsageSoFarIsInEveryChunk) {
  std::string stream;
  const ApiCall call =
      taken(kCompletions,
            std::string(kTwoByTwo) + R"(,"stream":true,"stream_options":)"
                                     R"({"include_usage":true,"continuous_usage_stats":true}})");
  answer(*call.writer, stream);
  const auto events = events_of(stream);
  int64_t before = 0;
  for (size_t i = 0; i + 1 < events.size(); ++i) {
    const int64_t now = Json::parse(events[i].data)["usage"]["completion_tokens"];
    EXPECT_GE(now, before);
    before = now;
  }
  EXPECT_EQ(before, 12);
  EXPECT_EQ(Json::parse(events[events.size() - 2].data)["choices"], Json::array());
}

// The echo, the prompt's log-probabilities in two messages, and two tokens of an answer.
void echo_answer(AnswerWriter& writer, std::string& out) {
  door::Accepted start = accepted(0);
  start.prompt_tokens = 3;
  writer.on_accepted(0, start, out);
  writer.on_prompt_logprobs(0, {0, 1, {entry(2, -1, "llo")}}, out);
  writer.on_prompt_logprobs(0, {0, 2, {entry(3, -2, " wide")}}, out);
  door::Piece piece;
  piece.text = "h\xC3\xA9llo wide world";
  piece.echo_bytes = 11;
  piece.token_ids = {4, 5};
  piece.logprobs = {entry(4, -0.5, " wor"), entry(5, -0.25, "ld")};
  writer.on_piece(0, piece, out);
  writer.on_finished(0, finished(), out);
}

TEST(Completions, EchoWithLogprobsListsThePromptFirst) {
  constexpr const char* kEcho = R"({"prompt":"x","echo":true,"logprobs":1)";
  const ApiCall call = taken(kCompletions, std::string(kEcho) + "}");
  EXPECT_EQ(submit_in(call).sampling.prompt_logprobs, 1);
  std::string nothing;
  echo_answer(*call.writer, nothing);
  const Json choice = Json::parse(call.writer->body())["choices"][0];
  EXPECT_EQ(choice["text"], "h\xC3\xA9llo wide world");
  const Json wanted = Json::parse(R"({
      "tokens": ["h\u00e9", "llo", " wide", " wor", "ld"],
      "token_logprobs": [null, -1, -2, -0.5, -0.25],
      "top_logprobs": [null, {"llo": -1, "z": -4}, {" wide": -2, "z": -4},
                       {" wor": -0.5, "z": -4}, {"ld": -0.25, "z": -4}],
      "text_offset": [0, 2, 5, 10, 14]})");
  EXPECT_EQ(choice["logprobs"], wanted);

  std::string stream;
  echo_answer(*taken(kCompletions, std::string(kEcho) + R"(,"stream":true})").writer, stream);
  Json joined = {{"tokens", Json::array()},
                 {"token_logprobs", Json::array()},
                 {"top_logprobs", Json::array()},
                 {"text_offset", Json::array()}};
  for (const Event& event : events_of(stream)) {
    if (event.data == "[DONE]") break;
    const Json logprobs = Json::parse(event.data)["choices"][0]["logprobs"];
    if (logprobs.is_null()) continue;
    for (const auto& [name, values] : logprobs.items()) {
      for (const Json& value : values) joined[name].push_back(value);
    }
  }
  EXPECT_EQ(joined, wanted);
}

TEST(Completions, PromptLogprobsAreAListOfObjects) {
  const ApiCall call = taken(kCompletions, R"({"prompt":"x","prompt_logprobs":1})");
  std::string nothing;
  call.writer->on_accepted(0, accepted(0), nothing);
  door::TokenLogprob second = entry(2, -1, "b");
  second.token = {7, -5};
  call.writer->on_prompt_logprobs(0, {0, 1, {second}}, nothing);
  call.writer->on_finished(0, finished(), nothing);
  const Json choice = Json::parse(call.writer->body())["choices"][0];
  EXPECT_EQ(choice["prompt_logprobs"], Json::parse(R"([null, {
      "2": {"logprob": -1, "rank": 1, "decoded_token": "b"},
      "9": {"logprob": -4, "rank": 2, "decoded_token": "z"},
      "7": {"logprob": -5, "rank": null, "decoded_token": "b"}}])"));
  EXPECT_EQ(choice["logprobs"], nullptr);
}

TEST(Completions, NoTokenIsShownWhenNoneIsAskedFor) {
  const ApiCall call = taken(kCompletions, R"({"prompt":"x","echo":true,"max_tokens":0})");
  EXPECT_EQ(submit_in(call).sampling.max_tokens, 1) << "the least that the door draws";
  std::string nothing;
  echo_answer(*call.writer, nothing);
  const Json body = Json::parse(call.writer->body());
  EXPECT_EQ(body["choices"][0]["text"], "h\xC3\xA9llo wide");
  EXPECT_EQ(body["usage"]["completion_tokens"], 0);
}

TEST(Completions, TokenIdsAreInEveryChunkThatHasThem) {
  const ApiCall call =
      taken(kCompletions, R"({"prompt":"x","return_token_ids":true,"stream":true})");
  std::string stream;
  call.writer->on_accepted(0, accepted(0), stream);
  call.writer->on_piece(0, text_piece("a"), stream);
  door::Piece late = text_piece("");
  call.writer->on_piece(0, late, stream);
  call.writer->on_finished(0, finished(), stream);
  const auto events = events_of(stream);
  const Json first = Json::parse(events.at(0).data)["choices"][0];
  EXPECT_EQ(first["token_ids"], Json::parse("[101]"));
  EXPECT_EQ(first["prompt_token_ids"], Json::parse("[1,2,3]"));
  const Json second = Json::parse(events.at(1).data)["choices"][0];
  EXPECT_EQ(second["token_ids"], Json::parse("[100]"));
  EXPECT_FALSE(second.contains("prompt_token_ids"));
}

TEST(Completions, StreamHasTheBytesOfTheGoldenFile) {
  std::string stream;
  echo_answer(
      *taken(kCompletions, R"({"prompt":"x","echo":true,"logprobs":1,"stream":true})").writer,
      stream);
  expect_golden("completion_stream.txt", stream);
}

}  // namespace completions_test
}  // namespace trireme::gateway
