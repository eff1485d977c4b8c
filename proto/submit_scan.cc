#include "proto/submit_scan.h"

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
constexpr TextField kSubmit[] = {
    {v1::Submit::kModelFieldNumber, "model"},
    {v1::Submit::kTextFieldNumber, "text"},
    {v1::Submit::kMessagesFieldNumber, "", kMessages, std::size(kMessages)},
    {v1::Submit::kSamplingFieldNumber, "", kSampling, std::size(kSampling)},
    {v1::Submit::kIdempotencyKeyFieldNumber, "idempotency_key"},
    {v1::Submit::kTraceparentFieldNumber, "traceparent"},
};

std::optional<BadText> bad_text_of(std::string_view body, std::span<const TextField> texts) {
  Field field;
  while (take_field(body, field)) {
    if (!field.has_bytes) continue;
    for (const TextField& text : texts) {
      if (static_cast<uint64_t>(text.number) != field.number) continue;
      if (text.inner != nullptr) {
        const auto bad = bad_text_of(field.bytes, {text.inner, text.num_inner});
        if (bad) return bad;
      } else if (const auto at = first_not_utf8(field.bytes)) {
        return BadText{text.name, *at};
      }
    }
  }
  return std::nullopt;
}

// The bytes of all fields but `payload`; -1 if the bytes are not a message.
int64_t bytes_beside(std::string_view body, uint64_t payload) {
  int64_t bytes = 0;
  Field field;
  while (take_field(body, field)) {
    if (field.number != payload) bytes += static_cast<int64_t>(field.size);
  }
  return body.empty() ? bytes : -1;
}

}  // namespace

int64_t control_bytes_of_submit(std::string_view body) {
  int64_t control = 0;
  Field field;
  while (take_field(body, field)) {
    if (field.number == v1::Submit::kTokenIdsFieldNumber && field.has_bytes) {
      const int64_t beside = bytes_beside(field.bytes, v1::TokenIds::kIdsFieldNumber);
      if (beside < 0) return -1;
      control += beside;
    } else if (field.number != v1::Submit::kTextFieldNumber) {
      control += static_cast<int64_t>(field.size);
    }
  }
  return body.empty() ? control : -1;
}

uint64_t tag_of_submit(std::string_view body) {
  uint64_t tag = 0;
  Field field;
  while (take_field(body, field)) {
    if (field.number == v1::Submit::kTagFieldNumber && !field.has_bytes) tag = field.value;
  }
  return tag;
}

std::optional<BadText> bad_text_of_submit(std::string_view body) {
  return bad_text_of(body, kSubmit);
}

}  // namespace trireme
