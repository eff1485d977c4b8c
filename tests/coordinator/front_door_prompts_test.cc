// The front door between clients and the tokenizer pool: chats, Tokenize, Detokenize; kinds and
// fields of refusals; what Accepted says.
#include <gtest/gtest.h>

#include <set>

#include "coordinator/doors/clients/front_door.h"
#include "coordinator/doors/clients/request_digest.h"
#include "model/chat/answer/answer_format.h"
#include "tests/coordinator/fake_sender.h"

namespace trireme {
namespace front_door_prompts_test {

FrontDoorOptions options() {
  FrontDoorOptions options;
  options.model.name = "demo";
  options.model.version = "1";
  options.model.fingerprint = "00ff";
  options.rules.model_name = "demo";
  options.rules.vocabulary_size = 100;
  options.rules.max_model_len = 16;
  options.rules.has_tokenizer = true;
  options.public_id_key.fill(7);
  return options;
}

class FrontDoorPrompts : public testing::Test {
 protected:
  void make(const FrontDoorOptions& with) {
    door_ = std::make_unique<FrontDoor>(with, &sender_);
    say(door::Hello{});
    heard();
  }
  void SetUp() override { make(options()); }

  void say(const door::FromClient& message) {
    std::string frame;
    codec_.encode(message, frame);
    door_->on_frame(1, frame, now_us_, output_);
  }
  std::vector<door::ToClient> heard() {
    door_->flush(now_us_, output_);
    std::vector<door::ToClient> messages;
    for (const std::string& frame : sender_.take(1)) {
      messages.push_back(codec_.decode_to_client(frame).value());
    }
    return messages;
  }
  door::Error refusal() {
    const auto messages = heard();
    if (messages.size() != 1 || !std::holds_alternative<door::Error>(messages[0])) return {};
    return std::get<door::Error>(messages[0]);
  }
  TokenizerJob only_job() {
    EXPECT_EQ(output_.jobs.size(), 1u);
    TokenizerJob job = std::move(output_.jobs.at(0));
    output_.jobs.clear();
    return job;
  }
  static ChatRequest chat() {
    ChatRequest chat;
    chat.messages_json = R"([{"role": "user", "content": "Ahoy"}])";
    return chat;
  }
  static door::Submit chat_submit(uint64_t tag) {
    door::Submit submit;
    submit.tag = tag;
    submit.prompt = chat();
    return submit;
  }

  FakeSender sender_;
  ClientCodec codec_;
  std::unique_ptr<FrontDoor> door_;
  DoorOutput output_;
  TimeUs now_us_ = 1'000'000;
};

TEST_F(FrontDoorPrompts, AChatGoesThroughThePoolAndReachesTheEngineWithItsFormat) {
  door::Submit submit = chat_submit(7);
  submit.principal = "team";
  submit.cache_salt = "salt";
  submit.client_request_id = "theirs";
  submit.progress_interval_ms = 5'000;
  submit.token_bytes = true;
  submit.want_prompt_ids = true;
  submit.client_state = "state";
  say(submit);
  EXPECT_TRUE(output_.events.empty());
  const TokenizerJob job = only_job();
  EXPECT_EQ(std::get<ChatRequest>(job.work), chat());
  TokenizerResult result;
  result.job = job.number;
  result.ids = {4, 5};
  result.format = std::make_shared<AnswerFormat>();
  now_us_ += 500;
  door_->on_tokenized(result, output_);
  ASSERT_EQ(output_.events.size(), 1u);
  const auto& request = std::get<event::Submitted>(output_.events[0]).request;
  EXPECT_EQ(request.prompt, (std::vector<TokenId>{4, 5}));
  EXPECT_EQ(request.format, result.format);
  EXPECT_EQ(request.arrived_us, 1'000'000);
  EXPECT_EQ(request.principal, "team");
  EXPECT_EQ(request.cache_salt, "salt");
  EXPECT_EQ(request.client_request_id, "theirs");
  EXPECT_EQ(request.progress_interval_us, 5'000'000);
  EXPECT_TRUE(request.token_bytes);
  EXPECT_TRUE(request.want_prompt_ids);
  EXPECT_EQ(request.client_state, "state");
}

TEST_F(FrontDoorPrompts, MessagesOfPlainTextAreAChatWhoseAnswerIsText) {
  door::Submit submit;
  submit.tag = 7;
  submit.prompt = door::Messages{{"user", "a \"quoted\" line\n"}};
  say(submit);
  const ChatRequest job = std::get<ChatRequest>(only_job().work);
  EXPECT_TRUE(job.raw);
  EXPECT_EQ(job.messages_json, R"([{"role":"user","content":"a \"quoted\" line\n"}])");
}

