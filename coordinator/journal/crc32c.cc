#include "coordinator/journal/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace trireme::journal {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // reflected
constexpr size_t kWordBytes = 8;

using Table = std::array<uint32_t, 256>;

// tables[k][b]: the effect of byte b that k bytes follow (slicing by 8).
constexpr std::array<Table, kWordBytes> make_tables() {
  std::array<Table, kWordBytes> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < kWordBytes; ++k) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t crc = tables[k - 1][byte];
      tables[k][byte] = crc >> 8 ^ tables[0][crc & 255];
    }
  }
  return tables;
}

constexpr std::array<Table, kWordBytes> kTables = make_tables();

uint64_t load_word(const char* from) {
  uint64_t word = 0;
  std::memcpy(&word, from, kWordBytes);
  return word;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t extend_by_instruction(uint32_t crc,
                                                                 std::string_view bytes) {
  uint64_t state = ~crc;
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= kWordBytes; at += kWordBytes, left -= kWordBytes) {
    state = _mm_crc32_u64(state, load_word(at));
  }
  auto state32 = static_cast<uint32_t>(state);
  for (; left > 0; ++at, --left) state32 = _mm_crc32_u8(state32, static_cast<uint8_t>(*at));
  return ~state32;
}
#endif

}  // namespace

uint32_t extend_crc32c_by_table(uint32_t crc, std::string_view bytes) {
  uint32_t state = ~crc;
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= kWordBytes; at += kWordBytes, left -= kWordBytes) {
    const uint64_t word = load_word(at) ^ state;  // little endian, as everywhere in the journal
    state = 0;
    for (size_t k = 0; k < kWordBytes; ++k) {
      state ^= kTables[kWordBytes - 1 - k][word >> (8 * k) & 255];
    }
  }
  for (; left > 0; ++at, --left) {
    state = state >> 8 ^ kTables[0][(state ^ static_cast<uint8_t>(*at)) & 255];
  }
  return ~state;
}

uint32_t extend_crc32c(uint32_t crc, std::string_view bytes) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return extend_by_instruction(crc, bytes);
#endif
  return extend_crc32c_by_table(crc, bytes);
}

}  // namespace trireme::journal
