#include "coordinator/event_lines.h"

#include <nlohmann/json.hpp>

namespace trireme {
namespace {

using Json = nlohmann::ordered_json;

constexpr TimeUs kLoadingIntervalUs = 200'000;  // refresh of a progress bar

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
          {"memory", notice.memory}};
}

// Host names and causes come from ranks and may hold any bytes; invalid UTF-8 is replaced.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

void EventLines::write(const std::string& line) {
  if (out_ == nullptr) return;
  std::fprintf(out_, "%s\n", line.c_str());
  std::fflush(out_);
}

void EventLines::doors(const DoorEndpoints& endpoints) {
  Json json = {{"event", "doors"},
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
  write(dump(std::visit([](const auto& value) { return to_json(value); }, notice)));
}

void EventLines::say(const char* event) { write(dump({{"event", event}})); }

void EventLines::error(const Status& status) {
  write(dump({{"event", "error"}, {"id", error_id(status)}, {"message", message_of(status)}}));
}

}  // namespace trireme
