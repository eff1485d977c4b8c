// Limits on files and texts, so that a hostile one cannot exhaust memory, stack or time.
#pragma once

#include <cstddef>

namespace trireme {

constexpr size_t kMaxTokenizerFileBytes = size_t{1} << 30;  // published files stay under 40 MB
constexpr size_t kMaxTextBytes = size_t{64} << 20;         // a frame of a prompt has at most 16 MiB
constexpr size_t kMaxNormalizedBytes = size_t{256} << 20;  // after normalizer and pre-tokenizer
constexpr int kMaxSequenceDepth = 8;                       // of nested Sequence steps
constexpr size_t kMaxSteps = 16;                           // of one pipeline, Sequences not counted

}  // namespace trireme
