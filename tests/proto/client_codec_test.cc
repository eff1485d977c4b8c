#include <random>

#include "proto/error_kind.h"
#include "proto/frame.h"
#include "proto/piece_cost.h"
#include "tests/proto/client_codec_fixture.h"

namespace trireme {
namespace client_codec_test {

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
