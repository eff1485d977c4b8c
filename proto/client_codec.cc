#include "proto/client_codec.h"

#include "proto/client_convert.h"

namespace trireme {

using wire::RangeCheck;

// The frequent messages, reused between calls. The others are local to a call.
struct ClientCodec::Messages {
  v1::Submit submit;
  v1::Tokens tokens;
  v1::Finished finished;
  v1::ProbeValues probe_values;
};

namespace {

std::string with_unit(int64_t bytes) {
  return format_text("{} ({})", bytes, format_bytes(static_cast<double>(bytes)));
}

Status not_a(PromptMessage message, std::string_view body) {
  if (const auto bad = bad_text_of(message, body)) {
    return with_field(invalid("TRI-NET-003",
                              "the field {} of a {} is not UTF-8 at byte {}; convert the text",
                              bad->field,
                              name_of(message),
                              bad->at),
                      bad->field);
  }
  return invalid("TRI-NET-003",
                 "a body of {} bytes is not a {}; compare proto/client.proto of this release",
                 body.size(),
                 name_of(message));
}

Status check_prompt_frame(PromptMessage message, std::string_view body, const FrameLimits& limits) {
  const auto size = static_cast<int64_t>(body.size());
  if (size > limits.prompt_bytes) {
    return with_field(
        too_large("TRI-NET-004",
                  "the request has {} bytes, at most {} are taken; shorten its prompt",
                  size,
                  with_unit(limits.prompt_bytes)),
        "prompt");
  }
  if (size <= limits.control_bytes) return ok_status();
  const int64_t control = control_bytes_of(message, body);
  if (control < 0) return not_a(message, body);
  if (control <= limits.control_bytes) return ok_status();
  return too_large("TRI-NET-004",
                   "the request has {} bytes beside its prompt, at most {} are taken; shorten its "
                   "lists and its other texts",
                   control,
                   with_unit(limits.control_bytes));
}

template <class Value, class Message, class Variant>
StatusOr<Variant> decode_as(std::string_view body, int64_t max_bytes, Message& message) {
  RETURN_IF_ERROR(wire::parse(body, max_bytes, message));
  RangeCheck check;
  Variant variant{std::in_place_type<Value>};
  read(check, message, std::get<Value>(variant));
  if (!check.ok()) return check.status();
  return variant;
}

template <class Value, class Message>
StatusOr<door::FromClient> control(std::string_view body) {
  Message message;
  return decode_as<Value, Message, door::FromClient>(body, kMaxControlBytes, message);
}

template <class Value, class Message>
StatusOr<door::ToClient> answer(std::string_view body) {
  Message message;
  return decode_as<Value, Message, door::ToClient>(body, kMaxToClientBytes, message);
}

Status unexpected_type(int type, const char* direction) {
  return invalid("TRI-NET-005",
                 "message type {} is none that {}; docs/protocol.md lists them",
                 type,
                 direction);
}

template <class Value, class Message>
void encode_as(v1::MessageType type, const Value& value, Message& message, std::string& frame) {
  message.Clear();
  write(value, message);
  wire::write_frame(type, message, frame);
}

template <class Message, class Value>
void encode_once(v1::MessageType type, const Value& value, std::string& frame) {
  Message message;
  encode_as(type, value, message, frame);
}

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace

Status check_frame_size(std::string_view frame, const FrameLimits& limits) {
  const std::string_view body = frame.substr(std::min(frame.size(), kFrameHeaderBytes));
  const auto type = frame.size() > 1 ? static_cast<uint8_t>(frame[1]) : 0;
  if (const auto prompt = prompt_message_of(type)) return check_prompt_frame(*prompt, body, limits);
  if (static_cast<int64_t>(body.size()) <= limits.control_bytes) return ok_status();
  return too_large("TRI-NET-004",
                   "the message has {} bytes, at most {} are taken; shorten it",
                   body.size(),
                   with_unit(limits.control_bytes));
}

ClientCodec::ClientCodec() : messages_(std::make_unique<Messages>()) {}
ClientCodec::~ClientCodec() = default;

void ClientCodec::encode(const door::FromClient& message, std::string& frame) {
  std::visit(
      Overloaded{
          [&](const door::Hello& value) { encode_once<v1::Hello>(v1::HELLO, value, frame); },
          [&](const door::Submit& value) {
            encode_as(v1::SUBMIT, value, messages_->submit, frame);
          },
          [&](const door::Cancel& value) { encode_once<v1::Cancel>(v1::CANCEL, value, frame); },
          [&](const door::Resume& value) { encode_once<v1::Resume>(v1::RESUME, value, frame); },
          [&](const door::Credit& value) { encode_once<v1::Credit>(v1::CREDIT, value, frame); },
          [&](const door::Ping& value) { encode_once<v1::Ping>(v1::PING, value, frame); },
          [&](const door::Tokenize& value) {
            encode_once<v1::Tokenize>(v1::TOKENIZE, value, frame);
          },
          [&](const door::Detokenize& value) {
            encode_once<v1::Detokenize>(v1::DETOKENIZE, value, frame);
          },
          [&](const door::ListModels& value) {
            encode_once<v1::ListModels>(v1::LIST_MODELS, value, frame);
          },
          [&](const door::StatusRequest& value) {
            encode_once<v1::StatusRequest>(v1::STATUS, value, frame);
          },
      },
      message);
}

void ClientCodec::encode(const door::ToClient& message, std::string& frame) {
  std::visit(
      Overloaded{
          [&](const door::Welcome& value) { encode_once<v1::Welcome>(v1::WELCOME, value, frame); },
          [&](const door::Accepted& value) {
            encode_once<v1::Accepted>(v1::ACCEPTED, value, frame);
          },
          [&](const door::Tokens& value) {
            encode_as(v1::TOKENS, value, messages_->tokens, frame);
          },
          [&](const door::PromptLogprobs& value) {
            encode_once<v1::PromptLogprobs>(v1::PROMPT_LOGPROBS, value, frame);
          },
          [&](const door::ProbeValues& value) {
            encode_as(v1::PROBE_VALUES, value, messages_->probe_values, frame);
          },
          [&](const door::Progress& value) {
            encode_once<v1::Progress>(v1::PROGRESS, value, frame);
          },
          [&](const door::Finished& value) {
            encode_as(v1::FINISHED, value, messages_->finished, frame);
          },
          [&](const door::Error& value) { encode_once<v1::Error>(v1::ERROR, value, frame); },
          [&](const door::Tokenized& value) {
            encode_once<v1::Tokenized>(v1::TOKENIZED, value, frame);
          },
          [&](const door::Detokenized& value) {
            encode_once<v1::Detokenized>(v1::DETOKENIZED, value, frame);
          },
          [&](const door::Pong& value) { encode_once<v1::Pong>(v1::PONG, value, frame); },
          [&](const door::Models& value) { encode_once<v1::Models>(v1::MODELS, value, frame); },
          [&](const door::StatusReply& value) {
            encode_once<v1::StatusReply>(v1::STATUS_REPLY, value, frame);
          },
      },
      message);
}

template <class Value, class Message>
StatusOr<door::FromClient> ClientCodec::decode_prompt(PromptMessage type,
                                                      std::string_view body,
                                                      Message& message) {
  last_tag_ = tag_of(type, body);
  RETURN_IF_ERROR(check_prompt_frame(type, body, FrameLimits{}));
  auto decoded = decode_as<Value, Message, door::FromClient>(body, kMaxPromptBytes, message);
  // The memory of a long prompt is released: the next one may be short.
  if (static_cast<int64_t>(body.size()) > kMaxControlBytes) message = {};
  if (!decoded.ok() && error_id(decoded.status()) == "TRI-NET-003") return not_a(type, body);
  return decoded;
}

StatusOr<door::FromClient> ClientCodec::decode_from_client(std::string_view bytes) {
  last_tag_ = 0;
  ASSIGN_OR_RETURN(const Frame frame, read_frame(bytes));
  switch (frame.type) {
    case v1::HELLO:
      return control<door::Hello, v1::Hello>(frame.body);
    case v1::SUBMIT:
      return decode_prompt<door::Submit>(PromptMessage::kSubmit, frame.body, messages_->submit);
    case v1::TOKENIZE: {
      v1::Tokenize message;
      return decode_prompt<door::Tokenize>(PromptMessage::kTokenize, frame.body, message);
    }
    case v1::DETOKENIZE: {
      v1::Detokenize message;
      return decode_prompt<door::Detokenize>(PromptMessage::kDetokenize, frame.body, message);
    }
    case v1::CANCEL:
      return control<door::Cancel, v1::Cancel>(frame.body);
    case v1::RESUME:
      return control<door::Resume, v1::Resume>(frame.body);
    case v1::CREDIT:
      return control<door::Credit, v1::Credit>(frame.body);
    case v1::PING:
      return control<door::Ping, v1::Ping>(frame.body);
    case v1::LIST_MODELS:
      return control<door::ListModels, v1::ListModels>(frame.body);
    case v1::STATUS:
      return control<door::StatusRequest, v1::StatusRequest>(frame.body);
    default:
      return unexpected_type(frame.type, "a client sends");
  }
}

StatusOr<door::ToClient> ClientCodec::decode_to_client(std::string_view bytes) {
  ASSIGN_OR_RETURN(const Frame frame, read_frame(bytes));
  switch (frame.type) {
    case v1::WELCOME:
      return answer<door::Welcome, v1::Welcome>(frame.body);
    case v1::ACCEPTED:
      return answer<door::Accepted, v1::Accepted>(frame.body);
    case v1::TOKENS:
      return decode_as<door::Tokens, v1::Tokens, door::ToClient>(
          frame.body, kMaxToClientBytes, messages_->tokens);
    case v1::PROMPT_LOGPROBS:
      return answer<door::PromptLogprobs, v1::PromptLogprobs>(frame.body);
    case v1::PROBE_VALUES:
      return decode_as<door::ProbeValues, v1::ProbeValues, door::ToClient>(
          frame.body, kMaxToClientBytes, messages_->probe_values);
    case v1::FINISHED:
      return answer<door::Finished, v1::Finished>(frame.body);
    case v1::ERROR:
      return answer<door::Error, v1::Error>(frame.body);
    case v1::PROGRESS:
      return answer<door::Progress, v1::Progress>(frame.body);
    case v1::TOKENIZED:
      return answer<door::Tokenized, v1::Tokenized>(frame.body);
    case v1::DETOKENIZED:
      return answer<door::Detokenized, v1::Detokenized>(frame.body);
    case v1::PONG:
      return answer<door::Pong, v1::Pong>(frame.body);
    case v1::MODELS:
      return answer<door::Models, v1::Models>(frame.body);
    case v1::STATUS_REPLY:
      return answer<door::StatusReply, v1::StatusReply>(frame.body);
    default:
      return unexpected_type(frame.type, "a coordinator sends to a client");
  }
}

}  // namespace trireme