TEST_F(FrontDoorPrompts, AModelWithoutATemplateRefusesChatsAndTakesTexts) {
  FrontDoorOptions with = options();
  with.rules.chat = invalid("TRI-CHAT-001", "the model has no chat template");
  make(with);
  say(chat_submit(7));
  door::Error error = refusal();
  EXPECT_EQ(error.error_id, "TRI-CHAT-001");
  EXPECT_EQ(error.kind, door::ErrorKind::kInvalid);
  EXPECT_EQ(error.field, "messages");
  say(door::Tokenize{8, chat(), true, false});
  EXPECT_EQ(refusal().error_id, "TRI-CHAT-001");
  say(door::Tokenize{9, std::string("text"), true, false});
  EXPECT_EQ(output_.jobs.size(), 1u);
  EXPECT_FALSE(door_->has_streams() && output_.jobs.empty());
}

TEST_F(FrontDoorPrompts, ARefusalByThePoolKeepsItsIdKindAndField) {
  say(chat_submit(7));
  TokenizerResult result;
  result.job = only_job().number;
  result.status = with_field(invalid("TRI-CHAT-006", "tools is no list"), "tools");
  door_->on_tokenized(result, output_);
  door::Error error = refusal();
  EXPECT_EQ(error.tag, 7u);
  EXPECT_EQ(error.error_id, "TRI-CHAT-006");
  EXPECT_EQ(error.field, "tools");
  say(chat_submit(8));
  TokenizerResult too_long;
  too_long.job = only_job().number;
  too_long.ids.assign(16, 1);
  door_->on_tokenized(too_long, output_);
  error = refusal();
  EXPECT_EQ(error.error_id, "TRI-REQ-089");
  EXPECT_EQ(error.field, "messages");
  EXPECT_TRUE(output_.events.empty());
  EXPECT_FALSE(door_->has_streams());
}

TEST_F(FrontDoorPrompts, ACancelledOrDisconnectedChatLeavesThePool) {
  say(chat_submit(7));
  const uint64_t first = only_job().number;
  say(door::Cancel{7, ""});
  EXPECT_EQ(std::get<door::Finished>(heard().at(0)).reason, door::FinishReason::kCancelled);
  say(chat_submit(7));  // the tag is free again
  const uint64_t second = only_job().number;
  say(door::Tokenize{8, chat(), true, false});
  const uint64_t third = only_job().number;
  door_->on_gone(1, output_);
  EXPECT_EQ(output_.dropped_jobs.at(0), first);
  EXPECT_EQ(std::set<uint64_t>(output_.dropped_jobs.begin(), output_.dropped_jobs.end()),
            (std::set<uint64_t>{first, second, third}));
  for (const uint64_t job : {first, second, third}) {
    TokenizerResult late;
    late.job = job;
    late.ids = {1};
    output_.events.clear();
    door_->on_tokenized(late, output_);
    EXPECT_TRUE(output_.events.empty());
  }
}

