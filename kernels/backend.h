// One device: its memory, its queues and the ops a transformer is made of. The CPU and the CUDA
// backend implement this contract and pass the same parameterised suite (tests/kernels).
//
// Ops are enqueued on a Queue and return nothing; the CPU queue runs them in the call. Shapes that
// do not fit are our bug (CHECK). Only wait() blocks and reports.
// Determinism (D1, docs/numerics.md): a row of any op's output depends on that row's inputs alone,
// bit for bit, whatever other rows stand beside it and for any number of threads.
// Knows nothing of models or ranks. One thread uses a Backend.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "kernels/buffer.h"
#include "kernels/kv_layout.h"
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

// Scratch memory of one lane. An op takes what it needs from the start and owes nothing afterwards;
// the next op on the same queue may overwrite it.
struct Workspace {
  std::byte* data = nullptr;
  int64_t bytes = 0;
};

// Element types of the activations between ops.
struct ActivationTypes {
  DType residual = DType::kFloat32;  // the residual stream and what is added to it
  DType input = DType::kBFloat16;    // what a matmul reads
  DType wide = DType::kFloat32;      // qkv before rope and pages, q
  int32_t row_alignment = 1;         // rows start at multiples of this many elements
};

enum class NormKind : uint8_t { kRms, kLayer };
struct Norm {
  NormKind kind = NormKind::kRms;
  float epsilon = 1e-5f;
  float weight_offset = 0;  // 1 for checkpoints that store the weight minus one
  Vector weight;
  Vector bias;  // empty: none
};

enum class Activation : uint8_t { kNone, kSiluGate };
struct Epilogue {
  Vector bias;                                // empty: none
  Activation activation = Activation::kNone;  // kSiluGate: W is kGateUp, out has n / 2 columns
};

// The rows of one step: row i is the token `token_ids[i]` at absolute `positions[i]` of `slots[i]`.
// Rows of one slot are consecutive, with consecutive positions: such a run is a segment
// [segment_starts[s], segment_starts[s + 1]). All pointers are device memory at fixed addresses.
// A padded step has more rows and segments than the plan: rows of slot -1, which no op reads or
// writes pages for and whose outputs mean nothing, and empty segments, both at the end.
struct BatchView {
  int32_t num_tokens = 0;
  int32_t num_segments = 0;
  bool is_mixed = false;  // some segment may have more rows than one, whatever the counts say
  const int32_t* token_ids = nullptr;
  const int32_t* positions = nullptr;
  const int32_t* slots = nullptr;
  const int32_t* segment_starts = nullptr;  // [num_segments + 1]
  const int32_t* page_table = nullptr;      // [max_slots, page_table_stride] page ids
  int32_t page_table_stride = 0;
};

// What becomes of a matmul's output: `delta` is added to the residual, which is normed, as by
// add_norm().
struct NormedSum {
  Tensor delta;  // also written; means nothing to others afterwards
  Tensor residual;
  Vector bias;  // added to the residual with it; empty: none
  Norm norm;
  Tensor out;  // without data: only added
};

// Rotation of q and k by position: interleaving none, dimension i pairs with i + rotary_dim / 2.
// table [max_positions, rotary_dim / 2, 2] = cos, sin, the attention factor multiplied in.
struct Rope {
  const float* table = nullptr;
  int32_t max_positions = 0;
  int32_t rotary_dim = 0;  // 0: no rotation
};

// Heads of this rank.
struct HeadShape {
  int32_t num_heads = 0;
  int32_t num_kv_heads = 0;
  int32_t head_dim = 0;
};

struct QkvSpec {
  HeadShape shape;
  Rope rope;
  Vector q_norm;  // RMSNorm over head_dim before the rotation; empty: none
  Vector k_norm;
  float norm_epsilon = 1e-5f;
  float norm_weight_offset = 0;
};

// What becomes of the q/k/v matmul's output: as by qkv_finish().
struct QkvTarget {
  BatchView batch;
  Tensor qkv;  // also written; means nothing to others afterwards
  QkvSpec spec;
  KvPages pages;
  int32_t layer = 0;
  Tensor q;
};

struct AttentionSpec {
  HeadShape shape;
  float scale = 1;
  int32_t window = 0;  // token i sees j with i - window < j <= i; 0: all j <= i
  float soft_cap = 0;  // scores become cap tanh(score / cap); 0: none
};

// What the launches of one attention class (equal head shape, window and soft cap) share in a step:
// device memory of attention_plan_bytes(), filled by plan_attention().
struct AttentionPlan {
  std::byte* data = nullptr;
};

