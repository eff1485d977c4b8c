#include "clients/gateway/resume_request.h"

#include <cstdint>
#include <string_view>

#include "clients/gateway/api/api_call.h"

namespace trireme::gateway {
namespace {

constexpr size_t kIdBytes = 16;
constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string base64url(std::string_view bytes) {
  std::string text;
  uint32_t bits = 0;
  int num_bits = 0;
  for (const char byte : bytes) {
    bits = bits << 8 | static_cast<uint8_t>(byte);
    for (num_bits += 8; num_bits >= 6; num_bits -= 6) text += kDigits[bits >> (num_bits - 6) & 63];
  }
  if (num_bits > 0) text += kDigits[bits << (6 - num_bits) & 63];
  return text;
}

// Bytes of which `text` is the one form.
std::optional<std::string> bytes_of(std::string_view text) {
  std::string bytes;
  uint32_t bits = 0;
  int num_bits = 0;
  for (const char digit : text) {
    const size_t value = kDigits.find(digit);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    num_bits += 6;
    if (num_bits < 8) continue;
    num_bits -= 8;
    bytes += static_cast<char>(bits >> num_bits & 255);
  }
  if (base64url(bytes) != text) return std::nullopt;
  return bytes;
}

}  // namespace

StatusOr<ResumeRequest> read_resume_request(const HttpRequest& request) {
  const std::optional<std::string> bytes = bytes_of(request.header("trireme-resume"));
  if (!bytes || bytes->empty() || bytes->size() % kIdBytes != 0 ||
      bytes->size() / kIdBytes > kMaxResumableChoices) {
    return invalid("TRI-HTTP-034",
                   "the header Trireme-Resume holds no token; send the one that the answer had in "
                   "its header of that name");
  }
  ResumeRequest resume;
  for (size_t at = 0; at < bytes->size(); at += kIdBytes) {
    resume.request_ids.push_back(bytes->substr(at, kIdBytes));
  }
  const std::string_view id = request.header("last-event-id");
  if (id.empty()) return resume;
  ASSIGN_OR_RETURN(resume.after, read_event_id(id));
  if (resume.after->before.size() % resume.request_ids.size() != 0) return no_such_event();
  return resume;
}

StatusOr<SavedForm> form_of(const ResumeRequest& resume, std::string_view client_state) {
  ASSIGN_OR_RETURN(const SavedForm form, read_form(client_state));
  const auto num_prompts = static_cast<size_t>(form.options.num_prompts);
  const auto num_choices = static_cast<size_t>(form.options.num_choices);
  if (num_prompts != resume.request_ids.size()) {
    return invalid("TRI-HTTP-034",
                   "the token of Trireme-Resume names {} prompts, the request has {}; send the "
                   "token as it came",
                   resume.request_ids.size(),
                   num_prompts);
  }
  if (resume.after && resume.after->before.size() != num_prompts * num_choices) {
    return no_such_event();
  }
  return form;
}

Status no_such_event() {
  return invalid("TRI-HTTP-034",
                 "Last-Event-ID names no event of this answer; send the last one that came, or "
                 "leave the header out to get all events");
}

std::string resume_token(const std::vector<std::string>& request_ids) {
  std::string bytes;
  for (const std::string& id : request_ids) bytes += id;
  return base64url(bytes);
}

}  // namespace trireme::gateway
