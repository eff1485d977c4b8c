#include <random>

#include "tests/coordinator/front_door_fixture.h"

namespace trireme {
namespace front_door_test {

TEST_F(FrontDoorTest, HelloIsAnsweredByWelcomeWithModelsAndLimits) {
  say(1, door::Hello{0, "me"});
  const auto messages = heard(1);
  ASSERT_EQ(messages.size(), 1u);
  const auto& welcome = std::get<door::Welcome>(messages[0]);
  EXPECT_EQ(welcome.models.at(0).name, "demo");
  EXPECT_EQ(welcome.protocol_major_min, 1u);
  EXPECT_GT(welcome.limits.max_prompt_bytes, 0);
  EXPECT_EQ(welcome.default_credit_bytes, kDefaultCreditBytes);
}

TEST_F(FrontDoorTest, AFirstMessageOtherThanHelloIsRefused) {
  say(1, ids_request(7));
  EXPECT_EQ(refusal(1, 7), "TRI-NET-007");
  EXPECT_TRUE(output_.events.empty());
}

TEST_F(FrontDoorTest, AnUnknownMajorVersionIsAnsweredWithTheSupportedRange) {
  door_->on_frame(1, std::string("\x07\x01", 2), now_us_, output_);
  const auto messages = heard(1);
  const auto& error = std::get<door::Error>(messages.at(0));
  EXPECT_EQ(error.error_id, "TRI-NET-002");
  EXPECT_EQ(error.protocol_major_min, 1u);
  EXPECT_EQ(error.protocol_major_max, 1u);
}

TEST_F(FrontDoorTest, TokenIdsGoToTheEngineAtOnceAndTextThroughTheTokenizer) {
  hello(1);
  say(1, ids_request(7));
  ASSERT_EQ(output_.events.size(), 1u);
  const auto& direct = std::get<event::Submitted>(output_.events[0]).request;
  EXPECT_EQ(direct.prompt, (std::vector<TokenId>{1, 2, 3}));
  EXPECT_EQ(direct.client_tag, 7u);
  EXPECT_EQ(direct.connection, 1u);

  door::Submit with_text;
  with_text.tag = 8;
  with_text.prompt = std::string("The galley");
  with_text.add_special_tokens = false;
  with_text.deadline_ms = 100;
  say(1, with_text);
  ASSERT_EQ(output_.jobs.size(), 1u);
  const auto& text = std::get<TextToEncode>(output_.jobs[0].work);
  EXPECT_EQ(text.text, "The galley");
  EXPECT_FALSE(text.add_special);
  tokenized(output_.jobs[0].number, {4, 5});
  ASSERT_EQ(output_.events.size(), 2u);
  const auto& encoded = std::get<event::Submitted>(output_.events[1]).request;
  EXPECT_EQ(encoded.prompt, (std::vector<TokenId>{4, 5}));
  EXPECT_EQ(encoded.deadline_us, now_us_ + 100'000);
  EXPECT_TRUE(heard(1).empty());
}

// Requests share the groups fairly among these, and values of different kinds never meet.
TEST_F(FrontDoorTest, AShareIsTheRequestsOwnOrThePrincipalOrTheAddressOrTheConnection) {
  sender_.addresses[2] = "10.0.0.2";
  hello(1);
  hello(2);
  const auto share_of = [&](PeerId peer, uint64_t tag, const char* share, const char* principal) {
    door::Submit submit = ids_request(tag);
    submit.share = share;
    submit.principal = principal;
    submit.priority = 3;
    output_.events.clear();
    say(peer, submit);
    const auto& request = std::get<event::Submitted>(output_.events.at(0)).request;
    EXPECT_EQ(request.priority, 3);
    return request.share;
  };
  EXPECT_EQ(share_of(2, 1, "x", "team"), "share x");
  EXPECT_EQ(share_of(2, 2, "", "team"), "principal team");
  EXPECT_EQ(share_of(2, 3, "", ""), "address 10.0.0.2");
  EXPECT_EQ(share_of(1, 4, "", ""), "connection 1");
}

TEST_F(FrontDoorTest, EveryBadSubmitIsRefusedWithAnIdOfItsOwn) {
  hello(1);
  const auto refused = [&](auto change) {
    door::Submit submit = ids_request(7);
    change(submit);
    say(1, submit);
    return refusal(1, 7);
  };
  EXPECT_EQ(refused([](auto& s) { s.model = "other"; }), "TRI-REQ-082");
  EXPECT_EQ(refused([](auto& s) { s.prompt = std::monostate(); }), "TRI-REQ-084");
  EXPECT_EQ(refused([](auto& s) { s.prompt = std::vector<TokenId>{100}; }), "TRI-REQ-087");
  EXPECT_EQ(refused([](auto& s) { s.prompt = std::vector<TokenId>{}; }), "TRI-REQ-088");
  EXPECT_EQ(refused([](auto& s) { s.prompt = std::vector<TokenId>(16, 1); }), "TRI-REQ-089");
  EXPECT_EQ(refused([](auto& s) { s.sampling.stop = {""}; }), "TRI-REQ-001");
  EXPECT_EQ(refused([](auto& s) { s.sampling.temperature = -1.f; }), "TRI-REQ-001");
  EXPECT_EQ(refused([](auto& s) {
              s.kind = door::Kind::kProbe;
              s.probes = {{0, -1}};
            }),
            "TRI-REQ-091");
  EXPECT_EQ(refused([](auto& s) { s.probes = {{0, -1}}; }), "TRI-REQ-092");
  EXPECT_EQ(refused([](auto& s) { s.sampling.n = 0; }), "TRI-REQ-001");
  EXPECT_TRUE(output_.events.empty());
  EXPECT_FALSE(door_->has_streams());
  say(1, ids_request(7));
  EXPECT_EQ(output_.events.size(), 1u);
}

TEST_F(FrontDoorTest, APromptOneShortOfTheModelsLengthPasses) {
  hello(1);
  door::Submit submit = ids_request(7);
  submit.prompt = std::vector<TokenId>(15, 1);
  say(1, submit);
  EXPECT_EQ(output_.events.size(), 1u);
}

TEST_F(FrontDoorTest, ATagInUseADrainAndTooManyInFlightAreRefused) {
  FrontDoorOptions tight = front_door_options();
  tight.max_in_flight = 2;
  make(tight);
  hello(1);
  say(1, ids_request(1));
  say(1, ids_request(1));
  EXPECT_EQ(refusal(1, 1), "TRI-REQ-080");
  say(1, ids_request(2));
  say(1, ids_request(3));
  EXPECT_EQ(refusal(1, 3), "TRI-REQ-081");
  hello(2);
  door_->drain();
  say(2, ids_request(4));
  EXPECT_EQ(refusal(2, 4), "TRI-REQ-083");
}

TEST_F(FrontDoorTest, PiecesOfATurnLeaveInOneFrameAndTheFinishAfterThem) {
  hello(1);
  accept(1, 7);
  accept(1, 8);
  tokens(1, 7, 0, {5}, "a");
  tokens(1, 8, 0, {6}, "b");
  finish(1, 7);
  const auto messages = heard(1);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(std::get<door::Tokens>(messages[0]).pieces.size(), 2u);
  EXPECT_EQ(std::get<door::Finished>(messages[1]).tag, 7u);
}

TEST_F(FrontDoorTest, AStreamThatWasTakenOverEndsWithTheNonceThatWon) {
  hello(1);
  accept(1, 7);
  door_->on_effect(effect::Refuse{1, 7, conflict("TRI-REQ-039", "taken"), 0, 55});
  const auto messages = heard(1);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(std::get<door::Error>(messages[0]).tag, 7u);
  EXPECT_EQ(std::get<door::Error>(messages[0]).nonce, 55u);
  EXPECT_FALSE(door_->has_streams());
}

TEST_F(FrontDoorTest, ADisconnectReachesTheEngineAndDropsPendingPrompts) {
  hello(1);
  door::Submit with_text;
  with_text.tag = 8;
  with_text.prompt = std::string("The galley");
  say(1, with_text);
  door_->on_gone(1, output_);
  EXPECT_TRUE(disconnected(output_, 1));
  output_.events.clear();
  tokenized(output_.jobs.at(0).number, {4});
  EXPECT_TRUE(output_.events.empty());
}

TEST_F(FrontDoorTest, ACancelWorksInEveryStateOfItsRequest) {
  hello(1);
  // While it is being tokenised.
  door::Submit with_text;
  with_text.tag = 8;
  with_text.prompt = std::string("The galley");
  say(1, with_text);
  say(1, door::Cancel{8, ""});
  EXPECT_EQ(std::get<door::Finished>(heard(1).at(0)).reason, door::FinishReason::kCancelled);
  // Before the Engine has accepted it.
  say(1, ids_request(9));
  say(1, door::Cancel{9, ""});
  output_.events.clear();
  effect::Accept accept_effect;
  accept_effect.connection = 1;
  accept_effect.client_tag = 9;
  accept_effect.request = {3, 4};
  door_->on_effect(accept_effect, output_);
  ASSERT_EQ(output_.events.size(), 1u);
  EXPECT_EQ(std::get<event::Cancelled>(output_.events[0]).request, (RequestId{3, 4}));
  // While it runs, and by its id.
  output_.events.clear();
  say(1, door::Cancel{9, ""});
  say(1, door::Cancel{0, std::string("\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\4", 16)});
  ASSERT_EQ(output_.events.size(), 2u);
  EXPECT_EQ(std::get<event::Cancelled>(output_.events[0]).request, (RequestId{3, 4}));
  EXPECT_EQ(std::get<event::Cancelled>(output_.events[1]).request, (RequestId{3, 4}));
}

TEST_F(FrontDoorTest, HundredsOfMalformedFramesHarmTheirSenderAlone) {
  std::mt19937_64 random(11);
  hello(2);
  for (int i = 0; i < 500; ++i) {
    std::string frame(random() % 40, '\0');
    for (char& byte : frame) byte = static_cast<char>(random());
    if (frame.size() > 2) frame[0] = 1;
    door_->on_frame(1, frame, now_us_, output_);
  }
  const auto messages = heard(1);
  EXPECT_LE(messages.size(), static_cast<size_t>(front_door_options().max_bad_frames));
  const auto& last = std::get<door::Error>(messages.back());
  EXPECT_TRUE(last.closes);
  accept(2, 7);
  tokens(2, 7, 0, {5}, "a");
  EXPECT_EQ(heard(2).size(), 1u);
}

// A Submit as another client might send it: its text is not UTF-8.
std::string latin1_submit(uint8_t tag) {
  return std::string("\x01\x02\x08", 3) + static_cast<char>(tag) + "\x1a\x04" + "caf\xE9";
}

TEST_F(FrontDoorTest, ATextThatIsNotUtf8IsRefusedByNameAndHarmsNoOtherRequest) {
  hello(1);
  accept(1, 7);
  // More of them than bad frames are allowed: the tag names the request, so none is a bad frame.
  for (int i = 0; i < 3 * front_door_options().max_bad_frames; ++i) {
    door_->on_frame(1, latin1_submit(9), now_us_, output_);
    const auto messages = heard(1);
    ASSERT_EQ(messages.size(), 1u);
    const auto& error = std::get<door::Error>(messages[0]);
    EXPECT_EQ(error.tag, 9u);
    EXPECT_FALSE(error.closes);
    EXPECT_EQ(error.message,
              "TRI-NET-003: the field text of a trireme.v1.Submit is not UTF-8 at byte 3; convert "
              "the text");
  }
  tokens(1, 7, 0, {5}, "a");
  EXPECT_EQ(heard(1).size(), 1u);
  // The tag of a request that runs: the Error names none, so that the running one goes on.
  door_->on_frame(1, latin1_submit(7), now_us_, output_);
  EXPECT_EQ(std::get<door::Error>(heard(1).at(0)).tag, 0u);
}

TEST_F(FrontDoorTest, ASubmitAboveALimitIsRefusedByItsTag) {
  hello(1);
  door::Submit submit = ids_request(8);
  submit.sampling.stop.assign(2'000, std::string(1'000, 's'));
  say(1, submit);
  EXPECT_EQ(refusal(1, 8), "TRI-NET-004");
}

TEST_F(FrontDoorTest, AResumeReachesTheEngineAndItsRefusalTheClient) {
  hello(1);
  say(1, door::Resume{5, std::string(16, '\1'), 3, {2}, 0, {{1, door::kEndedIndex}}});
  ASSERT_EQ(output_.events.size(), 1u);
  const auto& resumed = std::get<event::Resumed>(output_.events[0]);
  EXPECT_EQ(resumed.next_index, (std::vector<int32_t>{2}));
  ASSERT_EQ(resumed.points.size(), 1u);
  EXPECT_EQ(resumed.points[0].choice, 1);
  EXPECT_EQ(resumed.points[0].index, kEndedIndex);
  effect::Refuse refuse;
  refuse.connection = 1;
  refuse.client_tag = 5;
  refuse.status = invalid("TRI-REQ-001", "not kept");
  door_->on_effect(refuse);
  EXPECT_EQ(refusal(1, 5), "TRI-REQ-001");
}

TEST_F(FrontDoorTest, PingModelsAndStatusAreAnswered) {
  hello(1);
  say(1, door::Ping{99});
  say(1, door::ListModels{});
  say(1, door::StatusRequest{});
  EXPECT_EQ(output_.status_questions, (std::vector<PeerId>{1}));
  ASSERT_EQ(output_.pings.size(), 1u);
  EXPECT_EQ(output_.pings[0].nonce, 99u);
  door::Pong pong;
  pong.nonce = 99;
  door_->answer_ping(1, pong);
  door_->answer_status(1, door::StatusReply{});
  const auto messages = heard(1);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(std::get<door::Pong>(messages[1]).nonce, 99u);
  EXPECT_EQ(std::get<door::Models>(messages[0]).models.size(), 1u);
}

}  // namespace front_door_test
}  // namespace trireme
