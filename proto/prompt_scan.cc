#include "proto/prompt_scan.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "base/utf8.h"
#include "proto/client.pb.h"

namespace trireme {
namespace {

// One field of a message (https://protobuf.dev/programming-guides/encoding): wire types 0, 1, 2, 5.
struct Field {
  uint64_t number = 0;
  uint64_t value = 0;      // of wire type 0
  std::string_view bytes;  // of wire type 2
  bool has_bytes = false;
  size_t size = 0;  // of the whole field
};

bool take_varint(std::string_view& rest, uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64 && !rest.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(rest.front());
    rest.remove_prefix(1);
    value |= uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// Takes the first field of `all`. False, and nothing taken, at its end and where no field follows.
bool take_field(std::string_view& all, Field& field) {
  std::string_view rest = all;
  uint64_t key = 0;
  if (!take_varint(rest, key)) return false;
  field = {};
  field.number = key >> 3;
  uint64_t size = 0;
  switch (key & 7) {
    case 0:
      if (!take_varint(rest, field.value)) return false;
      break;
    case 1:
      size = 8;
      break;
    case 2:
      if (!take_varint(rest, size)) return false;
      field.has_bytes = true;
      break;
    case 5:
      size = 4;
      break;
    default:
      return false;
  }
  if (size > rest.size()) return false;
  field.bytes = rest.substr(0, size);
  rest.remove_prefix(size);
  field.size = all.size() - rest.size();
  all = rest;
  return true;
}

// A string field, or a message that holds some.
struct TextField {
  int number;
  const char* name;
  const TextField* inner = nullptr;  // null: a string
  size_t num_inner = 0;
};

constexpr TextField kChatMessage[] = {{v1::ChatMessage::kRoleFieldNumber, "role"},
                                      {v1::ChatMessage::kContentFieldNumber, "content"}};
constexpr TextField kMessages[] = {
    {v1::Messages::kMessagesFieldNumber, "", kChatMessage, std::size(kChatMessage)}};
constexpr TextField kSampling[] = {{v1::Sampling::kStopFieldNumber, "stop"}};
constexpr TextField kChat[] = {
    {v1::Chat::kMessagesJsonFieldNumber, "messages_json"},
    {v1::Chat::kToolsJsonFieldNumber, "tools_json"},
    {v1::Chat::kDocumentsJsonFieldNumber, "documents_json"},
    {v1::Chat::kKwargsJsonFieldNumber, "kwargs_json"},
    {v1::Chat::kToolNameFieldNumber, "tool_name"},
};
constexpr TextField kStructure[] = {
    {v1::Structure::kJsonSchemaFieldNumber, "json_schema"},
    {v1::Structure::kRegexFieldNumber, "regex"},
    {v1::Structure::kGrammarFieldNumber, "grammar"},
};
constexpr TextField kSubmit[] = {
    {v1::Submit::kModelFieldNumber, "model"},
    {v1::Submit::kTextFieldNumber, "text"},
    {v1::Submit::kMessagesFieldNumber, "", kMessages, std::size(kMessages)},
    {v1::Submit::kSamplingFieldNumber, "", kSampling, std::size(kSampling)},
    {v1::Submit::kIdempotencyKeyFieldNumber, "idempotency_key"},
    {v1::Submit::kTraceparentFieldNumber, "traceparent"},
    {v1::Submit::kChatFieldNumber, "", kChat, std::size(kChat)},
    {v1::Submit::kPrincipalFieldNumber, "principal"},
    {v1::Submit::kClientRequestIdFieldNumber, "client_request_id"},
    {v1::Submit::kStructureFieldNumber, "", kStructure, std::size(kStructure)},
    {v1::Submit::kCacheSaltFieldNumber, "cache_salt"},
    {v1::Submit::kShareFieldNumber, "share"},
};
constexpr TextField kTokenize[] = {
    {v1::Tokenize::kTextFieldNumber, "text"},
    {v1::Tokenize::kChatFieldNumber, "", kChat, std::size(kChat)},
};

// A field that counts as prompt, or a message in which some fields do.
struct PromptField {
  int number;
  const PromptField* inner = nullptr;  // null: the whole field
  size_t num_inner = 0;
};

constexpr PromptField kIds[] = {{v1::TokenIds::kIdsFieldNumber}};
constexpr PromptField kChatTexts[] = {{v1::Chat::kMessagesJsonFieldNumber},
                                      {v1::Chat::kToolsJsonFieldNumber},
                                      {v1::Chat::kDocumentsJsonFieldNumber},
                                      {v1::Chat::kKwargsJsonFieldNumber}};
constexpr PromptField kSubmitPrompt[] = {
    {v1::Submit::kTextFieldNumber},
    {v1::Submit::kTokenIdsFieldNumber, kIds, std::size(kIds)},
    {v1::Submit::kChatFieldNumber, kChatTexts, std::size(kChatTexts)},
};
constexpr PromptField kTokenizePrompt[] = {
    {v1::Tokenize::kTextFieldNumber},
    {v1::Tokenize::kChatFieldNumber, kChatTexts, std::size(kChatTexts)},
};
constexpr PromptField kDetokenizePrompt[] = {{v1::Detokenize::kIdsFieldNumber}};

struct MessageScan {
  int type;
  const char* name;
  int tag_number;
  std::span<const PromptField> prompt;
  std::span<const TextField> texts;
};

constexpr MessageScan kScans[] = {
    // In the order of PromptMessage.
    {v1::SUBMIT, "trireme.v1.Submit", v1::Submit::kTagFieldNumber, kSubmitPrompt, kSubmit},
    {v1::TOKENIZE,
     "trireme.v1.Tokenize",
     v1::Tokenize::kTagFieldNumber,
     kTokenizePrompt,
     kTokenize},
    {v1::DETOKENIZE,
     "trireme.v1.Detokenize",
     v1::Detokenize::kTagFieldNumber,
     kDetokenizePrompt,
     {}},
};

const MessageScan& scan_of(PromptMessage message) { return kScans[static_cast<size_t>(message)]; }

std::optional<BadText> bad_text_in(std::string_view body, std::span<const TextField> texts) {
  Field field;
  while (take_field(body, field)) {
    if (!field.has_bytes) continue;
    for (const TextField& text : texts) {
      if (static_cast<uint64_t>(text.number) != field.number) continue;
      if (text.inner != nullptr) {
        const auto bad = bad_text_in(field.bytes, {text.inner, text.num_inner});
        if (bad) return bad;
      } else if (const auto at = first_not_utf8(field.bytes)) {
        return BadText{text.name, *at};
      }
    }
  }
  return std::nullopt;
}

// The bytes of all fields but those of `prompt`; -1 if the bytes are not a message.
int64_t bytes_beside(std::string_view body, std::span<const PromptField> prompt) {
  int64_t bytes = 0;
  Field field;
  while (take_field(body, field)) {
    const auto* found = std::find_if(prompt.data(), prompt.data() + prompt.size(), [&](auto& each) {
      return static_cast<uint64_t>(each.number) == field.number;
    });
    if (found == prompt.data() + prompt.size()) {
      bytes += static_cast<int64_t>(field.size);
    } else if (found->inner != nullptr) {
      const int64_t beside = bytes_beside(field.bytes, {found->inner, found->num_inner});
      if (beside < 0 || !field.has_bytes) return -1;
      bytes += beside;
    }
  }
  return body.empty() ? bytes : -1;
}

}  // namespace

std::optional<PromptMessage> prompt_message_of(int type) {
  for (size_t i = 0; i < std::size(kScans); ++i) {
    if (kScans[i].type == type) return static_cast<PromptMessage>(i);
  }
  return std::nullopt;
}

const char* name_of(PromptMessage message) { return scan_of(message).name; }

int64_t control_bytes_of(PromptMessage message, std::string_view body) {
  return bytes_beside(body, scan_of(message).prompt);
}

uint64_t tag_of(PromptMessage message, std::string_view body) {
  const auto number = static_cast<uint64_t>(scan_of(message).tag_number);
  uint64_t tag = 0;
  Field field;
  while (take_field(body, field)) {
    if (field.number == number && !field.has_bytes) tag = field.value;
  }
  return tag;
}

std::optional<BadText> bad_text_of(PromptMessage message, std::string_view body) {
  return bad_text_in(body, scan_of(message).texts);
}

}  // namespace trireme
