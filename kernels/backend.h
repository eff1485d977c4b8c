// Contract of a device: its memory, its queues and the ops of a transformer. The CPU and the CUDA
// backend implement it and pass one parameterised test suite (tests/kernels).
//
// Ops are enqueued on a Queue and return nothing; the CPU runs them inside the call. A shape or
// type that violates an op's contract fails a CHECK: it is a bug of the caller. Device failures
// surface in wait() and status() only, and only wait() blocks.
//
// Batch-invariant (D1, docs/numerics.md): a row of any op's output depends on that row's inputs
// alone, bit for bit, whatever other rows share the step and for any number of threads. On CUDA
// linear() and attention() are so with CudaBackendOptions::invariant.
// Knows neither models nor ranks. Used by one thread, the step loop of its rank.
// Notation: t is a row (token) of the step; residual, input and wide are types of ActivationTypes;
// pointers in op arguments are device memory unless noted.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "kernels/buffer.h"
#include "kernels/kv_layout.h"
#include "kernels/op_arguments.h"
#include "kernels/reserved_memory.h"
#include "kernels/sampling_row.h"
#include "kernels/tensor.h"
#include "kernels/weight.h"

namespace trireme {

// An ordered stream of work on the device.
class Queue {
 public:
  virtual ~Queue() = default;
};

// Scratch memory of one lane, at least workspace_bytes(); undefined between ops.
struct Workspace {
  std::byte* data = nullptr;
  int64_t bytes = 0;
};

struct BackendInfo {
  std::string name;    // "cpu", "cuda"
  std::string isa;     // "avx512_bf16", "sm_90a"; equal over a group
  std::string device;  // name of the processor or GPU, for display
  std::string place;   // identifies the GPU on its host, equal for ranks that share it; CPU: ""
};

struct DeviceMemory {
  int64_t total = 0;  // bytes, like those below
  int64_t free = 0;   // used by no process
  int64_t taken = 0;  // by allocate() and pack() of this backend
};

// Limits of the ops that share a Workspace.
struct OpLimits {
  int64_t rows = 0;
  int64_t k = 0;           // inner dimension of a matmul
  int64_t n = 0;           // output columns, those of logits included
  int64_t epilogue_n = 0;  // rows of W with an activation; twice those with a bias alone
};

// The arguments of linear(), or of linear_add_norm() or linear_qkv() with heads of `head_dim`.
struct LinearCall {
  enum class Next : uint8_t { kNothing, kNorm, kHeads };

  Tensor x;
  const Weight* weight = nullptr;
  Epilogue epilogue;
  Tensor out;
  Next next = Next::kNothing;
  int32_t head_dim = 0;    // of kHeads
  int32_t rotary_dim = 0;  // of kHeads
};

// Calls that our own kernels did although a library's algorithm had been found faster.
struct RefusedMatmuls {
  std::string cause;
  int64_t calls = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual BackendInfo info() const = 0;
  virtual ActivationTypes types() const = 0;
  virtual bool captures_steps() const = 0;  // capture() makes graphs, run() replays them
  virtual KvLayout kv_layout(int32_t head_dim) const = 0;

  // --- memory -----------------------------------------------------------------------------------
  // Zeroed device memory. `what` names it in TRI-MEM-001, with the bytes requested and available.
  virtual StatusOr<Buffer> allocate(int64_t bytes, const std::string& what) = 0;
  virtual DeviceMemory device_memory() const = 0;
  // Bytes that KV caches may take now: of a GPU all free memory but a reserve, of a host half.
  virtual int64_t cache_bytes() const = 0;
  // A range of at least `bytes` device addresses, without memory until ReservedMemory::fill(). The
  // backend outlives it. TRI-CUDA-019: the driver gives no addresses.
  virtual StatusOr<std::unique_ptr<ReservedMemory>> reserve(int64_t bytes,
                                                            const std::string& what) = 0;
  // Zeroed host memory that the device reads and writes at the same address. TRI-MEM-001.
  virtual StatusOr<Buffer> allocate_shared(int64_t bytes, const std::string& what) = 0;
  // Copies to the device. `host` is read before the call returns.
  virtual void upload(Queue& queue, std::byte* device, std::span<const std::byte> host) = 0;
  // The same from allocate_shared() memory, which is read when the copy runs on the queue.
  virtual void upload_shared(Queue& queue,
                             std::byte* device,
                             std::span<const std::byte> shared) = 0;
  // Copies from the device. `host` is valid after a wait().
  virtual void download(Queue& queue, std::span<std::byte> host, const std::byte* device) = 0;