// Steps with equal keys enqueue the same ops with the same arguments: a device may record the first
// and replay it. Sizes are buckets (padded), named by the coordinator so that all ranks agree.
struct StepKey {
  int32_t num_tokens = 0;
  int32_t num_rows = 0;   // sampled
  bool is_mixed = false;  // has segments of more than one row

  // NOLINTNEXTLINE(modernize-use-nullptr): the 0 that clang-tidy 14 sees is of the comparison
  auto operator<=>(const StepKey&) const = default;
};

// A ring of step records: `depth` entries of `entry_bytes`, the one in turn is *step mod depth.
// `step` is device memory; post() advances it, so that a recorded step finds its entry.
struct StepRing {
  std::byte* entries = nullptr;
  int64_t entry_bytes = 0;
  int32_t depth = 0;
  uint64_t* step = nullptr;
};

// Where drawn ids stay on the device, by slot.
struct SlotIds {
  int32_t* last = nullptr;     // [max_slots] the token drawn last
  int32_t* history = nullptr;  // [max_slots, history_stride] prompt and drawn ids; null: not kept
  int64_t history_stride = 0;
};

struct BackendInfo {
  std::string name;    // "cpu", "cuda"
  std::string isa;     // "avx512_bf16", "sm_90a"; equal over a group
  std::string device;  // for people: the processor's or the GPU's name
  std::string place;   // which GPU of its host, equal where ranks share one; empty: the host
};

// Of a device: what it has, what nobody uses, and what this backend took (others' is not in it).
struct DeviceMemory {
  int64_t total = 0;
  int64_t free = 0;
  int64_t taken = 0;  // by allocate() and pack(), in all
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual BackendInfo info() const = 0;
  virtual ActivationTypes types() const = 0;
  virtual bool records_steps() const = 0;  // run() gains by keys
  virtual KvLayout kv_layout(int32_t head_dim) const = 0;

  // --- memory -----------------------------------------------------------------------------------
  // Zeroed memory of the device; TRI-MEM-001 names `what`, the bytes asked for and what is left.
  virtual StatusOr<Buffer> allocate(int64_t bytes, const std::string& what) = 0;
  virtual DeviceMemory device_memory() const = 0;
  // What KV caches may take of what is free: a device's all but for a reserve, half of the host's.
  virtual int64_t cache_bytes() const = 0;
  // At least so many addresses of the device, and no memory yet; it outlives them.
  virtual StatusOr<std::unique_ptr<ReservedMemory>> reserve(int64_t bytes,
                                                            const std::string& what) = 0;
  // Zeroed memory of the host that the device reads and writes at the same address.
  virtual StatusOr<Buffer> allocate_shared(int64_t bytes, const std::string& what) = 0;
  // The host bytes are taken before the call returns.
  virtual void upload(Queue& queue, std::byte* device, std::span<const std::byte> host) = 0;
  // From shared memory, which is read when the copy runs.
  virtual void upload_shared(Queue& queue,
                             std::byte* device,
                             std::span<const std::byte> shared) = 0;
  // The host bytes are there after a wait().
  virtual void download(Queue& queue, std::span<std::byte> host, const std::byte* device) = 0;

  // Packs host tensors (bf16, fp16 or fp32, [n_i, k]) into one matmul weight in the backend's type.
  virtual StatusOr<std::unique_ptr<Weight>> pack(std::span<const Tensor> parts,
                                                 const WeightSpec& spec) = 0;
  // Rows [first, first + count) of a kRows weight as a weight of their own, in the other's memory,
  // which outlives it and has at least kSpareRows. Null: this backend's layout has no such parts.
  static constexpr int64_t kSpareRows = 128;
  virtual std::unique_ptr<Weight> rows_of(const Weight& weight,
                                          int64_t first,
                                          int64_t count) const = 0;
  // The bytes that pack() will take on the device, without any data.
  virtual int64_t packed_bytes(int64_t n, int64_t k, const WeightSpec& spec) const = 0;

  // The scratch that any op needs with at most these sizes.
  virtual int64_t workspace_bytes(int64_t max_rows, int64_t max_k, int64_t max_n) const = 0;

