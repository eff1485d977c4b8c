#include "tests/doors/http_answer.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace trireme {

bool HttpAnswer::read_head() {
  const size_t end = raw_.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  const std::string head = ascii_lower(raw_.substr(0, end + 2));
  if (!head.starts_with("http/1.") || head.size() < 12) {
    is_broken_ = true;
    return false;
  }
  std::from_chars(head.data() + 9, head.data() + 12, status_);
  raw_.erase(0, end + 4);
  if (status_ == 100) return read_head();
  is_chunked_ = head.find("\r\ntransfer-encoding: chunked\r\n") != std::string::npos;
  is_stream_ = head.find("\r\ncontent-type: text/event-stream") != std::string::npos;
  const size_t length = head.find("\r\ncontent-length: ");
  if (length != std::string::npos) {
    std::from_chars(head.data() + length + 18, head.data() + head.size(), body_left_);
  }
  has_head_ = true;
  return true;
}

void HttpAnswer::take(std::string_view bytes, std::vector<std::string>& events) {
  if (!is_stream_) {
    body_ += bytes;
    return;
  }
  event_ += bytes;
  size_t begin = 0;
  for (size_t end = event_.find("\n\n"); end != std::string::npos;
       end = event_.find("\n\n", begin)) {
    const std::string_view event = std::string_view(event_).substr(begin, end - begin);
    const size_t data = event.starts_with("data: ") ? 0 : event.find("\ndata: ");
    if (data != std::string_view::npos) {
      events.emplace_back(event.substr(data == 0 ? 6 : data + 7));
    }
    begin = end + 2;
  }
  event_.erase(0, begin);
}

void HttpAnswer::read_chunks(std::vector<std::string>& events) {
  while (!is_over_) {
    const size_t end = raw_.find("\r\n");
    if (end == std::string::npos) return;
    size_t size = 0;
    const auto read = std::from_chars(raw_.data(), raw_.data() + end, size, 16);
    if (read.ec != std::errc() || read.ptr == raw_.data()) {
      is_broken_ = true;
      return;
    }
    if (raw_.size() < end + 2 + size + 2) return;
    if (size > 0) take(std::string_view(raw_).substr(end + 2, size), events);
    if (raw_.compare(end + 2 + size, 2, "\r\n") != 0) is_broken_ = true;
    raw_.erase(0, end + 2 + size + 2);
    is_over_ = size == 0;
  }
}

void HttpAnswer::add(std::string_view bytes, std::vector<std::string>& events) {
  raw_ += bytes;
  if (!has_head_ && !read_head()) return;
  if (is_chunked_) return read_chunks(events);
  if (body_left_ < 0) {  // until the connection ends
    take(raw_, events);
    raw_.clear();
    return;
  }
  const size_t size = std::min<size_t>(raw_.size(), static_cast<size_t>(body_left_));
  take(std::string_view(raw_).substr(0, size), events);
  raw_.erase(0, size);
  body_left_ -= static_cast<int64_t>(size);
  is_over_ = body_left_ == 0;
}

}  // namespace trireme
