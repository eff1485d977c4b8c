#include "base/status.h"

#include "base/utf8.h"

namespace trireme {

// The length of the id: the text before the first ": ", if it has the form TRI-AREA-NNN.
static size_t id_length(std::string_view message) {
  if (!message.starts_with("TRI-")) return 0;
  const size_t colon = message.find(": ");
  return colon == std::string_view::npos || colon > 20 ? 0 : colon;
}

// Bytes that are not UTF-8 are escaped: a message goes to terminals, logs, JSON and protobuf
// strings, and may quote a path of any bytes.
std::string detail::with_id(std::string_view id, fmt::string_view format, fmt::format_args args) {
  std::string text(id);
  text += ": ";
  text += escape_not_utf8(fmt::vformat(format, args));
  return text;
}

std::string message_of(const Status& status) {
  return std::string(status.message().data(), status.message().size());
}

std::string error_id(const Status& status) {
  const std::string message = message_of(status);
  return message.substr(0, id_length(message));
}

Status status_from_wire(std::string_view id, std::string_view message) {
  if (id_length(message) > 0) return absl::UnknownError(std::string(message));
  return absl::UnknownError(format_text("{}: {}", id, message));
}

}  // namespace trireme