  virtual std::unique_ptr<Queue> make_queue() = 0;
  // Blocks until all that was enqueued is done; a device failure or the deadline is the Status.
  virtual Status wait(Queue& queue, TimeUs deadline_us) = 0;
  // A device failure that has shown itself; does not block.
  virtual Status status(Queue& queue) = 0;
  // What is enqueued on `later` from now on runs after what is already enqueued on `earlier`.
  virtual void order(Queue& later, Queue& earlier) = 0;
  // Enqueues what `enqueue` enqueues, or replays what it enqueued for an equal key before. An empty
  // key is never recorded.
  virtual void run(Queue& queue, const StepKey& key, const std::function<void()>& enqueue) = 0;

  // to = the input ring's entry in turn.
  virtual void take_entry(Queue& queue, const StepRing& inputs, std::byte* to) = 0;
  // The result ring's entry in turn (shared memory) = `bytes` of `from`; then, last as the host
  // sees it, the uint64 at the entry's end = *step + 1; then ++*step.
  virtual void post(Queue& queue,
                    const std::byte* from,
                    int64_t bytes,
                    const StepRing& results) = 0;

  // --- ops --------------------------------------------------------------------------------------
  // out[t, :] = W[id - first_row, :], or zeros where the id is not one of this weight's rows.
  // out: [tokens, k] residual type. Negative zero becomes zero, so that adding shards changes
  // nothing.
  virtual void embed(Queue& queue,
                     const BatchView& batch,
                     const Weight& weight,
                     int64_t first_row,
                     Tensor out) = 0;

  // residual += delta + delta_bias (each if given); then out = norm(residual) (if out.data).
  // residual, delta: [tokens, width] residual type; out: any float type.
  // Mean and variance in fp32, one fixed order over the row.
  virtual void add_norm(Queue& queue,
                        Tensor residual,
                        const Tensor* delta,
                        Vector delta_bias,
                        const Norm& norm,
                        Tensor out) = 0;

  // out[t, j] = act(sum_k x[t, k] W[j, k] + bias[j]); each sum one fixed-order chain per leaf,
  // leaves added by the tree, the same for any number of rows. x: [tokens, k] input type. out:
  // [tokens, n] (kSiluGate: [tokens, n / 2] = silu(gate) * up), input or fp32 type.
  virtual void linear(Queue& queue,
                      Workspace& workspace,
                      Tensor x,
                      const Weight& weight,
                      const Epilogue& epilogue,
                      Tensor out) = 0;

  // linear() to sum.delta, then add_norm() of it: the same bits, where a device can in one launch.
  virtual void linear_add_norm(
      Queue& queue, Workspace& workspace, Tensor x, const Weight& weight, const NormedSum& sum) {
    linear(queue, workspace, x, weight, {}, sum.delta);
    add_norm(queue, sum.residual, &sum.delta, sum.bias, sum.norm, sum.out);
  }

  // linear() to target.qkv, then qkv_finish() of it: the same bits, where a device can in one
  // launch.
  virtual void linear_qkv(Queue& queue,
                          Workspace& workspace,
                          Tensor x,
                          const Weight& weight,
                          Vector bias,
                          const QkvTarget& target) {
    linear(queue, workspace, x, weight, {.bias = bias}, target.qkv);
    qkv_finish(queue, target.batch, target.qkv, target.spec, target.pages, target.layer, target.q);
  }

  // At warm-up: tries the ways of this linear() on weights of one shape, and takes the fastest for
  // such steps from then on. Waits for the device. Nothing happens where there is but one way, or
  // where the fastest is known.
  virtual void tune_linear(Queue& queue,
                           Workspace& workspace,
                           Tensor x,
                           std::span<const Weight* const> weights,
                           const Epilogue& epilogue,
                           Tensor out) = 0;
  // What tune_linear() found, for the other ranks: all of a group take the same ways. load_tuning:
  // false if the bytes are of another device or library; then nothing is known.
  virtual std::string save_tuning() = 0;
  virtual bool load_tuning(std::string_view bytes) = 0;
  // A name for a file of such bytes, of this device and library alone; empty: there are no ways.
  virtual std::string tuning_name() = 0;

  // qkv [tokens, (heads + 2 kv_heads) head_dim] wide type: norms and rotates q and k, writes k and
  // v of each row to its page, q to `q` [tokens, heads * head_dim] wide type.
  virtual void qkv_finish(Queue& queue,
                          const BatchView& batch,
                          Tensor qkv,
                          const QkvSpec& spec,
                          const KvPages& pages,
                          int32_t layer,
                          Tensor q) = 0;

