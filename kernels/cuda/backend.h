// The CUDA implementation of the contract in kernels/backend.h, one .cu file per op. The member
// function of an op checks shapes, chooses the launch by a pure host function, and launches; it
// never allocates or waits. Owner and only user: the step loop of a rank.
#pragma once

#include <cuda_runtime.h>

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/cuda_memory.h"
#include "base/handle.h"
#include "kernels/backend.h"
#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/cuda_queue.h"
#include "kernels/cuda/cuda_weight.h"
#include "kernels/cuda/device_fit.h"
#include "kernels/cuda/staging.h"
#include "kernels/cuda/weight_stream.h"
#include "kernels/cuda_backend.h"

namespace trireme::cuda {

struct OwnLinear;

constexpr int32_t kRowAlignment = kCudaRowAlignment;

class CudaBackend final : public Backend {
 public:
  static StatusOr<std::unique_ptr<Backend>> make(const CudaBackendOptions& options);
  ~CudaBackend() override;

  BackendInfo info() const override;
  ActivationTypes types() const override;
  bool captures_steps() const override { return true; }
  KvLayout kv_layout(int32_t head_dim) const override;

  // backend.cc, memory.cc, graphs.cc. The lane is made first of all. The side queue, which also
  // clears new memory, is made with the first memory: by then all ranks that share the device have
  // their lanes (Worker::make()).
  StatusOr<Buffer> allocate(int64_t bytes, const std::string& what) override;
  DeviceMemory device_memory() const override;
  int64_t cache_bytes() const override;
  StatusOr<std::unique_ptr<ReservedMemory>> reserve(int64_t bytes,
                                                    const std::string& what) override;
  StatusOr<Buffer> allocate_shared(int64_t bytes, const std::string& what) override;
  void upload(Queue& queue, std::byte* device, std::span<const std::byte> host) override;
  void upload_shared(Queue& queue, std::byte* device, std::span<const std::byte> shared) override;
  void download(Queue& queue, std::span<std::byte> host, const std::byte* device) override;
  int64_t workspace_bytes(const OpLimits& limits) const override;
  Queue& lane() override { return *lane_; }
  Queue& side() override;
  std::unique_ptr<Queue> make_queue() override;
  Status wait(Queue& queue, TimeUs deadline_us) override;
  Status status(Queue& queue) override;
  void order(Queue& later, Queue& earlier) override;
  void capture(Queue& queue, const StepKey& key, const std::function<void()>& enqueue) override;
  void run(Queue& queue, const StepKey& key, const std::function<void()>& enqueue) override;

  // pack.cu
  StatusOr<std::unique_ptr<Weight>> pack(std::span<const Tensor> parts,
                                         const WeightSpec& spec) override;
  std::unique_ptr<Weight> rows_of(const Weight& weight,
                                  int64_t first,
                                  int64_t count) const override;
  int64_t packed_bytes(int64_t n, int64_t k, const WeightSpec& spec) const override;

  // linear.cu
  void linear(Queue& queue,
              Workspace& workspace,
              Tensor x,
              const Weight& weight,
              const Epilogue& epilogue,
              Tensor out) override;

  // Few rows in the fast mode: one launch of the stream kernel with a tail (linear_tail.h).
  // cuBLASLt is not used for up to kMaxNormRows rows.
  void linear_add_norm(Queue& queue,
                       Workspace& workspace,
                       Tensor x,
                       const Weight& weight,
                       const NormedSum& sum) override;
  void linear_qkv(Queue& queue,
                  Workspace& workspace,
                  Tensor x,
                  const Weight& weight,
                  Vector bias,
                  const QkvTarget& target) override;