  // Packs host tensors (bf16, fp16 or fp32, [n_i, k]) into one matmul weight of input type with
  // n = sum n_i. TRI-MEM-001.
  virtual StatusOr<std::unique_ptr<Weight>> pack(std::span<const Tensor> parts,
                                                 const WeightSpec& spec) = 0;
  // A view of rows [first, first + count) of a kRows weight that was packed with at least
  // kSpareRows and outlives the view. Null: the backend's layout cannot be sliced.
  static constexpr int64_t kSpareRows = 128;
  virtual std::unique_ptr<Weight> rows_of(const Weight& weight,
                                          int64_t first,
                                          int64_t count) const = 0;
  // Device bytes that pack() of a weight [n, k] takes, padding included.
  virtual int64_t packed_bytes(int64_t n, int64_t k, const WeightSpec& spec) const = 0;

  // Size of a Workspace that suffices for every op within these limits.
  virtual int64_t workspace_bytes(const OpLimits& limits) const = 0;

  // --- order of work ----------------------------------------------------------------------------
  // The rank's two queues, made before all others: a device deals its hardware queues to them in
  // this order, and ranks that share one could block one another. Steps, and everything temporary,
  // run on the lane; the side queue carries what must not wait for a step. They live as long as the
  // backend.
  virtual Queue& lane() = 0;
  virtual Queue& side() = 0;
  // One more queue, for tests and benchmarks.
  virtual std::unique_ptr<Queue> make_queue() = 0;
  // Blocks until everything enqueued on `queue` is done. TRI-CUDA-001: the device failed;
  // TRI-CUDA-004: not done at `deadline_us` (steady clock).
  virtual Status wait(Queue& queue, TimeUs deadline_us) = 0;
  // TRI-CUDA-001 if a device failure is known already. Does not block.
  virtual Status status(Queue& queue) = 0;
  // Work enqueued on `later` from now on runs after the work already enqueued on `earlier`.
  virtual void order(Queue& later, Queue& earlier) = 0;
  // Captures what `enqueue` enqueues as the graph of `key`, and runs nothing. Takes memory, and may
  // wait for all work of the device, so no rank that shares it may wait for this one meanwhile.
  // Where memory is missing, or the backend captures no steps, there is no graph.
  virtual void capture(Queue& queue, const StepKey& key, const std::function<void()>& enqueue) = 0;
  // Replays the graph captured for an equal key; calls `enqueue` if there is none.
  virtual void run(Queue& queue, const StepKey& key, const std::function<void()>& enqueue) = 0;

  // to[0 .. entry_bytes) = current entry of `inputs`.
  virtual void take_entry(Queue& queue, const StepRing& inputs, std::byte* to) = 0;
  // Current entry of `results` (shared memory) = from[0 .. bytes); then the last 8 bytes of the
  // entry = uint64 *step + 1, which the host sees after the data; then ++*step.
  // bytes + 8 <= entry_bytes, a multiple of 8.
  virtual void post(Queue& queue,
                    const std::byte* from,
                    int64_t bytes,
                    const StepRing& results) = 0;

  // --- ops --------------------------------------------------------------------------------------
  // out[t, :] = W[token_ids[t] - first_row, :]; zeros for padding and for ids outside the weight's
  // n rows. W: this rank's part of the vocabulary, [n, k]. out: [tokens, k] residual type.
  // -0 becomes +0, so that summing the parts of several ranks changes no bits.
  virtual void embed(Queue& queue,
                     const BatchView& batch,
                     const Weight& weight,
                     int64_t first_row,
                     Tensor out) = 0;

  // residual += delta + delta_bias, each if given; then, if out has data, out = norm(residual):
  // kRms:   x / sqrt(mean(x^2) + epsilon) * (weight + weight_offset)
  // kLayer: (x - mean(x)) / sqrt(var(x) + epsilon) * (weight + weight_offset) + bias
  // residual, delta: [tokens, width] residual type; out: [tokens, width], any float type.
  // Statistics in fp32, summed in one fixed order that depends on width alone.
  virtual void add_norm(Queue& queue,
                        Tensor residual,
                        const Tensor* delta,
                        Vector delta_bias,
                        const Norm& norm,
                        Tensor out) = 0;