  virtual int64_t attention_plan_bytes(int32_t max_batched_tokens, int32_t max_segments) const = 0;
  // How the class's launches of this step share the work; to be called before the first of them.
  virtual void plan_attention(Queue& queue,
                              const BatchView& batch,
                              const AttentionSpec& spec,
                              const KvPages& pages,
                              const AttentionPlan& plan) = 0;

  // out[t, h, :] = sum_j softmax_j(q[t, h, :] . k[j, h / group, :] * scale) v[j, h / group, :],
  // j <= positions[t] within the window, K and V read from pages only, in chunks of whole pages at
  // fixed absolute positions merged in order; online softmax in fp32 (Milakov & Gimelshein 2018).
  // out: [tokens, heads * head_dim] input type.
  virtual void attention(Queue& queue,
                         Workspace& workspace,
                         const BatchView& batch,
                         Tensor q,
                         const AttentionSpec& spec,
                         const AttentionPlan& plan,
                         const KvPages& pages,
                         int32_t layer,
                         Tensor out) = 0;

  // out[i, :] = in[rows[i], :] for the out.rows rows, zeros for a negative row (padding); same
  // type and width. `rows` is device memory; null: row i of the one is row i of the other.
  virtual void gather_rows(Queue& queue, Tensor in, const int32_t* rows, Tensor out) = 0;

  // accumulator += other, element by element; fp32. The step of a reduction across ranks.
  virtual void add(Queue& queue, Tensor accumulator, Tensor other) = 0;

  // Copies whole pages (all layers and heads) inside the cache; `from` and `to` are device memory.
  // No page is written twice, or read and written.
  virtual void copy_pages(Queue& queue,
                          const KvPages& pages,
                          const int32_t* from,
                          const int32_t* to,
                          int32_t count) = 0;

  // token_ids[t] = last[slots[t]] where it is negative and the row is no padding: the id that an
  // earlier step drew and the host may not know yet.
  virtual void feed_ids(Queue& queue,
                        const BatchView& batch,
                        const int32_t* last,
                        int32_t* token_ids) = 0;

  // table[index] = value for each of changes[0] pairs (index, value) from changes[1] on, at most
  // `max_changes`; an index stands there once.
  virtual void update_table(Queue& queue,
                            int32_t* table,
                            const int32_t* changes,
                            int32_t max_changes) = 0;

  // --- sampling (fp32 logits; rows, draws, ids and what they point to are device memory) --------
  // Applies repetition, presence and frequency penalties, bias and bans to logits [rows, ids],
  // whose column c is id first_id + c. Columns of ids >= vocabulary (padding of the head) become
  // -inf.
  virtual void adjust_logits(Queue& queue,
                             Workspace& workspace,
                             Tensor logits,
                             int64_t first_id,
                             int64_t vocabulary,
                             const SamplingRow* rows) = 0;

  // The best of each row: greedy, or by the Gumbel draw of docs/numerics.md. Rows that need their
  // whole row are not for this op.
  virtual void draw_shard(Queue& queue,
                          Workspace& workspace,
                          Tensor logits,
                          int64_t first_id,
                          const SamplingRow* rows,
                          ShardDraw* draws) = 0;

  // Draws from whole adjusted rows: temperature, top-k, top-p, min-p, then the Gumbel draw. Uses
  // the rows up.
  virtual void draw_whole(Queue& queue,
                          Workspace& workspace,
                          Tensor logits,
                          const SamplingRow* rows,
                          ShardDraw* draws) = 0;

  // log-softmax of whole raw rows: for row i the entry of `chosen[i]` (negative: id 0), then the
  // top `count` <= kMaxTopIds (greatest first, lower id among equals). out: [rows, 1 + count].
  virtual void logprobs(Queue& queue,
                        Workspace& workspace,
                        Tensor logits,
                        const int32_t* chosen,
                        int32_t count,
                        TokenLogprob* out) = 0;

  // ids[i] = the id of the best of draws[s * num_rows + i] over the shards s: the greatest value,
  // the lower id among equals; -1 if none has an id.
  virtual void best_of_shards(
      Queue& queue, const ShardDraw* draws, int32_t num_shards, int32_t num_rows, int32_t* ids) = 0;

  // The last id of slot slots[i] becomes ids[i], and so does its history at places[i] unless that
  // is negative; rows of slot -1 and ids of -1 are passed over. Without a history
  // `places` may be null.
  virtual void keep_ids(Queue& queue,
                        const int32_t* ids,
                        const int32_t* slots,
                        const int32_t* places,
                        int32_t count,
                        const SlotIds& kept) = 0;
};

}  // namespace trireme
