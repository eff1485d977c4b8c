#include "base/check.h"
#include "kernels/cpu/backend.h"

namespace trireme {

void CpuBackend::add_norm(
    Queue&, Tensor residual, const Tensor* delta, Vector delta_bias, const Norm& norm, Tensor out) {
  CHECK(residual.dtype == DType::kFloat32);
  CHECK(delta == nullptr || (delta->dtype == DType::kFloat32 && delta->rows >= residual.rows &&
                             delta->columns == residual.columns));
  CHECK(delta_bias.data == nullptr || delta_bias.size == residual.columns);
  CHECK(out.data == nullptr ||
        (out.columns == residual.columns && norm.weight.size == residual.columns));
  for_rows(residual.rows, 4 * residual.columns, [&](int64_t row, int) {
    NormTask task;
    task.residual = residual.row<float>(row);
    task.delta = delta == nullptr ? nullptr : delta->row<float>(row);
    task.delta_bias = delta_bias.data;
    task.width = residual.columns;
    task.is_layer_norm = norm.kind == NormKind::kLayer;
    task.epsilon = norm.epsilon;
    task.weight_offset = norm.weight_offset;
    task.weight = norm.weight.data;
    task.bias = norm.bias.data;
    task.out = out.data == nullptr
                   ? nullptr
                   : out.data + row * out.row_stride * static_cast<int64_t>(size_of(out.dtype));
    task.out_is_bf16 = out.dtype == DType::kBFloat16;
    tier_.norm(task);
  });
}

}  // namespace trireme
