#include "clients/gateway/http/http_message.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/text.h"

namespace trireme::gateway {

namespace {

constexpr std::pair<int, std::string_view> kReasons[] = {{200, "OK"},
                                                         {204, "No Content"},
                                                         {400, "Bad Request"},
                                                         {401, "Unauthorized"},
                                                         {403, "Forbidden"},
                                                         {404, "Not Found"},
                                                         {405, "Method Not Allowed"},
                                                         {408, "Request Timeout"},
                                                         {413, "Content Too Large"},
                                                         {414, "URI Too Long"},
                                                         {415, "Unsupported Media Type"},
                                                         {417, "Expectation Failed"},
                                                         {422, "Unprocessable Content"},
                                                         {429, "Too Many Requests"},
                                                         {431, "Request Header Fields Too Large"},
                                                         {500, "Internal Server Error"},
                                                         {501, "Not Implemented"},
                                                         {503, "Service Unavailable"},
                                                         {504, "Gateway Timeout"},
                                                         {505, "HTTP Version Not Supported"},
                                                         {529, "Overloaded"}};

// A control character in a value would end the header.
void append_header(std::string_view name, std::string_view value, std::string& out) {
  out += name;
  out += ": ";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7F ? ' ' : c;
  }
  out += "\r\n";
}

}  // namespace

std::string_view reason_phrase(int status) {
  const auto* found =
      std::ranges::find(kReasons, status, [](const auto& row) { return row.first; });
  return found == std::end(kReasons) ? "Unknown" : found->second;
}

std::string write_head(const ResponseHead& head) {
  std::string out = format_text("HTTP/1.1 {} {}\r\n", head.status, reason_phrase(head.status));
  if (head.date_s != 0) append_header("Date", http_date(head.date_s), out);
  for (const HttpHeader& header : head.headers) append_header(header.name, header.value, out);
  if (!head.content_type.empty()) append_header("Content-Type", head.content_type, out);
  if (head.content_length >= 0) {
    append_header("Content-Length", format_text("{}", head.content_length), out);
  }
  if (head.is_chunked) append_header("Transfer-Encoding", "chunked", out);
  if (!head.keeps_alive) {
    append_header("Connection", "close", out);
  } else if (head.minor_version == 0) {
    append_header("Connection", "keep-alive", out);
  }
  out += "\r\n";
  return out;
}

std::string http_date(int64_t time_s) {
  constexpr std::string_view kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::string_view kMonths[] = {
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t time = time_s;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  return format_text("{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                     kDays[parts.tm_wday],
                     parts.tm_mday,
                     kMonths[parts.tm_mon],
                     parts.tm_year + 1900,
                     parts.tm_hour,
                     parts.tm_min,
                     parts.tm_sec);
}

void append_chunk(std::string_view bytes, std::string& out) {
  if (bytes.empty()) return;  // an empty chunk would end the body
  fmt::format_to(std::back_inserter(out), "{:x}\r\n", bytes.size());
  out += bytes;
  out += "\r\n";
}

}  // namespace trireme::gateway
