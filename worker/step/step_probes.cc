#include "worker/step/step_probes.h"

#include <algorithm>
#include <cstring>

namespace trireme {

StatusOr<StepProbes> StepProbes::make(Backend& backend, const ShardModel& model, int tensor_index) {
  StepProbes probes(backend, model, tensor_index);
  const int64_t bytes = (model.config().hidden_size + 1) * 4;
  ASSIGN_OR_RETURN(probes.memory_, backend.allocate(bytes, "a probed row"));
  return probes;
}

Status StepProbes::check(const StepPart& part, const StepInputs& inputs) const {
  for (const ProbeRequest& probe : part.probes) {
    const bool known_layer = probe.layer >= -1 && probe.layer <= model_->config().num_layers;
    if (known_layer && inputs.row_of(probe.slot, probe.position) >= 0) continue;
    return invalid("TRI-STEP-022",
                   "the plan probes layer {} at position {} of slot {}, which the step does not "
                   "compute or the model does not have",
                   probe.layer,
                   probe.position,
                   probe.slot);
  }
  return ok_status();
}

Status StepProbes::take_row(const ProbedStep& step, const ProbeRequest& request, Tensor row) {
  std::vector<std::byte> bytes(row.columns * size_of(row.dtype));
  backend_->download(*step.lane.queue, bytes, row.data);
  RETURN_IF_ERROR(backend_->wait(*step.lane.queue, step.deadline_us));
  std::vector<float> values(row.columns);
  for (int64_t i = 0; i < row.columns; ++i) {
    const std::byte* const at = bytes.data() + i * size_of(row.dtype);
    if (row.dtype == DType::kFloat32) {
      std::memcpy(&values[i], at, sizeof(float));
      continue;
    }
    uint16_t narrow = 0;
    std::memcpy(&narrow, at, sizeof narrow);
    values[i] = row.dtype == DType::kBFloat16 ? bf16_to_float(narrow) : fp16_to_float(narrow);
  }
  emit(step.plan, request, values);
  return ok_status();
}

Status StepProbes::take_logits(const ProbedStep& step,
                               Tensor residual,
                               Sampler& sampler,
                               Progress& progress) {
  if (step.plan.parts[0].probes.empty()) return ok_status();
  std::vector<ProbeRequest> asked;
  std::vector<int32_t> rows;
  for (const ProbeRequest& probe : step.plan.parts[0].probes) {
    if (probe.layer == -1) {
      asked.push_back(probe);
      rows.push_back(step.inputs.row_of(probe.slot, probe.position));
    } else if (probe.layer == model_->config().num_layers && emits()) {
      RETURN_IF_ERROR(take_normed(step, probe, residual));
    }
  }
  const auto take = [&](size_t i, std::span<const float> values) {
    emit(step.plan, asked[i], values);
  };
  return sampler.probe(step.lane, residual, rows, step.deadline_us, take, progress);
}

Status StepProbes::take_normed(const ProbedStep& step,
                               const ProbeRequest& request,
                               Tensor residual) {
  const int32_t row = step.inputs.row_of(request.slot, request.position);
  const Tensor normed(memory_.data(), DType::kFloat32, 1, residual.columns);
  std::byte* const place = memory_.data() + residual.columns * 4;
  backend_->upload(*step.lane.queue, place, std::as_bytes(std::span(&row, 1)));
  model_->final_norm(step.lane, residual, reinterpret_cast<const int32_t*>(place), normed);
  return take_row(step, request, normed);
}

void StepProbes::emit(const StepPlan& plan,
                      const ProbeRequest& request,
                      std::span<const float> values) {
  constexpr size_t kPiece = kMaxProbeBytes / sizeof(float);
  for (size_t offset = 0; offset < values.size(); offset += kPiece) {
    const auto piece = values.subspan(offset, std::min(kPiece, values.size() - offset));
    Probe probe{.epochs = plan.epochs,
                .step = plan.step,
                .slot = request.slot,
                .position = request.position,
                .layer = request.layer,
                .offset = static_cast<int64_t>(offset),
                .num_values = static_cast<int64_t>(values.size()),
                .values = {piece.begin(), piece.end()}};
    sink_->on_probe(probe);
  }
}

bool ProbeTap::wants(int64_t layer) const {
  if (!probes_.emits()) return false;
  return std::ranges::any_of(step_.plan.parts[0].probes,
                             [&](const ProbeRequest& probe) { return probe.layer == layer; });
}

void ProbeTap::take(int64_t layer, Tensor hidden) {
  for (const ProbeRequest& probe : step_.plan.parts[0].probes) {
    if (probe.layer != layer || !status_.ok()) continue;
    const int64_t index = step_.inputs.row_of(probe.slot, probe.position);
    Tensor row = hidden.first_rows(1);
    row.data += index * hidden.row_stride * size_of(hidden.dtype);
    status_ = probes_.take_row(step_, probe, row);
  }
}

}  // namespace trireme
