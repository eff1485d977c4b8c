// Bytes of a connection to the HTTP reader, in one piece and byte by byte: the same requests.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "clients/gateway/http/request_reader.h"

namespace trireme::gateway {
namespace {

// All that the reader takes from the bytes, in pieces of at most `piece`.
std::string read_all(std::string_view bytes, size_t piece) {
  std::string seen;
  HttpLimits limits;
  limits.body_bytes = 4096;
  while (!bytes.empty()) {
    RequestReader reader(limits);
    size_t shown = std::min(piece, bytes.size());
    while (reader.state() != RequestReader::State::kDone &&
           reader.state() != RequestReader::State::kRefused) {
      const size_t used = reader.take(bytes.substr(0, shown));
      CHECK(used <= shown);
      bytes.remove_prefix(used);
      if (reader.state() == RequestReader::State::kHeadDone) {
        reader.read_body();
      } else if (shown - used == bytes.size()) {
        if (used == 0) return seen;
      }
      if (bytes.empty() && used == 0) return seen;
      shown = std::min(shown - used + piece, bytes.size());
    }
    seen += reader.request().target + "\n" + reader.request().body + "\n";
    if (reader.state() == RequestReader::State::kRefused) return seen + "refused";
  }
  return seen;
}

}  // namespace
}  // namespace trireme::gateway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = trireme::gateway::read_all(bytes, bytes.size());
  CHECK(trireme::gateway::read_all(bytes, 1) == whole);
  return 0;
}
