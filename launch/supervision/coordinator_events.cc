#include "launch/supervision/coordinator_events.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace trireme {

namespace {

using Json = nlohmann::json;
using Kind = CoordinatorEvent::Kind;

constexpr std::pair<const char*, Kind> kKinds[] = {{"doors", Kind::kDoors},
                                                   {"alive", Kind::kAlive},
                                                   {"rank", Kind::kRank},
                                                   {"loading", Kind::kLoading},
                                                   {"hello", Kind::kHello},
                                                   {"group_ready", Kind::kGroupReady},
                                                   {"group_lost", Kind::kGroupLost},
                                                   {"no_chat", Kind::kNoChat},
                                                   {"draining", Kind::kDraining},
                                                   {"drained", Kind::kDrained},
                                                   {"stopped", Kind::kStopped},
                                                   {"error", Kind::kError}};

template <class T>
void read(const Json& json, const char* key, T& value) {
  const auto found = json.find(key);
  if (found == json.end()) return;
  if constexpr (std::is_same_v<T, std::string>) {
    if (found->is_string()) value = found->get<std::string>();
  } else if constexpr (std::is_same_v<T, bool>) {
    if (found->is_boolean()) value = found->get<bool>();
  } else {
    if (found->is_number_integer()) value = found->get<T>();
  }
}

}  // namespace

std::optional<CoordinatorEvent> parse_coordinator_event(const std::string& line) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  std::string name;
  read(json, "event", name);
  CoordinatorEvent event;
  bool known = false;
  for (const auto& [text, kind] : kKinds) {
    if (name != text) continue;
    event.kind = kind;
    known = true;
  }
  if (!known) return std::nullopt;
  read(json, "group", event.group);
  read(json, "rank", event.rank);
  read(json, "host", event.host);
  read(json, "pid", event.pid);
  read(json, "phase", event.phase);
  read(json, "id", event.id);
  read(json, "cause", event.text);
  read(json, "message", event.text);
  read(json, "was_ready", event.was_ready);
  read(json, "memory", event.memory);
  read(json, "steps", event.steps);
  read(json, "loaded_bytes", event.loaded_bytes);
  read(json, "total_bytes", event.total_bytes);
  read(json, "client_endpoint", event.client_endpoint);
  read(json, "worker_endpoint", event.worker_endpoint);
  read(json, "worker_key_file", event.worker_key_file);
  read(json, "tp", event.tp);
  read(json, "pp", event.pp);
  read(json, "pages", event.pages);
  read(json, "page_tokens", event.page_tokens);
  read(json, "max_model_len", event.max_model_len);
  read(json, "asked_model_len", event.asked_model_len);
  read(json, "backend", event.backend);
  read(json, "dtype", event.dtype);
  read(json, "isa", event.isa);
  return event;
}

}  // namespace trireme