  // out[t, j] = sum_k x[t, k] W[j, k] + bias[j], [tokens, n]; with kSiluGate
  // out[t, j] = silu(gate[t, j]) * up[t, j], [tokens, n / 2], of the two halves of that sum.
  // x: [tokens, k] input type; bias: [n]; out: input type or fp32. Accumulates in fp32: one chain
  // of fixed order per leaf, then the tree over leaves (WeightSpec), for any number of rows.
  virtual void linear(Queue& queue,
                      Workspace& workspace,
                      Tensor x,
                      const Weight& weight,
                      const Epilogue& epilogue,
                      Tensor out) = 0;

  // linear() into sum.delta, then add_norm(); bit-identical to the two calls. A backend may fuse
  // them into one launch. x: [tokens, k] input type.
  virtual void linear_add_norm(
      Queue& queue, Workspace& workspace, Tensor x, const Weight& weight, const NormedSum& sum) {
    linear(queue, workspace, x, weight, {}, sum.delta);
    add_norm(queue, sum.residual, &sum.delta, sum.bias, sum.norm, sum.out);
  }

  // linear() into target.qkv, then qkv_finish(); bit-identical to the two calls. A backend may fuse
  // them into one launch. x: [tokens, k] input type; bias: [n] or empty.
  virtual void linear_qkv(Queue& queue,
                          Workspace& workspace,
                          Tensor x,
                          const Weight& weight,
                          Vector bias,
                          const QkvTarget& target) {
    linear(queue, workspace, x, weight, {.bias = bias}, target.qkv);
    qkv_finish(queue, target.batch, target.qkv, target.spec, target.pages, target.layer, target.q);
  }

  // Warm-up: times the algorithms of this linear() over weights of one shape and selects the
  // fastest for that shape. Waits for the device. No effect with one algorithm or a shape already
  // selected.
  virtual void tune_linear(Queue& queue,
                           Workspace& workspace,
                           Tensor x,
                           std::span<const Weight* const> weights,
                           const Epilogue& epilogue,
                           Tensor out) = 0;
  // Selections of tune_linear() as bytes: all ranks of a group use the same. load_tuning() returns
  // false, and forgets all selections, if the bytes are of another device model or library version.
  virtual std::string save_tuning() = 0;
  virtual bool load_tuning(std::string_view bytes) = 0;
  // File name for these bytes, unique to the device model and library version; "": never tuned.
  virtual std::string tuning_name() = 0;

  // How the call is computed on this queue: our kernel, or the library and its algorithm, and why
  // not by the other. For people.
  virtual std::string describe_linear(const Queue& queue,
                                      const Workspace& workspace,
                                      const LinearCall& call) const = 0;
  // By cause, of all calls so far, replays of graphs not counted; empty: none.
  virtual std::vector<RefusedMatmuls> refused_matmuls() const = 0;

  // For each row t and head h of q and k: x = rmsnorm(x) if a norm weight is given, then the
  // rotation by positions[t]. Stores k and v in the row's page, at position positions[t] mod
  // page_tokens, in the page's type; q in `q`. Skips padding; may overwrite qkv.
  // qkv: [tokens, (heads + 2 kv_heads) * head_dim] wide type, q | k | v;
  // q: [tokens, heads * head_dim] wide type.
  virtual void qkv_finish(Queue& queue,
                          const BatchView& batch,
                          Tensor qkv,
                          const QkvSpec& spec,
                          const KvPages& pages,
                          int32_t layer,
                          Tensor q) = 0;

  // Size of an AttentionPlan for steps of up to these many rows and segments; 0: none is needed.
  virtual int64_t attention_plan_bytes(int32_t max_batched_tokens,
                                       int32_t max_segments,
                                       const HeadShape& shape) const = 0;
  // Partitions the step's attention work of one class into `plan`; called once per step and class,
  // before the first attention() of the class.
  virtual void plan_attention(Queue& queue,
                              const BatchView& batch,
                              const AttentionSpec& spec,
                              const KvPages& pages,
                              const AttentionPlan& plan) = 0;

  // out[t, h, :] = sum_j softmax_j(cap(q[t, h, :] . k[j, h / group, :] * scale)) v[j, h / group, :]
  // over positions j <= positions[t] of the row's slot that lie in the window; cap is the soft cap,
  // group = heads / kv_heads. Causality comes from positions; k and v are read from pages only,
  // those of this step included. Online softmax in fp32 (Milakov & Gimelshein 2018) over chunks of
  // whole pages at fixed absolute positions, merged in ascending order. q: [tokens, heads *
  // head_dim] wide type; out: [tokens, heads * head_dim] input type.
  virtual void attention(Queue& queue,
                         Workspace& workspace,
                         const BatchView& batch,
                         Tensor q,
                         const AttentionSpec& spec,
                         const AttentionPlan& plan,
                         const KvPages& pages,
                         int32_t layer,
                         Tensor out) = 0;

