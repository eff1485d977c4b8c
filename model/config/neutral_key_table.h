// The list of keys of config.json that change the arithmetic of a model in some family, each with
// the values that do not. Constant table, any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace trireme {

// The values that leave the arithmetic alone. Null is neutral everywhere.
enum class Neutral : uint8_t {
  kOff,             // is_off()
  kOne,             // 1
  kOffOrOne,        // is_off(), or 1
  kTrue,            // true
  kOffOrNegative,   // is_off(), or a negative number
  kAllOnes,         // a list of 1 or true, or an empty one
  kAllDense,        // a list of "dense", or an empty one
  kQkNorm,          // off, or true where the family norms q and k
  kQkvBias,         // off, or true where q, k and v have a bias
  kOutputBias,      // off, or true where the output matmul of attention has one
  kHeadDim,         // the size of a head
  kHiddenSize,      // the hidden size
  kNumHeads,        // the number of heads
  kNumKvHeads,      // the number of KV heads
  kNormEpsilon,     // the epsilon of the norms, or anything beside "rms_norm_eps"
  kAttentionScale,  // head_dim ^ -0.5
  kTheta,           // the theta of every layer
  kWholeContext,    // a window over all positions, or off (-1, or "use_sliding_window" false)
  kSilu,            // "silu", "swish" or "swiglu"
  kRope,            // a name of rotary positions
  kRmsNorm,         // a name of RMSNorm
};

struct NeutralKey {
  const char* key;
  Neutral neutral;
  const char* meaning;
};

// Null: no such key.
const NeutralKey* find_neutral_key(std::string_view key);

}  // namespace trireme
