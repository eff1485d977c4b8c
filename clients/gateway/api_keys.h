// The keys of --api-key-file: who may ask, and by which name the coordinator knows the asker. Const
// after load(); SIGHUP loads a new one. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace trireme::gateway {

class ApiKeys {
 public:
  // Lines `NAME KEY`; empty lines and lines that begin with # are skipped. Several keys may have
  // one name. TRI-HTTP-052: the file cannot be read, others may read it, or a line is malformed.
  static StatusOr<ApiKeys> load(const std::string& path);
  static StatusOr<ApiKeys> parse(std::string_view text, const std::string& path);

  bool empty() const { return keys_.empty(); }

  // The name of the key, in a time that does not depend on how much of a key is right. Nothing: no
  // such key.
  std::optional<std::string> name_of(std::string_view key) const;

 private:
  using Digest = std::array<uint8_t, 32>;
  struct Key {
    std::string name;
    Digest digest;  // of the key: equal sizes for the comparison, and no key in memory
  };
  static Digest digest_of(std::string_view key);

  std::vector<Key> keys_;
};

// The key of `Authorization: Bearer KEY`, else of `x-api-key`, else "".
std::string_view key_of(std::string_view authorization, std::string_view x_api_key);

}  // namespace trireme::gateway
