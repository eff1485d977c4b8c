#include "coordinator/event_lines.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

namespace trireme {
namespace {

using Json = nlohmann::ordered_json;

constexpr TimeUs kLoadingIntervalUs = 200'000;  // refresh of a progress bar
constexpr TimeUs kAliveIntervalUs = 5'000'000;
// PIPE_BUF: a pipe that polls as writable takes a write of this size without blocking.
constexpr size_t kMaxWriteBytes = 4096;
constexpr int kLastLinesMs = 1'000;

Json to_json(const notice::RankSeen& notice) {
  return {{"event", "rank"},
          {"group", notice.group},
          {"rank", notice.rank},
          {"host", notice.host},
          {"pid", notice.pid}};
}

Json to_json(const notice::RankLoading& notice) {
  return {{"event", "loading"},
          {"group", notice.group},
          {"loaded_bytes", notice.loaded_bytes},
          {"total_bytes", notice.total_bytes}};
}

Json to_json(const notice::RankLoaded& notice) {
  const RankHello& hello = notice.hello;
  return {{"event", "hello"},
          {"group", hello.group},
          {"rank", hello.rank},
          {"host", hello.host},
          {"pid", hello.pid},
          {"tp", hello.tp},
          {"pp", hello.pp},
          {"dtype", hello.dtype},
          {"backend", hello.backend},
          {"isa", hello.isa},
          {"pages", hello.pages},
          {"page_tokens", hello.kv_layout.page_tokens},
          {"max_slots", hello.max_slots}};
}

Json to_json(const notice::GroupReady& notice) {
  const GroupShape& shape = notice.shape;
  return {{"event", "group_ready"},
          {"group", shape.group},
          {"epoch", shape.epoch},
          {"tp", notice.tp},
          {"pp", notice.pp},
          {"pages", shape.num_pages},
          {"page_tokens", shape.page_tokens},
          {"max_slots", shape.max_slots},
          {"max_batched_tokens", shape.max_batched_tokens},
          {"max_model_len", shape.max_model_len},
          {"asked_model_len", notice.asked_model_len},
          {"backend", notice.hello.backend},
          {"dtype", notice.hello.dtype},
          {"isa", notice.hello.isa},
          {"invariant", shape.invariant}};
}

Json to_json(const notice::GroupLost& notice) {
  return {{"event", "group_lost"},
          {"group", notice.group},
          {"epoch", notice.epoch},
          {"rank", notice.rank < 0 ? Json() : Json(notice.rank)},
          {"host", notice.host},
          {"phase", notice.phase},
          {"id", error_id(notice.cause)},
          {"cause", message_of(notice.cause)},
          {"was_ready", notice.was_ready},
          {"memory", notice.memory},
          {"steps", notice.steps}};
}

// Host names and causes come from ranks and may hold any bytes; invalid UTF-8 is replaced.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

EventLines::~EventLines() { flush(kLastLinesMs); }

void EventLines::write(const std::string& line, Kind kind) {
  if (fd_ < 0) return;
  waiting_.push_back({line + "\n", kind});
  waiting_bytes_ += line.size() + 1;
  flush(0);
  drop_excess();
}

// A line whose beginning is written stays: the next one would be read as its rest.
void EventLines::drop_excess() {
  for (const bool progress_alone : {true, false}) {
    auto line = waiting_.begin() + (written_bytes_ > 0 ? 1 : 0);
    while (waiting_bytes_ > kMaxWaitingBytes && line != waiting_.end()) {
      if (progress_alone && line->kind != Kind::kProgress) {
        ++line;
        continue;
      }
      waiting_bytes_ -= line->text.size();
      line = waiting_.erase(line);
    }
  }
}

// The descriptor stays a blocking one, since a terminal's is shared with other programs.
void EventLines::flush(int timeout_ms) {
  SteadyClock clock;
  const TimeUs deadline_us = clock.now_us() + TimeUs{1000} * timeout_ms;
  while (!waiting_.empty()) {
    pollfd wait{fd_, POLLOUT, 0};
    const TimeUs left_us = std::max<TimeUs>(0, deadline_us - clock.now_us());
    if (::poll(&wait, 1, static_cast<int>(left_us / 1000)) != 1) return;
    const std::string& text = waiting_.front().text;
    const size_t count = std::min(text.size() - written_bytes_, kMaxWriteBytes);
    ssize_t written = -1;
    if (wait.revents == POLLOUT) {
      written = ::write(fd_, text.data() + written_bytes_, count);
      if (written < 0 && (errno == EINTR || errno == EAGAIN)) return;
    }
    if (written < 0) {  // nobody reads any more, or the disk is full
      waiting_.clear();
      waiting_bytes_ = written_bytes_ = 0;
      return;
    }
    written_bytes_ += static_cast<size_t>(written);
    if (written_bytes_ < text.size()) continue;
    waiting_bytes_ -= text.size();
    written_bytes_ = 0;
    waiting_.pop_front();
  }
}

void EventLines::tick(TimeUs now_us) {
  if (now_us >= next_alive_us_) {
    next_alive_us_ = now_us + kAliveIntervalUs;
    write(dump({{"event", "alive"}}), Kind::kProgress);
  }
  flush(0);
}

void EventLines::doors(const DoorEndpoints& endpoints) {
  Json json = {{"event", "doors"},
               {"pid", ::getpid()},
               {"client_endpoint", endpoints.client},
               {"worker_endpoint", endpoints.worker}};
  if (!endpoints.worker_key_file.empty()) json["worker_key_file"] = endpoints.worker_key_file;
  write(dump(json));
}

// The last one of a group is always due.
bool EventLines::is_due(const notice::RankLoading& notice, TimeUs now_us) {
  TimeUs& last = last_loading_us_[notice.group];
  const bool complete = notice.loaded_bytes == notice.total_bytes;
  if (!complete && last != 0 && now_us - last < kLoadingIntervalUs) return false;
  last = now_us;
  return true;
}

void EventLines::notice(const Notice& notice, TimeUs now_us) {
  const auto* const loading = std::get_if<notice::RankLoading>(&notice);
  if (loading != nullptr && !is_due(*loading, now_us)) return;
  write(dump(std::visit([](const auto& value) { return to_json(value); }, notice)),
        loading != nullptr ? Kind::kProgress : Kind::kChange);
}

void EventLines::say(const char* event) { write(dump({{"event", event}})); }

void EventLines::no_chat(const Status& cause) {
  write(dump({{"event", "no_chat"}, {"id", error_id(cause)}, {"message", message_of(cause)}}));
}

void EventLines::error(const Status& status) {
  write(dump({{"event", "error"}, {"id", error_id(status)}, {"message", message_of(status)}}));
}

}  // namespace trireme
