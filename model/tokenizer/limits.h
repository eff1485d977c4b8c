// The bounds that keep a hostile file or text from taking the process down.
#pragma once

#include <cstddef>

namespace trireme {

constexpr size_t kMaxTokenizerFileBytes = size_t{1} << 30;  // published files stay under 40 MB
constexpr size_t kMaxTextBytes = size_t{64} << 20;          // a prompt frame has at most 16 MiB
constexpr size_t kMaxNormalizedBytes = size_t{256} << 20;   // after normalizer and pre-tokenizer
constexpr int kMaxSequenceDepth = 8;                        // of Sequence steps in each other
constexpr size_t kMaxSteps = 16;                            // of one pipeline

}  // namespace trireme
