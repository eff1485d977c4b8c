// CPU implementation of the contract in kernels/backend.h, one .cc file per op. Ops run inside the
// call, on the caller's thread and the pool; used by one thread.
#pragma once

#include <memory>

#include "kernels/backend.h"
#include "kernels/cpu/cpu_weight.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/cpu/tiers/tier.h"
#include "kernels/cpu_backend.h"

namespace trireme {

class CpuBackend final : public Backend {
 public:
  CpuBackend(const CpuBackendOptions& options, const TierOps& tier);
  // TRI-UP-042: the pool has fewer threads than wanted.
  Status check_pool(int wanted) const;

  BackendInfo info() const override;
  ActivationTypes types() const override;
  bool captures_steps() const override { return false; }
  KvLayout kv_layout(int32_t head_dim) const override;

  StatusOr<Buffer> allocate(int64_t bytes, const std::string& what) override;
  DeviceMemory device_memory() const override;
  int64_t cache_bytes() const override;
  StatusOr<std::unique_ptr<ReservedMemory>> reserve(int64_t bytes,
                                                    const std::string& what) override;
  StatusOr<Buffer> allocate_shared(int64_t bytes, const std::string& what) override;
  void upload(Queue& queue, std::byte* device, std::span<const std::byte> host) override;
  void upload_shared(Queue& queue, std::byte* device, std::span<const std::byte> shared) override;
  void download(Queue& queue, std::span<std::byte> host, const std::byte* device) override;
  StatusOr<std::unique_ptr<Weight>> pack(std::span<const Tensor> parts,
                                         const WeightSpec& spec) override;
  std::unique_ptr<Weight> rows_of(const Weight&, int64_t, int64_t) const override {
    return nullptr;  // panels of 32 rows cannot be sliced at any row
  }
  int64_t packed_bytes(int64_t n, int64_t k, const WeightSpec& spec) const override;
  int64_t workspace_bytes(const OpLimits& limits) const override;
  Queue& lane() override { return queue_; }
  Queue& side() override { return queue_; }
  std::unique_ptr<Queue> make_queue() override;
  Status wait(Queue& queue, TimeUs deadline_us) override;
  Status status(Queue& queue) override;
  void order(Queue& later, Queue& earlier) override;
  void capture(Queue&, const StepKey&, const std::function<void()>&) override {}
  void run(Queue& queue, const StepKey& key, const std::function<void()>& enqueue) override;
  void take_entry(Queue& queue, const StepRing& inputs, std::byte* to) override;
  void post(Queue& queue, const std::byte* from, int64_t bytes, const StepRing& results) override;

  void embed(Queue& queue,
             const BatchView& batch,
             const Weight& weight,
             int64_t first_row,
             Tensor out) override;
  void add_norm(Queue& queue,
                Tensor residual,
                const Tensor* delta,
                Vector delta_bias,
                const Norm& norm,
                Tensor out) override;
  void linear(Queue& queue,
              Workspace& workspace,
              Tensor x,
              const Weight& weight,
              const Epilogue& epilogue,
              Tensor out) override;
  void tune_linear(Queue&,
                   Workspace&,
                   Tensor,
                   std::span<const Weight* const>,
                   const Epilogue&,
                   Tensor) override {}
  std::string save_tuning() override { return {}; }
  bool load_tuning(std::string_view) override { return true; }
  std::string tuning_name() override { return {}; }
  std::string describe_linear(const Queue&, const Workspace&, const LinearCall&) const override {
    return "own kernel";
  }
  std::vector<RefusedMatmuls> refused_matmuls() const override { return {}; }
  void qkv_finish(Queue& queue,
                  const BatchView& batch,
                  Tensor qkv,
                  const QkvSpec& spec,
                  const KvPages& pages,
                  int32_t layer,
                  Tensor q) override;
  int64_t attention_plan_bytes(int32_t max_batched_tokens,
                               int32_t max_segments,
                               const HeadShape& shape) const override;
  void plan_attention(Queue& queue,
                      const BatchView& batch,
                      const AttentionSpec& spec,
                      const KvPages& pages,
                      const AttentionPlan& plan) override;
  void attention(Queue& queue,
                 Workspace& workspace,
                 const BatchView& batch,
                 Tensor q,
                 const AttentionSpec& spec,
                 const AttentionPlan& plan,
                 const KvPages& pages,
                 int32_t layer,
                 Tensor out) override;
  void gather_rows(Queue& queue, Tensor in, const int32_t* rows, Tensor out) override;
  void add(Queue& queue, Tensor accumulator, Tensor other) override;
  void copy_pages(Queue& queue,
                  const KvPages& pages,
                  const int32_t* from,
                  const int32_t* to,
                  int32_t count) override;
  void feed_ids(Queue& queue,
                const BatchView& batch,
                const int32_t* last,
                int32_t* token_ids) override;
  void update_table(Queue& queue,
                    int32_t* table,
                    const int32_t* changes,
                    int32_t max_changes) override;
  void keep_ids(Queue& queue,
                const int32_t* ids,
                const int32_t* slots,
                const int32_t* places,
                int32_t count,
                const SlotIds& kept) override;

  void adjust_logits(Queue& queue,
                     Workspace& workspace,
                     Tensor logits,
                     int64_t first_id,
                     int64_t vocabulary,
                     const SamplingRow* rows) override;
  void draw_shard(Queue& queue,
                  Workspace& workspace,
                  Tensor logits,
                  int64_t first_id,
                  const SamplingRow* rows,
                  ShardDraw* draws) override;
  void draw_whole(Queue& queue,
                  Workspace& workspace,
                  Tensor logits,
                  WholeRows which,
                  const SamplingRow* rows,
                  ShardDraw* draws) override;
  void logprobs(Queue& queue,
                Workspace& workspace,
                Tensor logits,
                const int32_t* chosen,
                int32_t count,
                TokenLogprob* out) override;
  void best_of_shards(Queue& queue,
                      const ShardDraw* draws,
                      int32_t num_shards,
                      int32_t num_rows,
                      int32_t* ids) override;

 private:
  // Runs body(row, member) for every row: over the pool if rows * cost reaches kParallelCost, else
  // on the calling thread as member 0. `cost`: approximate operations per row.
  template <class Body>
  void for_rows(int64_t rows, int64_t cost, Body&& body);

  ShardDraw draw_row(const SamplingRow& row,
                     const float* logits,
                     int64_t first_id,
                     int64_t width) const;

  // Scratch of one member.
  int64_t attention_bytes(const HeadShape& shape) const;

  bool is_bf16() const { return dtype_ == DType::kBFloat16; }

  DType dtype_;
  const TierOps& tier_;
  ThreadPool pool_;
  Queue queue_;  // ops run in the call
};

// Operations below which one thread is faster: a hand-over to the pool takes 1 to 2 us, in which
// one core does about this many (op_linear, two cores).
constexpr int64_t kParallelCost = 60'000;
constexpr int64_t kAttentionParallelCost = 4 * kParallelCost;  // multiply-adds of q . K

template <class Body>
void CpuBackend::for_rows(int64_t rows, int64_t cost, Body&& body) {
  if (rows * cost < kParallelCost || rows < 2 || pool_.size() == 1) {
    for (int64_t row = 0; row < rows; ++row) body(row, 0);
    return;
  }
  const auto share = [&](int member, int num_members) {
    for (int64_t row = member; row < rows; row += num_members) body(row, member);
  };
  pool_.run(share);
}

}  // namespace trireme
