#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/cpu/backend.h"

namespace trireme {

namespace {

// Copies x so that every leaf starts at its padded position; gaps are zero.
const void* pad_input(const CpuWeight& weight, Tensor x, std::byte* scratch) {
  const int64_t unit = size_of(x.dtype);
  const int64_t padded = weight.padded_k();
  for (int64_t row = 0; row < x.rows; ++row) {
    const std::byte* source = x.data + row * x.row_stride * unit;
    std::byte* target = scratch + row * padded * unit;
    std::memset(target, 0, padded * unit);
    int64_t from = 0;
    int64_t to = 0;
    for (size_t leaf = 0; leaf < weight.leaf_ends().size(); ++leaf) {
      const int64_t end = weight.leaf_ends()[leaf];
      std::memcpy(target + to * unit, source + from * unit, (end - from) * unit);
      from = end;
      to = weight.padded_ends()[leaf];
    }
  }
  return scratch;
}

// Copies the bias to panel order, padded to whole panels.
const float* panel_bias(const CpuWeight& weight, Vector bias, float* scratch) {
  if (bias.data == nullptr) return nullptr;
  CHECK(bias.size == weight.n());
  std::fill_n(scratch, weight.num_panels() * kPanelColumns, 0.0f);
  for (int64_t column = 0; column < bias.size; ++column) {
    scratch[weight.panel_column(column)] = bias.data[column];
  }
  return scratch;
}

}  // namespace

void CpuBackend::linear(Queue&,
                        Workspace& workspace,
                        Tensor x,
                        const Weight& weight,
                        const Epilogue& epilogue,
                        Tensor out) {
  const auto& packed = static_cast<const CpuWeight&>(weight);
  const bool gated = epilogue.activation == Activation::kSiluGate;
  CHECK(x.dtype == dtype_ && x.columns == packed.k() && out.rows >= x.rows);
  CHECK(gated == packed.is_gate_up());
  CHECK(out.columns == (gated ? packed.n() / 2 : packed.n()));
  CHECK(out.dtype == DType::kFloat32 || out.dtype == DType::kBFloat16);
  const int64_t bias_bytes = (packed.num_panels() * kPanelColumns * 4 + 63) / 64 * 64;
  const int64_t input_bytes =
      packed.needs_padded_input() ? x.rows * packed.padded_k() * size_of(x.dtype) : 0;
  CHECK(workspace.bytes >= bias_bytes + input_bytes);

  MatmulTask task;
  task.x = packed.needs_padded_input() ? pad_input(packed, x, workspace.data + bias_bytes) : x.data;
  task.x_stride = packed.needs_padded_input() ? packed.padded_k() : x.row_stride;
  task.num_rows = static_cast<int>(x.rows);
  task.panels = packed.panels();
  task.panel_elements = packed.panel_elements();
  task.n = packed.n();
  task.num_leaves = static_cast<int>(packed.padded_ends().size());
  task.leaf_ends = packed.padded_ends().data();
  task.bias = panel_bias(packed, epilogue.bias, reinterpret_cast<float*>(workspace.data));
  task.silu_gate = gated;
  task.out_is_bf16 = out.dtype == DType::kBFloat16;
  task.out = out.data;
  task.out_stride = out.row_stride;

  const auto run_panels = [&](int64_t first, int64_t end) {
    MatmulTask part = task;
    part.first_panel = first;
    part.end_panel = end;
    (is_bf16() ? tier_.matmul_bf16 : tier_.matmul_f32)(part);
  };
  const int64_t panels = packed.num_panels();
  if (x.rows * packed.padded_k() * packed.n() < 8 * kParallelCost || panels < 2) {
    return run_panels(0, panels);
  }
  const auto share = [&](int member, int num_members) {
    run_panels(panels * member / num_members, panels * (member + 1) / num_members);
  };
  pool_.run(share);
}

}  // namespace trireme