  // linear_tuning.cu
  // Times our kernels against cuBLASLt, once for all layers of a shape; linear() then takes the
  // faster for row counts of this bucket (matmul_table.h). `weights`: several of them, so that none
  // stays in L2 between runs. A bucket that is in the table is not timed again. Does nothing under
  // options.invariant or without cuBLASLt.
  void tune_linear(Queue& queue,
                   Workspace& workspace,
                   Tensor x,
                   std::span<const Weight* const> weights,
                   const Epilogue& epilogue,
                   Tensor out) override;
  std::string save_tuning() override;
  bool load_tuning(std::string_view bytes) override;
  std::string tuning_name() override;
  std::string describe_linear(const Queue& queue,
                              const Workspace& workspace,
                              const LinearCall& call) const override;
  std::vector<RefusedMatmuls> refused_matmuls() const override;

  // qkv_finish.cu
  void qkv_finish(Queue& queue,
                  const BatchView& batch,
                  Tensor qkv,
                  const QkvSpec& spec,
                  const KvPages& pages,
                  int32_t layer,
                  Tensor q) override;

  // attention.cu
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

  // embed.cu, add_norm.cu
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

  // move_rows.cu
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

  // step_ring.cu
  void take_entry(Queue& queue, const StepRing& inputs, std::byte* to) override;
  void post(Queue& queue, const std::byte* from, int64_t bytes, const StepRing& results) override;

  // sample.cu, top_k_top_p.cu, logprobs.cu
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
  CudaBackend(const CudaBackendOptions& options, const cudaDeviceProp& properties);

  bool is_bf16() const { return options_.dtype == DType::kBFloat16; }
  // Loads the kernels and chooses their variants (device_fit.h); `shared_limit`: the maximum shared
  // memory of a block, in bytes.
  cudaError_t prepare_kernels(int64_t shared_limit);
  std::unique_ptr<CudaQueue> open_queue(bool has_counters);
  OwnLinear own_linear(const CudaQueue& queue, const LinearCall& call) const;
  // Whether our kernel also does the op that follows, in the same launch.
  bool takes_next(const CudaQueue& queue, const LinearCall& call, const OwnLinear& own) const;
  bool start_cublaslt();

  const CudaBackendOptions options_;
  const std::string device_name_;
  const std::string architecture_;  // "sm_90a"
  const std::string place_;         // "0000:17:00"
  const int32_t num_blocks_;        // of a new queue: all SMs of the device
  // device_fit.h
  TileResidency tile_residency_;
  AttentionFits attention_fits_;
  int64_t taken_bytes_ = 0;
  Staging staging_;
  std::unique_ptr<WeightStream> weight_stream_;  // from the first pack() on
  std::unique_ptr<CublasLt> cublaslt_;           // from the first tune_linear() on
  using StepGraph = Handle<cudaGraphExec_t, cudaGraphExecDestroy>;
  struct CapturedStep {
    StepGraph graph;
    const Queue* queue = nullptr;  // whose counters the graph uses
  };
  std::map<StepKey, CapturedStep> graphs_;
  std::unique_ptr<CudaQueue> side_;
  std::unique_ptr<CudaQueue> lane_;  // destroyed first: it waits for its work
};

// TRI-MEM-001: the allocation of `bytes` for `what` failed; `why` is the driver's reason.
Status no_device_memory(int64_t bytes, const std::string& what, const std::string& why);
// Zeroed device memory that DeviceMemory::taken does not count. Cleared on `stream`, for which this
// call waits: a call that waits for the whole device would spoil another rank's capture.
StatusOr<Buffer> allocate_device(cudaStream_t stream, int64_t bytes, const std::string& what);

// Each in the file of its op: allows the kernels their shared memory, loads their modules, and asks
// the device how many blocks an SM holds.
cudaError_t prepare_linear(bool is_bf16, TileResidency& resident);
cudaError_t prepare_attention(bool is_bf16,
                              bool is_invariant,
                              int64_t shared_limit,
                              AttentionFits& fits);
cudaError_t prepare_sampling();

// Workspace bytes of each op for at most these sizes; every op uses the workspace from its start.
int64_t linear_workspace_bytes(const OpLimits& limits, bool invariant);
int64_t attention_workspace_bytes(int64_t max_rows, int64_t max_width);
int64_t sampling_workspace_bytes(int64_t max_rows, int64_t vocabulary);

}  // namespace trireme::cuda
