// Hash functions of the flat tables of the tokenizer. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

namespace trireme {

// The slot in [0, num_slots) of a hash with well-mixed high bits (Lemire's multiply and shift).
inline size_t slot_of_hash(uint64_t hash, size_t num_slots) {
  return static_cast<size_t>((static_cast<unsigned __int128>(hash) * num_slots) >> 64);
}

inline uint64_t hash_bytes(std::string_view bytes) { return std::hash<std::string_view>()(bytes); }

// 64 well-mixed bits of two ids (the finalizer of MurmurHash3).
inline uint64_t hash_pair(int32_t left, int32_t right) {
  uint64_t hash =
      static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  hash = (hash ^ hash >> 33) * 0xFF51AFD7ED558CCDull;
  hash = (hash ^ hash >> 33) * 0xC4CEB9FE1A85EC53ull;
  return hash ^ hash >> 33;
}

}  // namespace trireme
