#include "clients/gateway/api/answers/logprobs.h"

#include <fmt/core.h>

#include "base/utf8.h"

namespace trireme::gateway {
namespace {

void write_token(float logprob, std::string_view bytes, JsonWriter& json) {
  json.member("token", to_utf8_lossy(bytes)).key("logprob").number(logprob);
  json.key("bytes").open_array();
  for (const char byte : bytes) json.integer(static_cast<unsigned char>(byte));
  json.close_array();
}

void write_entry(const door::TokenLogprob& entry, JsonWriter& json) {
  json.open_object();
  write_token(entry.token.logprob, entry.token_bytes, json);
  json.key("top_logprobs").open_array();
  for (size_t i = 0; i < entry.top.size(); ++i) {
    json.open_object();
    write_token(entry.top[i].logprob, top_bytes(entry, i), json);
    json.close_object();
  }
  json.close_array().close_object();
}

}  // namespace

void write_chat_logprobs(const std::vector<door::TokenLogprob>& entries, JsonWriter& json) {
  json.open_array();
  for (const door::TokenLogprob& entry : entries) write_entry(entry, json);
  json.close_array();
}

std::string_view top_bytes(const door::TokenLogprob& entry, size_t index) {
  return index < entry.top_bytes.size() ? entry.top_bytes[index] : std::string_view();
}

std::string token_text(std::string_view bytes) {
  if (is_utf8(bytes)) return std::string(bytes);
  std::string text = "bytes:";
  for (const char byte : bytes) {
    text += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
  }
  return text;
}

}  // namespace trireme::gateway
