#include "clients/gateway/api_keys.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/text.h"

namespace trireme::gateway {

namespace {

// RFC 6750's b64token and what vendors' keys have beside it.
bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F; });
}

}  // namespace

ApiKeys::Digest ApiKeys::digest_of(std::string_view key) {
  Digest digest;
  SHA256(reinterpret_cast<const uint8_t*>(key.data()), key.size(), digest.data());
  return digest;
}

StatusOr<ApiKeys> ApiKeys::load(const std::string& path) {
  struct stat facts {};
  std::ifstream file(path);
  if (!file || ::stat(path.c_str(), &facts) != 0) {
    return invalid(
        "TRI-HTTP-052", "--api-key-file {} cannot be read: {}", path, std::strerror(errno));
  }
  if (!S_ISREG(facts.st_mode) || (facts.st_mode & 0077) != 0) {
    return invalid(
        "TRI-HTTP-052",
        "--api-key-file {} has mode {:03o}, it holds secrets and needs 600; chmod 600 it",
        path,
        facts.st_mode & 0777);
  }
  std::ostringstream text;
  text << file.rdbuf();
  return parse(text.str(), path);
}

StatusOr<ApiKeys> ApiKeys::parse(std::string_view text, const std::string& path) {
  ApiKeys keys;
  int number = 0;
  for (const std::string& whole : split(text, '\n')) {
    ++number;
    const std::string_view line = trimmed(whole);
    if (line.empty() || line.front() == '#') continue;
    const size_t end = line.find_first_of(" \t");
    const std::string_view name = line.substr(0, end);
    const std::string_view key = end == std::string_view::npos ? "" : trimmed(line.substr(end));
    if (key.empty() || !is_printable(key) || !is_printable(name)) {
      // The line is not quoted: it may hold a key.
      return invalid("TRI-HTTP-052", "{} line {} is not `NAME KEY`", path, number);
    }
    const Digest digest = digest_of(key);
    if (std::ranges::find(keys.keys_, digest, &Key::digest) != keys.keys_.end()) {
      return invalid("TRI-HTTP-052", "{} line {} has the key of an earlier line", path, number);
    }
    keys.keys_.push_back({std::string(name), digest});
  }
  if (keys.empty()) return invalid("TRI-HTTP-052", "{} has no key; add a line `NAME KEY`", path);
  return keys;
}

std::optional<std::string> ApiKeys::name_of(std::string_view key) const {
  const Digest digest = digest_of(key);
  const Key* found = nullptr;
  for (const Key& known : keys_) {
    if (CRYPTO_memcmp(known.digest.data(), digest.data(), digest.size()) == 0) found = &known;
  }
  if (found == nullptr) return std::nullopt;
  return found->name;
}

std::string_view key_of(std::string_view authorization, std::string_view x_api_key) {
  constexpr std::string_view kScheme = "bearer ";
  const bool is_bearer = authorization.size() > kScheme.size() &&
                         ascii_lower(authorization.substr(0, kScheme.size())) == kScheme;
  return trimmed(is_bearer ? authorization.substr(kScheme.size()) : x_api_key);
}

}  // namespace trireme::gateway