  // out[i, :] = in[rows[i], :] for i < out.rows, zeros where rows[i] is negative (padding).
  // in: [*, width]; out: [m, width], same type; rows: [m], null: rows[i] = i.
  virtual void gather_rows(Queue& queue, Tensor in, const int32_t* rows, Tensor out) = 0;

  // accumulator[i, j] += other[i, j]. Both [rows, columns] fp32. One step of a reduction over
  // ranks.
  virtual void add(Queue& queue, Tensor accumulator, Tensor other) = 0;

  // Page to[i] = page from[i] for i < count, all layers and heads. from, to: [count] page ids.
  // No page may be written twice, or both read and written.
  virtual void copy_pages(Queue& queue,
                          const KvPages& pages,
                          const int32_t* from,
                          const int32_t* to,
                          int32_t count) = 0;

  // token_ids[t] = last[slots[t]] for rows with token_ids[t] < 0 that are no padding: the id drawn
  // by an earlier step, which the host may not know yet. token_ids: [tokens]; last: [max_slots].
  virtual void feed_ids(Queue& queue,
                        const BatchView& batch,
                        const int32_t* last,
                        int32_t* token_ids) = 0;

  // table[index] = value for the changes[0] pairs (index, value) that begin at changes[1].
  // changes[0] <= max_changes; changes: [1 + 2 max_changes]. No index may occur twice.
  virtual void update_table(Queue& queue,
                            int32_t* table,
                            const int32_t* changes,
                            int32_t max_changes) = 0;

  // --- sampling ---------------------------------------------------------------------------------
  // Logits are [m, ids] fp32; column c is token id first_id + c (0 in a whole row). Formulas: the
  // eight steps of docs/numerics.md.

  // Steps 1 to 3, in place: penalties, bias, bans (-inf). Ids >= vocabulary (padding of the head)
  // become -inf. rows: [m].
  virtual void adjust_logits(Queue& queue,
                             Workspace& workspace,
                             Tensor logits,
                             int64_t first_id,
                             int64_t vocabulary,
                             const SamplingRow* rows) = 0;

  // Steps 4 and 8 over one shard: draws[i] = id with the maximum of l / temperature + Gumbel noise
  // (temperature 0: of l), the lowest id among equals; id -1 if all are -inf or NaN.
  // rows, draws: [m]. Rows for which needs_whole_row() holds get id -1: draw_whole() draws them.
  virtual void draw_shard(Queue& queue,
                          Workspace& workspace,
                          Tensor logits,
                          int64_t first_id,
                          const SamplingRow* rows,
                          ShardDraw* draws) = 0;

  // Steps 4 to 8 over whole adjusted rows: temperature, top-k, top-p, min-p, Gumbel draw. With
  // WholeRows::kNeeded only rows for which needs_whole_row() holds are read and drawn; the draws of
  // the others stay. logits: [m, vocabulary], overwritten; rows, draws: [m].
  virtual void draw_whole(Queue& queue,
                          Workspace& workspace,
                          Tensor logits,
                          WholeRows which,
                          const SamplingRow* rows,
                          ShardDraw* draws) = 0;

  // Log-softmax of whole rows before step 1. out[i, 0] is the entry of chosen[i] (negative: id 0),
  // out[i, 1 ..] the `count` largest in descending order, the lower id first among equals.
  // logits: [m, vocabulary]; chosen: [m]; out: [m, 1 + count]; count <= kMaxTopIds.
  virtual void logprobs(Queue& queue,
                        Workspace& workspace,
                        Tensor logits,
                        const int32_t* chosen,
                        int32_t count,
                        TokenLogprob* out) = 0;

  // ids[i] = the id of the best of draws[s * num_rows + i] over the shards s: the maximum value,
  // the lowest id among equals; -1 if none has an id. draws: [num_shards, num_rows]; ids:
  // [num_rows].
  virtual void best_of_shards(
      Queue& queue, const ShardDraw* draws, int32_t num_shards, int32_t num_rows, int32_t* ids) = 0;

  // last[slots[i]] = ids[i], and history[slots[i], places[i]] = ids[i] unless places[i] is
  // negative, for i < count. Skips rows with slot -1 or id -1. ids, slots, places: [count]; places
  // may be null if kept.history is.
  virtual void keep_ids(Queue& queue,
                        const int32_t* ids,
                        const int32_t* slots,
                        const int32_t* places,
                        int32_t count,
                        const SlotIds& kept) = 0;
};

}  // namespace trireme
