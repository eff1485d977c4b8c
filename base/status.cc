#include "base/status.h"

#include "absl/strings/cord.h"
#include "base/utf8.h"

namespace trireme {

constexpr char kFieldPayload[] = "trireme/field";

// The length of the id: the text before the first ": ", if it has the form TRI-AREA-NNN.
static size_t id_length(std::string_view message) {
  if (!message.starts_with("TRI-")) return 0;
  const size_t colon = message.find(": ");
  return colon == std::string_view::npos || colon > 20 ? 0 : colon;
}

// Bytes that are not UTF-8 and control characters are escaped: a message goes to terminals, logs,
// JSON and protobuf strings, and may quote a path of any bytes. A line break before an indented
// line stays: messages that quote the output of mpirun list its lines so.
static std::string escape_message(std::string_view text) {
  constexpr std::string_view kNextLine = "\n  ";
  std::string out;
  for (size_t at = text.find(kNextLine); at != std::string_view::npos; at = text.find(kNextLine)) {
    out += escape_controls(text.substr(0, at));
    out += kNextLine;
    text.remove_prefix(at + kNextLine.size());
  }
  return out + escape_controls(text);
}

std::string detail::with_id(std::string_view id, fmt::string_view format, fmt::format_args args) {
  std::string text(id);
  text += ": ";
  text += escape_message(fmt::vformat(format, args));
  return text;
}

std::string message_of(const Status& status) {
  return std::string(status.message().data(), status.message().size());
}

std::string error_id(const Status& status) {
  const std::string message = message_of(status);
  return message.substr(0, id_length(message));
}

std::string message_without_id(const Status& status) {
  const std::string message = message_of(status);
  const size_t length = id_length(message);
  return length == 0 ? message : message.substr(length + 2);
}

Status with_field(Status status, std::string_view field) {
  if (!status.ok()) status.SetPayload(kFieldPayload, absl::Cord(std::string(field)));
  return status;
}

std::string field_of(const Status& status) {
  const auto field = status.GetPayload(kFieldPayload);
  return field ? std::string(*field) : std::string();
}

Status status_from_wire(std::string_view id, std::string_view message) {
  if (id_length(message) > 0) return absl::UnknownError(std::string(message));
  return absl::UnknownError(format_text("{}: {}", id, message));
}

}  // namespace trireme