TEST_F(FrontDoorPrompts, ADeadlineCountsWhileAPromptWaitsForThePool) {
  door::Submit submit = chat_submit(7);
  submit.deadline_ms = 100;
  say(submit);
  const uint64_t late = only_job().number;
  submit.tag = 8;
  submit.deadline_ms = 200;
  say(submit);
  const uint64_t in_time = only_job().number;
  EXPECT_EQ(door_->next_tick_us(), now_us_ + 100'000);
  now_us_ += 100'000;
  door_->tick(now_us_, output_);
  const door::Error error = refusal();
  EXPECT_EQ(error.tag, 7u);
  EXPECT_EQ(error.error_id, "TRI-REQ-036");
  EXPECT_EQ(error.kind, door::ErrorKind::kDeadline);
  EXPECT_EQ(output_.dropped_jobs, (std::vector<uint64_t>{late}));
  TokenizerResult result;
  result.job = in_time;
  result.ids = {1};
  door_->on_tokenized(result, output_);
  EXPECT_EQ(output_.events.size(), 1u);
  EXPECT_EQ(door_->next_tick_us(), 0);
}

TEST_F(FrontDoorPrompts, AFullPoolRefusesEveryKindOfJobAndFreesItsTag) {
  for (const door::FromClient& message : {door::FromClient(chat_submit(7)),
                                          door::FromClient(door::Tokenize{7, chat(), true, false}),
                                          door::FromClient(door::Detokenize{7, {1, 2}, true})}) {
    say(message);
    door_->on_tokenizer_full(only_job().number);
    const door::Error error = refusal();
    EXPECT_EQ(error.error_id, "TRI-REQ-094");
    EXPECT_EQ(error.kind, door::ErrorKind::kOverloaded);
    EXPECT_GT(error.retry_after_ms, 0);
    EXPECT_FALSE(door_->has_streams());
  }
}

TEST_F(FrontDoorPrompts, TokenizeAndDetokenizeAreAnsweredOnce) {
  say(door::Tokenize{7, std::string("ab"), false, true});
  say(door::Tokenize{7, std::string("ab"), false, true});
  EXPECT_EQ(refusal().error_id, "TRI-REQ-080");
  const TokenizerJob job = only_job();
  EXPECT_TRUE(job.want_pieces);
  EXPECT_FALSE(std::get<TextToEncode>(job.work).add_special);
  TokenizerResult result;
  result.job = job.number;
  result.ids = {4, 5};
  result.pieces = {"a", "b"};
  door_->on_tokenized(result, output_);
  door_->on_tokenized(result, output_);
  auto messages = heard();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(std::get<door::Tokenized>(messages[0]), (door::Tokenized{7, {4, 5}, {"a", "b"}}));

  say(door::Detokenize{7, {4, 5}, false});
  const TokenizerJob back = only_job();
  EXPECT_FALSE(std::get<IdsToDecode>(back.work).skip_special);
  TokenizerResult text;
  text.job = back.number;
  text.text = "ab";
  door_->on_tokenized(text, output_);
  messages = heard();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(std::get<door::Detokenized>(messages[0]), (door::Detokenized{7, "ab"}));
  EXPECT_FALSE(door_->has_streams());
  say(door::Detokenize{7, {4, 100}, false});
  EXPECT_EQ(refusal().error_id, "TRI-REQ-087");
  door_->drain();
  say(door::Tokenize{7, std::string("ab"), false, true});
  EXPECT_EQ(refusal().error_id, "TRI-REQ-083");
}

TEST_F(FrontDoorPrompts, AnAnswerThatFitsNoFrameIsRefused) {
  say(door::Tokenize{7, std::string("a long text"), true, false});
  TokenizerResult result;
  result.job = only_job().number;
  result.ids.assign(static_cast<size_t>(kMaxToClientBytes / 4), 99);
  door_->on_tokenized(std::move(result), output_);
  const door::Error error = refusal();
  EXPECT_EQ(error.error_id, "TRI-NET-004");
  EXPECT_EQ(error.kind, door::ErrorKind::kTooLarge);
}

TEST_F(FrontDoorPrompts, EveryRefusalHasAKindAndNamesItsField) {
  const auto refused = [&](auto change) {
    door::Submit submit;
    submit.tag = 7;
    submit.prompt = std::vector<TokenId>{1, 2, 3};
    change(submit);
    say(submit);
    const door::Error error = refusal();
    return std::tuple(error.error_id, error.kind, error.field);
  };
  using Kind = door::ErrorKind;
  using Row = std::tuple<std::string, Kind, std::string>;
  EXPECT_EQ(refused([](auto& s) { s.model = "other"; }),
            Row("TRI-REQ-082", Kind::kNotFound, "model"));
  EXPECT_EQ(refused([](auto& s) { s.prompt = std::monostate(); }),
            Row("TRI-REQ-084", Kind::kInvalid, "prompt"));
  EXPECT_EQ(refused([](auto& s) { s.prompt = std::vector<TokenId>{100}; }),
            Row("TRI-REQ-087", Kind::kInvalid, "token_ids"));
  EXPECT_EQ(refused([](auto& s) { s.prompt = std::vector<TokenId>(16, 1); }),
            Row("TRI-REQ-089", Kind::kInvalid, "prompt"));
  EXPECT_EQ(refused([](auto& s) { s.sampling.temperature = -1.f; }),
            Row("TRI-REQ-001", Kind::kInvalid, "temperature"));
  EXPECT_EQ(refused([](auto& s) { s.sampling.stop = {""}; }),
            Row("TRI-REQ-001", Kind::kInvalid, "stop"));
  EXPECT_EQ(refused([](auto& s) { s.sampling.stop_token_ids = {100}; }),
            Row("TRI-REQ-001", Kind::kInvalid, "stop_token_ids"));
  EXPECT_EQ(refused([](auto& s) {
              s.sampling.logit_bias = {{100, 1.f}};
            }),
            Row("TRI-REQ-001", Kind::kInvalid, "logit_bias"));
  for (const auto kind : {door::Structure::Kind::kJsonObject,
                          door::Structure::Kind::kJsonSchema,
                          door::Structure::Kind::kRegex,
                          door::Structure::Kind::kGrammar}) {
    EXPECT_EQ(refused([&](auto& s) { s.structure.kind = kind; }),
              Row("TRI-REQ-095", Kind::kInvalid, "structure"));
  }
  EXPECT_EQ(refused([](auto& s) { s.principal = std::string(300, 'x'); }),
            Row("TRI-NET-006", Kind::kInvalid, "principal"));
  door_->drain();
  EXPECT_EQ(refused([](auto&) {}), Row("TRI-REQ-083", Kind::kUnavailable, ""));
}

TEST_F(FrontDoorPrompts, AcceptedHasAPublicIdThatRevealsNothing) {
  const auto accepted = [&](const RequestId& id) {
    door::Submit submit;
    submit.tag = 7;
    submit.prompt = std::vector<TokenId>{1};
    say(submit);
    effect::Accept accept;
    accept.connection = 1;
    accept.client_tag = 7;
    accept.request = id;
    accept.prompt_ids = {1};
    door_->on_effect(accept, output_);
    effect::Finish finish;
    finish.connection = 1;
    finish.client_tag = 7;
    finish.last_choice = true;
    door_->on_effect(finish);
    return std::get<door::Accepted>(heard().at(0));
  };
  const door::Accepted one = accepted({1, 2});
  EXPECT_EQ(one.public_id.size(), 24u);
  EXPECT_EQ(one.public_id, accepted({1, 2}).public_id);
  EXPECT_NE(one.public_id, accepted({1, 3}).public_id);
  EXPECT_EQ(one.model, "demo");
  EXPECT_EQ(one.version, "1");
  EXPECT_EQ(one.fingerprint, "00ff");
  EXPECT_EQ(one.prompt_ids, (std::vector<TokenId>{1}));
  FrontDoorOptions other = options();
  other.public_id_key.fill(8);
  make(other);
  EXPECT_NE(accepted({1, 2}).public_id, one.public_id) << "a keyed hash";
}

TEST_F(FrontDoorPrompts, ProgressReachesAcceptedStreamsOnly) {
  effect::Progress progress{1, 7, 3, 0, 1};
  door::Submit submit;
  submit.tag = 7;
  submit.prompt = std::vector<TokenId>{1};
  say(submit);
  door_->on_effect(progress);
  EXPECT_TRUE(heard().empty());
  effect::Accept accept;
  accept.connection = 1;
  accept.client_tag = 7;
  door_->on_effect(accept, output_);
  door_->on_effect(progress);
  const auto messages = heard();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(std::get<door::Progress>(messages[1]), (door::Progress{7, 3, 0, 1}));
}

TEST_F(FrontDoorPrompts, ADigestKnowsTheRequestAndNotItsDelivery) {
  door::Submit submit = chat_submit(7);
  submit.idempotency_key = "key";
  const std::string digest = digest_of(submit, codec_);
  door::Submit again = submit;
  again.tag = 8;
  again.deadline_ms = 5;
  again.credit_bytes = 5;
  again.on_disconnect = door::OnDisconnect::kContinue;
  again.traceparent = "00-aa-bb-01";
  again.client_request_id = "theirs";
  again.progress_interval_ms = 5;
  again.client_state = "state";
  EXPECT_EQ(digest_of(again, codec_), digest);
  const auto differs = [&](auto change) {
    door::Submit other = submit;
    change(other);
    return digest_of(other, codec_) != digest;
  };
  EXPECT_TRUE(differs([](auto& s) { std::get<ChatRequest>(s.prompt).tools_json = "[]"; }));
  EXPECT_TRUE(differs([](auto& s) { s.prompt = std::string("text"); }));
  EXPECT_TRUE(differs([](auto& s) { s.sampling.seed = 1; }));
  EXPECT_TRUE(differs([](auto& s) { s.sampling.stop = {"a"}; }));
  EXPECT_TRUE(differs([](auto& s) { s.token_bytes = true; }));
  say(submit);
  TokenizerResult result;
  result.job = only_job().number;
  result.ids = {1};
  door_->on_tokenized(result, output_);
  EXPECT_EQ(std::get<event::Submitted>(output_.events.at(0)).request.digest, digest);
}

}  // namespace front_door_prompts_test
}  // namespace trireme
