// Sizes and texts of a request: what counts as prompt, and what is refused before it is parsed.
#include "proto/frame.h"
#include "proto/prompt_scan.h"
#include "tests/proto/client_codec_fixture.h"

namespace trireme {
namespace client_codec_limits_test {

TEST(ClientCodecLimits, OnlyThePromptOfASubmitMayExceedTheControlLimit) {
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

TEST(ClientCodecLimits, ATextThatIsNotUtf8IsRefusedWithItsFieldAndByte) {
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

TEST(ClientCodecLimits, OtherWordsThanItsOwnAreNotPrinted) {
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

TEST(ClientCodecLimits, ControlBytesAreCountedWithoutThePrompt) {
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

TEST(ClientCodecLimits, TheJsonTextsOfAChatCountAsPrompt) {
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

}  // namespace client_codec_limits_test
}  // namespace trireme
