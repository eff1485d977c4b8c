#include "proto/worker_key.h"

namespace trireme {
namespace {

constexpr size_t kKeyBytes = 32;

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string to_hex(const WorkerKey& key) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const std::string* part : {&key.server_public, &key.client_public, &key.client_secret}) {
    for (const char c : *part) {
      hex += kDigits[static_cast<uint8_t>(c) >> 4];
      hex += kDigits[static_cast<uint8_t>(c) & 15];
    }
  }
  return hex;
}

StatusOr<WorkerKey> parse_worker_key(std::string_view hex) {
  while (!hex.empty() && (hex.back() == '\n' || hex.back() == ' ')) hex.remove_suffix(1);
  std::string bytes;
  bool good = hex.size() == 6 * kKeyBytes;
  for (size_t i = 0; good && i < hex.size(); i += 2) {
    const int high = digit(hex[i]);
    const int low = digit(hex[i + 1]);
    good = high >= 0 && low >= 0;
    bytes += static_cast<char>(high << 4 | low);
  }
  if (!good) {
    return invalid("TRI-NET-014",
                   "the worker key has {} characters, allowed is 192 hexadecimal digits; take the "
                   "file worker.key of the coordinator's --state folder as it is",
                   hex.size());
  }
  return WorkerKey{
      bytes.substr(0, kKeyBytes), bytes.substr(kKeyBytes, kKeyBytes), bytes.substr(2 * kKeyBytes)};
}

}  // namespace trireme
