// Compares the tensors of a checkpoint with those that the model requires, by their headers alone.
// Pure functions.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "model/checkpoint/checkpoint.h"
#include "model/tensor_table.h"

namespace trireme {

// Checks that every tensor of `table` is stored, with the right shape, as bf16, fp16 or fp32, and
// that no other stored tensor belongs to the decoder unless it is harmless or the copy of a tied
// head. Returns the names of the tensors that are not used.
// TRI-LOAD-007: missing; TRI-LOAD-008: shape; TRI-LOAD-009: dtype; TRI-LOAD-021: unexpected.
StatusOr<std::vector<std::string>> check_tensors(const TensorTable& table,
                                                 const Checkpoint& checkpoint);

// A warning about unused tensors in one line; empty if there are none.
std::string unused_warning(const std::vector<std::string>& unused);

}  // namespace trireme
