// CRC-32C (Castagnoli; polynomial 0x1EDC6F41, reflected), as RFC 3720 defines it. The instruction
// of SSE4.2 where the processor has it, else tables; both give the same value. Pure functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace trireme::journal {

// The checksum of a + b is extend_crc32c(extend_crc32c(0, a), b).
uint32_t extend_crc32c(uint32_t crc, std::string_view bytes);

// The same by tables, for processors without the instruction and for tests.
uint32_t extend_crc32c_by_table(uint32_t crc, std::string_view bytes);

}  // namespace trireme::journal
