#include "proto/client_codec.h"

#include <gtest/gtest.h>

#include <random>

#include "base/text.h"
#include "proto/error_kind.h"
#include "proto/frame.h"
#include "proto/piece_cost.h"
#include "proto/prompt_scan.h"

namespace trireme {
namespace client_codec_test {

door::Submit some_submit() {
  door::Submit submit;
  submit.tag = 7;
  submit.model = "demo";
  submit.prompt = std::vector<TokenId>{1, 500, 70000};
  submit.add_special_tokens = false;
  submit.sampling.temperature = 0.f;
  submit.sampling.top_k = 0;
  submit.sampling.top_p = 0.5f;
  submit.sampling.min_p = 0.25f;
  submit.sampling.repetition_penalty = 1.25f;
  submit.sampling.presence_penalty = -1.f;
  submit.sampling.frequency_penalty = 1.f;
  submit.sampling.logit_bias = {{3, -100.f}, {4, 2.5f}};
  submit.sampling.min_tokens = 1;
  submit.sampling.max_tokens = 64;
  submit.sampling.stop = {"\n\n", "end"};
  submit.sampling.stop_token_ids = {2};
  submit.sampling.ignore_eos = true;
  submit.sampling.seed = 0;
  submit.sampling.n = 2;
  submit.sampling.logprobs = 0;
  submit.sampling.prompt_logprobs = 20;
  submit.sampling.skip_special_tokens = false;
  submit.sampling.include_stop_str_in_output = true;
  submit.sampling.echo = true;
  submit.kind = door::Kind::kProbe;
  submit.idempotency_key = "key";
  submit.traceparent = "00-aa-bb-01";
  submit.on_disconnect = door::OnDisconnect::kContinue;
  submit.deadline_ms = 1000;
  submit.credit_bytes = 4096;
  submit.probes = {{0, -1}, {5, 12}};
  submit.principal = "key of the team";
  submit.client_request_id = "theirs-1";
  submit.progress_interval_ms = 5000;
  submit.token_bytes = true;
  submit.structure = {door::Structure::Kind::kRegex, "a+"};
  submit.cache_salt = "salt";
  submit.want_prompt_ids = true;
  submit.client_state = std::string("\xff\0any bytes", 11);
  return submit;
}

ChatRequest some_chat() {
  ChatRequest chat;
  chat.messages_json = R"([{"role": "user", "content": "Ahoi"}])";
  chat.tools_json = R"([{"type": "function"}])";
  chat.documents_json = "[]";
  chat.kwargs_json = R"({"enable_thinking": false})";
  chat.no_generation_prompt = true;
  chat.continue_final_message = true;
  chat.tool_choice = ToolChoice::kNamed;
  chat.tool_name = "weigh";
  chat.one_call = true;
  chat.raw = true;
  return chat;
}

std::vector<door::FromClient> from_client() {
  door::Submit with_text;
  with_text.tag = 1;
  with_text.prompt = std::string("The galley");
  door::Submit with_messages;
  with_messages.tag = 2;
  with_messages.prompt = door::Messages{{"user", "Hello"}};
  door::Submit with_chat;
  with_chat.tag = 3;
  with_chat.prompt = some_chat();
  return {door::Hello{0, "test 1"},
          some_submit(),
          with_text,
          with_messages,
          with_chat,
          door::Tokenize{4, std::string("The galley"), false, true},
          door::Tokenize{5, some_chat(), true, false},
          door::Detokenize{6, {1, 70000}, false},
          door::Cancel{7, ""},
          door::Cancel{0, std::string(16, 'i')},
          door::Resume{8,
                       std::string(16, 'i'),
                       5,
                       {0, 12, door::kEndedIndex},
                       100,
                       {{1, 12}, {0, door::kEndedIndex}}},
          door::Credit{7, 1 << 20},
          door::Ping{~uint64_t{0}},
          door::ListModels{},
          door::StatusRequest{}};
}

door::ModelInfo some_model() {
  door::ModelInfo model;
  model.name = "demo";
  model.max_model_len = 2048;
  model.vocabulary_size = 1000;
  model.has_tokenizer = true;
  model.eos_token_ids = {1, 2};
  model.ready_groups = 1;
  model.allows_probes = true;
  model.num_layers = 4;
  model.hidden_size = 128;
  model.version = "1";
  model.labels = {"stable"};
  model.fingerprint = "00ff";
  model.created_s = 1'700'000'000;
  model.state = "AVAILABLE";
  model.chat = {true, "why", true, true, true};
  return model;
}

std::vector<AnswerPart> some_parts() {
  return {{PartKind::kReasoning, 0, "", "", "hm"},
          {PartKind::kContent, 0, "", "", "caf\xc3\xa9"},
          {PartKind::kToolCall, 1, "call_1", "weigh", "{"}};
}

door::Finished some_finished() {
  door::Finished finished;
  finished.tag = 7;
  finished.choice = 1;
  finished.reason = door::FinishReason::kFailed;
  finished.stop_string = "end";
  finished.stop_token_id = 0;
  finished.text = "tail";
  finished.error_id = "TRI-GRP-041";
  finished.error_message = "TRI-GRP-041: lost";
  finished.prompt_tokens = 3;
  finished.output_tokens = 4;
  finished.cached_tokens = 2;
  finished.queued_us = 1;
  finished.first_token_us = 2;
  finished.total_us = 3;
  finished.last_choice = true;
  finished.invariant = false;
  finished.parts = some_parts();
  finished.reasoning_tokens = 2;
  finished.tokenize_us = 4;
  finished.prefill_us = 5;
  finished.error_kind = door::ErrorKind::kUnavailable;
  return finished;
}

std::vector<door::ToClient> to_client() {
  const door::ModelInfo model = some_model();
  const door::TokenLogprob logprob{
      {5, -0.5f}, {{5, -0.5f}, {6, -1.5f}}, "\xc3", {"\xc3", std::string("\0", 1)}};
  door::GroupStatus group;
  group.group = 1;
  group.epoch = 2;
  group.state = "ready";
  group.tp = group.pp = 2;
  group.pages = 100;
  group.last_cause = "TRI-GRP-041: lost";
  group.ranks = {{0, "galley", "idle", 9, 100, 4711, 5, 6}};
  group.backend = "cpu";
  group.dtype = "bfloat16";
  group.page_tokens = 32;
  door::StatusReply status;
  status.server = "trireme 0.1.0";
  status.uptime_ms = 5;
  status.waiting = 1;
  status.draining = true;
  status.groups = {group};
  status.models = {model};
  status.healthy = true;
  status.reason = "none";
  status.token_age_ms = 12;
  return {
      door::Welcome{1, 1, 0, "trireme", {model}, {1, 2, 3, 4, 5, 6}, 1 << 20},
      door::Accepted{
          7, std::string(16, 'i'), 99, 3, true, "1f", "demo", "1", "00ff", {1, 2}, "\xff state"},
      door::Tokens{
          {{7, 1, 12, {5, 6}, "ab\xc3\xa9", {logprob}, {}}, {8, 0, 0, {1}, "", {}, some_parts()}}},
      door::PromptLogprobs{7, 1, {logprob, logprob}},
      door::ProbeValues{7, 5, -1, 2, 5, {0.5f, 1.f, -3.f}},
      some_finished(),
      door::Error{
          7, "TRI-REQ-001", "TRI-REQ-001: no", 100, true, 1, 1, door::ErrorKind::kInvalid, "top_p"},
      door::Progress{7, 12, 0, 9000},
      door::Tokenized{4, {1, 70000}, {"a", "\xc3\xa9"}},
      door::Detokenized{6, "The galley"},
      door::Pong{5, true, "why", true, 3, 40},
      door::Models{{model}},
      status};
}

TEST(ClientCodec, EveryMessageRoundTrips) {
  ClientCodec codec;
  std::string frame;
  for (const door::FromClient& message : from_client()) {
    codec.encode(message, frame);
    const auto decoded = codec.decode_from_client(frame);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_TRUE(*decoded == message) << "alternative " << message.index();
  }
  for (const door::ToClient& message : to_client()) {
    codec.encode(message, frame);
    const auto decoded = codec.decode_to_client(frame);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_TRUE(*decoded == message) << "alternative " << message.index();
  }
}

TEST(ClientCodec, ThirtyThousandMutatedFramesAreReadOrRefusedWithAnId) {
  std::mt19937_64 random(5);
  ClientCodec codec;
  std::vector<std::string> frames;
  for (const auto& message : from_client()) codec.encode(message, frames.emplace_back());
  for (const auto& message : to_client()) codec.encode(message, frames.emplace_back());
  int refused = 0;
  for (int i = 0; i < 30'000; ++i) {
    std::string frame = frames[random() % frames.size()];
    for (uint64_t j = 0; j <= random() % 4; ++j) {
      const size_t at = random() % (frame.size() + 1);
      if (random() % 3 == 0) {
        frame.insert(at, 1 + random() % 3, static_cast<char>(random()));
      } else if (at < frame.size()) {
        if (random() % 2 == 0)
          frame[at] = static_cast<char>(random());
        else
          frame.erase(at, 1 + random() % 5);
      }
    }
    const auto up = codec.decode_from_client(frame);
    const auto down = codec.decode_to_client(frame);
    EXPECT_TRUE(up.ok() || error_id(up.status()).starts_with("TRI-NET-")) << up.status();
    EXPECT_TRUE(down.ok() || error_id(down.status()).starts_with("TRI-NET-")) << down.status();
    refused += !up.ok() && !down.ok();
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 30'000);
}

std::string refusal(const std::string& frame) {
  ClientCodec codec;
  return error_id(codec.decode_from_client(frame).status());
}

TEST(ClientCodec, OnlyThePromptOfASubmitMayExceedTheControlLimit) {
  ClientCodec codec;
  door::Submit submit;
  submit.tag = 1;
  submit.prompt = std::vector<TokenId>(2'000'000, 70000);
  std::string frame;
  codec.encode(submit, frame);
  EXPECT_TRUE(codec.decode_from_client(frame).ok());
  submit.sampling.stop.assign(600'000, "");
  codec.encode(submit, frame);
  EXPECT_EQ(refusal(frame), "TRI-NET-004");
  submit.sampling.stop.clear();
  submit.prompt = std::string(static_cast<size_t>(kMaxPromptBytes) + 1, 'a');
  codec.encode(submit, frame);
  EXPECT_EQ(refusal(frame), "TRI-NET-004");
}

// A Submit of tag 5 with one text field: its number, or the field of the sampling's stop.
std::string text_submit(const std::string& field, const std::string& text) {
  return std::string("\x01\x02\x08\x05", 4) + field + static_cast<char>(text.size()) + text;
}

TEST(ClientCodec, ATextThatIsNotUtf8IsRefusedWithItsFieldAndByte) {
  const std::pair<std::string, const char*> fields[] = {
      {"\x12", "model"}, {"\x1a", "text"}, {"\x4a", "idempotency_key"}, {"\x52", "traceparent"}};
  ClientCodec codec;
  for (const auto& [field, name] : fields) {
    const Status status = codec.decode_from_client(text_submit(field, "caf\xE9")).status();
    EXPECT_EQ(
        message_of(status),
        format_text("TRI-NET-003: the field {} of a trireme.v1.Submit is not UTF-8 at byte 3; "
                    "convert the text",
                    name));
    EXPECT_EQ(codec.last_tag(), 5u);
    EXPECT_TRUE(codec.decode_from_client(text_submit(field, "caf\xC3\xA9")).ok()) << name;
  }
  // sampling { stop: "ab\xFF" }, messages { messages { content: "\xFF" } }
  EXPECT_EQ(bad_text_of(PromptMessage::kSubmit, std::string("\x3a\x05\x62\x03") + "ab\xFF")->field,
            std::string("stop"));
  EXPECT_EQ(bad_text_of(PromptMessage::kSubmit, "\x2a\x05\x0a\x03\x12\x01\xFF")->field,
            std::string("content"));
  EXPECT_FALSE(bad_text_of(PromptMessage::kSubmit, "\x0a\x05\x1a\x03"));  // no message
}

TEST(ClientCodec, OtherWordsThanItsOwnAreNotPrinted) {
  ClientCodec codec;
  std::string frame;
  testing::internal::CaptureStderr();
  door::Submit submit;
  submit.tag = 1;
  submit.prompt = std::string("\xFF");
  codec.encode(submit, frame);
  (void)codec.decode_from_client(frame);
  door::Error error;
  error.message = "\xFF";
  codec.encode(error, frame);
  (void)codec.decode_to_client(frame);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(ClientCodec, ControlBytesAreCountedWithoutThePrompt) {
  ClientCodec codec;
  std::string frame;
  const auto control = [&](const door::Submit& submit) {
    codec.encode(submit, frame);
    return control_bytes_of(PromptMessage::kSubmit,
                            std::string_view(frame).substr(kFrameHeaderBytes));
  };
  door::Submit submit = some_submit();
  submit.prompt = std::string("x");
  const int64_t beside = control(submit);
  EXPECT_GT(beside, 0);
  submit.prompt = std::string(100'000, 'x');
  EXPECT_EQ(control(submit), beside);
  submit.prompt = std::vector<TokenId>(100'000, 5);
  EXPECT_EQ(control(submit), beside);
  EXPECT_EQ(control_bytes_of(PromptMessage::kSubmit, "\x1a\x05x"), -1);
  EXPECT_EQ(control_bytes_of(PromptMessage::kSubmit, std::string(20, '\xff')), -1);
}

TEST(ClientCodec, TheJsonTextsOfAChatCountAsPrompt) {
  ClientCodec codec;
  std::string frame;
  const auto control = [&](const door::FromClient& message, PromptMessage type) {
    codec.encode(message, frame);
    return control_bytes_of(type, std::string_view(frame).substr(kFrameHeaderBytes));
  };
  door::Submit submit;
  submit.tag = 1;
  ChatRequest chat = some_chat();
  submit.prompt = chat;
  door::Tokenize tokenize{1, chat};
  const int64_t beside = control(submit, PromptMessage::kSubmit);
  const int64_t beside_tokenize = control(tokenize, PromptMessage::kTokenize);
  EXPECT_GT(beside, 0);
  for (std::string ChatRequest::*text : {&ChatRequest::messages_json,
                                         &ChatRequest::tools_json,
                                         &ChatRequest::documents_json,
                                         &ChatRequest::kwargs_json}) {
    chat.*text = std::string(2 << 20, 'x');
    submit.prompt = chat;
    EXPECT_EQ(control(submit, PromptMessage::kSubmit), beside);
    EXPECT_TRUE(codec.decode_from_client(frame).ok());
    tokenize.what = chat;
    EXPECT_EQ(control(tokenize, PromptMessage::kTokenize), beside_tokenize);
    EXPECT_TRUE(codec.decode_from_client(frame).ok());
  }
  EXPECT_LT(
      control(door::Detokenize{1, std::vector<TokenId>(1'000'000, 5)}, PromptMessage::kDetokenize),
      10);
  EXPECT_TRUE(codec.decode_from_client(frame).ok());
  chat.tool_name = std::string(2 << 20, 'x');
  submit.prompt = chat;
  codec.encode(submit, frame);
  EXPECT_EQ(refusal(frame), "TRI-NET-004");
}

TEST(ClientCodec, ARefusalNamesTheFieldAndItsKind) {
  ClientCodec codec;
  std::string frame;
  const auto refused = [&](const door::FromClient& message) {
    codec.encode(message, frame);
    const Status status = codec.decode_from_client(frame).status();
    EXPECT_EQ(codec.last_tag(), 9u);
    const door::Error error = error_of(9, status);
    EXPECT_EQ(status_of(error), status);
    return error;
  };
  door::Submit submit;
  submit.tag = 9;
  submit.principal = std::string(257, 'p');
  EXPECT_EQ(refused(submit).field, "principal");
  EXPECT_EQ(refused(submit).kind, door::ErrorKind::kInvalid);
  submit.principal = "\xFF";
  EXPECT_EQ(refused(submit).field, "principal");
  submit.principal.clear();
  submit.client_state.assign((64 << 10) + 1, 's');
  EXPECT_EQ(refused(submit).field, "client_state");
  submit.client_state.pop_back();
  ChatRequest chat = some_chat();
  chat.kwargs_json = "\xFF";
  submit.prompt = chat;
  EXPECT_EQ(refused(submit).field, "kwargs_json");
  EXPECT_EQ(refused(door::Tokenize{9, chat}).field, "kwargs_json");
  EXPECT_EQ(refused(door::Tokenize{9, std::string("\xFF")}).error_id, "TRI-NET-003");
  const door::Error error = refused(door::Tokenize{9, std::string(kMaxPromptBytes, 'x')});
  EXPECT_EQ(error.error_id, "TRI-NET-004");
  EXPECT_EQ(error.kind, door::ErrorKind::kTooLarge);
  EXPECT_EQ(error.field, "prompt");
  // A Tokenize of nothing.
  EXPECT_EQ(refusal(std::string("\x01\x09\x08\x09", 4)), "TRI-NET-006");
}

TEST(ClientCodec, EveryErrorKindAndStructureArrivesAsItWasSent) {
  ClientCodec codec;
  std::string frame;
  for (int kind = 0; kind <= static_cast<int>(door::ErrorKind::kInternal); ++kind) {
    door::Error error;
    error.kind = static_cast<door::ErrorKind>(kind);
    codec.encode(error, frame);
    EXPECT_EQ(std::get<door::Error>(codec.decode_to_client(frame).value()), error);
    if (kind == 0) continue;
    EXPECT_EQ(kind_of(status_of(error)), error.kind);
  }
  using Kind = door::Structure::Kind;
  for (const Kind kind : {Kind::kNone, Kind::kJsonObject, Kind::kJsonSchema, Kind::kGrammar}) {
    door::Submit submit;
    submit.tag = 1;
    submit.structure.kind = kind;
    codec.encode(submit, frame);
    EXPECT_EQ(std::get<door::Submit>(codec.decode_from_client(frame).value()), submit);
  }
  for (const ToolChoice choice :
       {ToolChoice::kAuto, ToolChoice::kNone, ToolChoice::kRequired, ToolChoice::kNamed}) {
    ChatRequest chat;
    chat.tool_choice = choice;
    codec.encode(door::Tokenize{1, chat}, frame);
    EXPECT_EQ(std::get<door::Tokenize>(codec.decode_from_client(frame).value()).what,
              (std::variant<std::string, ChatRequest>(chat)));
  }
}

TEST(ClientCodec, PartsAndBytesOfTokensCostCredit) {
  door::Piece piece;
  piece.token_ids = {1, 2};
  EXPECT_EQ(cost_of(piece), 16 + 8);
  piece.parts = {{PartKind::kContent, 0, "", "", "abc"}, {PartKind::kToolCall, 0, "id", "f", "{}"}};
  EXPECT_EQ(cost_of(piece), 16 + 8 + (16 + 3) + (16 + 5));
  piece.logprobs = {{{1, -1.f}, {{1, -1.f}}, "xy", {"z"}}};
  EXPECT_EQ(cost_of(piece), 16 + 8 + (16 + 3) + (16 + 5) + 2 * 8 + 3);
  const door::PromptLogprobs prompt{1, 1, {piece.logprobs[0], piece.logprobs[0]}};
  EXPECT_EQ(cost_of(prompt), 2 * (16 + 2 * 8 + 3));
}

TEST(ClientCodec, HostileFieldsAreRefused) {
  EXPECT_EQ(refusal(std::string("\x02\x01", 2)), "TRI-NET-002");
  EXPECT_EQ(refusal(std::string("\x01\x22", 2)), "TRI-NET-005");  // an Accepted from a client
  EXPECT_EQ(refusal("\x01\x02"), "TRI-NET-006");                  // tag 0
  // A text that is not UTF-8.
  EXPECT_EQ(refusal(std::string("\x01\x02\x08\x01\x1a\x02\xc3\x28")), "TRI-NET-003");
  // Field 7 (sampling) in group encoding nested far beyond the limit.
  std::string deep = "\x01\x02\x08\x01";
  deep += std::string(200, '\x7b');
  EXPECT_EQ(refusal(deep), "TRI-NET-003");
  ClientCodec codec;
  std::string frame;
  codec.encode(door::Cancel{0, "short"}, frame);
  EXPECT_EQ(refusal(frame), "TRI-NET-006");
}

TEST(ClientCodec, EveryKindDisconnectChoiceAndFinishReasonArrivesAsItWasSent) {
  ClientCodec codec;
  std::string frame;
  door::Submit submit = some_submit();
  for (const auto kind : {door::Kind::kGenerate, door::Kind::kScore, door::Kind::kProbe}) {
    for (const auto choice : {door::OnDisconnect::kDefault,
                              door::OnDisconnect::kCancel,
                              door::OnDisconnect::kContinue}) {
      submit.kind = kind;
      submit.on_disconnect = choice;
      codec.encode(submit, frame);
      const auto message = codec.decode_from_client(frame);
      ASSERT_TRUE(message.ok()) << message.status();
      EXPECT_EQ(std::get<door::Submit>(*message).kind, kind);
      EXPECT_EQ(std::get<door::Submit>(*message).on_disconnect, choice);
    }
  }
  door::Finished finished;
  for (const auto reason : {door::FinishReason::kStop,
                            door::FinishReason::kLength,
                            door::FinishReason::kCancelled,
                            door::FinishReason::kToolCalls,
                            door::FinishReason::kFailed}) {
    finished.reason = reason;
    codec.encode(finished, frame);
    const auto message = codec.decode_to_client(frame);
    ASSERT_TRUE(message.ok()) << message.status();
    EXPECT_EQ(std::get<door::Finished>(*message).reason, reason);
  }
}

}  // namespace client_codec_test
}  // namespace trireme
