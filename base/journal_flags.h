// The flags of the journal. `trireme up` passes them on to the coordinator.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/flags.h"
#include "base/status.h"

namespace trireme {

struct JournalFlags {
  std::string mode = "on";
  bool fsync = false;
  int64_t bytes = int64_t{1} << 30;
  std::string answer_ttl = "10min";
  std::string drain_timeout = "30s";
};

inline void add_journal_flags(FlagSet& flags, JournalFlags& values, const std::string& group) {
  flags.add("journal", &values.mode, "on or off: keep requests below --state over restarts", group);
  flags.add("fsync", &values.fsync, "the journal survives a loss of power, too", group);
  flags.add_size("journal-size", &values.bytes, "room of the journal", group);
  flags.add("answer-ttl", &values.answer_ttl, "answers can be read again so long: 90s, 1h", group);
  flags.add("drain-timeout",
            &values.drain_timeout,
            "a drain leaves what then still runs to the journal",
            group);
}

// Seconds of a length of time such as 90s, 10min or 1h; nothing if it is none.
inline std::optional<int64_t> seconds_of(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || number > 1'000'000) return std::nullopt;
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (unit == "s") return number;
  if (unit == "min") return 60 * number;
  if (unit == "h") return 3600 * number;
  return std::nullopt;
}

// TRI-ARGS-027: a mode, size or time that is not allowed.
inline Status check_journal_flags(const JournalFlags& values) {
  if (values.mode != "on" && values.mode != "off") {
    return invalid("TRI-ARGS-027", "--journal is {}, allowed are on and off", values.mode);
  }
  constexpr int64_t kMinBytes = int64_t{64} << 20;
  constexpr int64_t kMaxBytes = int64_t{1} << 40;
  if (values.bytes < kMinBytes || values.bytes > kMaxBytes) {
    return invalid(
        "TRI-ARGS-027", "--journal-size is {} bytes, allowed is 64MiB to 1TiB", values.bytes);
  }
  for (const auto& [name, value] : {std::pair("answer-ttl", &values.answer_ttl),
                                    std::pair("drain-timeout", &values.drain_timeout)}) {
    if (seconds_of(*value)) continue;
    return invalid("TRI-ARGS-027",
                   "--{} is {}, which is no length of time such as 90s, 10min or 1h",
                   name,
                   *value);
  }
  return ok_status();
}

}  // namespace trireme
