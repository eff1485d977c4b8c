// Head and sampling of a step, on the last stage: logits of the requested rows, sharded by
// vocabulary, and from them draws, log-probabilities, scores and probed logits.
//
// A row without top-k, top-p, min-p and logprobs needs only the best (value, id) of each rank.
// Other rows are gathered whole and distributed over the ranks of the stage, which draw and share
// the ids: those without logprobs also in captured steps, whose ops read on the device which rows
// these are (draw_together()). All ranks of the stage make the same calls. Draws stay on the
// device; the host reads one block of bytes per step (results(), read_logprobs()). Used by the step
// executor. Allocates at construction, and where scores or probes are requested.
// A request's parameters become rows of the batch in slot_table.cc (sampling_row_of).
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/status.h"
#include "base/step_memory.h"
#include "worker/forward/lane.h"
#include "worker/forward/shard_model.h"
#include "worker/step/slot_table.h"
#include "worker/step/step_inputs.h"

namespace trireme {

struct ScoreRow {
  int32_t row = 0;  // of the batch
  ScoreRequest request;
};

// A drawn row, with what its answer needs besides the id.
struct DrawnRow {
  SlotId slot = 0;
  uint32_t generation = 0;
  int32_t position = 0;  // of the drawn token
  uint32_t index = 0;    // of the token in the answer
  int32_t num_top = -1;  // requested logprobs; -1: none
};

class Sampler {
 public:
  // `vocabulary_limit`: ids at or above it are never drawn (the tokenizer's size, or the
  // vocabulary).
  static StatusOr<Sampler> make(Backend& backend,
                                const ShardModel& model,
                                Comm& tensor_comm,
                                int32_t max_slots,
                                int64_t vocabulary_limit);

  // Enqueues the draws of the step's sampled rows: `num_by_shard` rows (padding included), then one
  // for each of `whole`.
  void draw(Lane& lane,
            Tensor residual,
            const StepArrays& step,
            int32_t num_by_shard,
            std::span<const DrawnRow> whole,
            Progress& progress);
  // The same for `count` rows (padding included) without logprobs, each drawn as it asks. Which
  // ones need whole rows is known to the device only, so this can be captured. Requires
  // Comm::has_whole_rows().
  void draw_together(
      Lane& lane, Tensor residual, const StepArrays& step, int32_t count, Progress& progress);
  // [rows] on the device: the drawn ids on every rank of the stage, -1 where nothing can be drawn.
  int32_t* ids() const { return ids_; }
  // The part of a draw that the host reads: ids at the start, then log-probabilities.
  const std::byte* results() const { return reinterpret_cast<const std::byte*>(ids_); }
  int64_t max_result_bytes() const { return result_bytes_; }
  int64_t result_bytes(std::span<const DrawnRow> whole) const;
  // Appends the entries of the rows with logprobs, from a step's results; `ids` are those of
  // `whole`.
  void read_logprobs(std::span<const std::byte> results,
                     std::span<const TokenId> ids,
                     std::span<const DrawnRow> whole,
                     std::vector<LogprobEntry>& logprobs) const;

  // The log-probability of each row's given next token; fills `scores` at tensor index 0. Waits for
  // the device.
  Status score(Lane& lane,
               Tensor residual,
               std::span<const ScoreRow> rows,
               TimeUs deadline_us,
               std::vector<LogprobEntry>& scores,
               Progress& progress);

  // Calls `take(i, values)` with the whole raw logits of rows[i], at tensor index 0. Waits for the
  // device.
  Status probe(Lane& lane,
               Tensor residual,
               std::span<const int32_t> rows,
               TimeUs deadline_us,
               const std::function<void(size_t, std::span<const float>)>& take,
               Progress& progress);

 private:
  // Distribution of whole rows over the ranks of the stage: contiguous runs whose lengths differ by
  // at most one, the longer ones first, or all rows to the first rank.
  enum class Deal : uint8_t { kEvenly, kFirstRank };
  // Whole rows that are gathered together, and the offset of their log-probabilities in the
  // results.
  struct Pass {
    int32_t begin = 0;
    int32_t count = 0;
    int32_t width = 0;  // entries per row; 0: no logprobs
    int64_t offset = 0;
  };

  Sampler(Backend& backend, const ShardModel& model, Comm& comm, int64_t vocabulary_limit);
  Status allocate(int32_t max_slots);
  void draw_by_shard(
      Lane& lane, Tensor residual, const StepArrays& step, int32_t count, Progress& progress);
  // The head and adjustment of sampled rows [begin, begin + rows of the result).
  Tensor adjusted_logits(
      Lane& lane, Tensor residual, const StepArrays& step, IndexRange rows, Progress& progress);
  void elect(Lane& lane, int32_t count, int32_t* ids, Progress& progress);
  void draw_whole(Lane& lane,
                  Tensor residual,
                  const StepArrays& step,
                  int32_t first_row,
                  const Pass& pass,
                  Progress& progress);
  void write_logprobs(Lane& lane, const Pass& pass, Tensor raw, const int32_t* chosen);
  Pass pass_at(std::span<const DrawnRow> whole, int32_t begin, int64_t offset) const;
  int64_t pass_bytes(const Pass& pass) const;
  int32_t num_held(int32_t num_rows, Deal deal, int rank) const;
  int32_t first_held(int32_t num_rows, Deal deal, int rank) const;
  // Gathers the whole logits of `count` rows (device memory) at their owners; returns those of this
  // rank.
  Tensor gather_whole(Lane& lane,
                      Tensor residual,
                      const int32_t* rows,
                      int32_t count,
                      Deal deal,
                      Progress& progress);
  void exchange_pieces(Lane& lane, int32_t num_rows, Deal deal);
  // Copies a short list to the device; valid until the next call.
  const int32_t* put(Lane& lane, std::span<const int32_t> values, int32_t place);

  Backend* backend_;
  const ShardModel* model_;
  Comm* comm_;
  int64_t vocabulary_limit_;

  std::vector<Buffer> memory_;
  int32_t pass_rows_ = 0;        // head_rows()
  Tensor logits_;                // [pass_rows_, local vocabulary]
  Tensor whole_raw_;             // [dealt_rows() or kWholeRows, vocabulary]
  Tensor whole_adjusted_;        // the same after penalties, bias, bans
  std::byte* pieces_ = nullptr;  // received columns of whole rows, by rank
  ShardDraw* own_ = nullptr;     // [max_slots] best of this rank's shard
  ShardDraw* all_ = nullptr;     // [tp, max_slots] best of every rank's shard
  ShardDraw* none_ = nullptr;    // [kWholeRows] no draws
  TokenLogprob* own_logprobs_ = nullptr;
  int32_t* requested_ = nullptr;  // [2, kWholeRows] rows and ids of scores and probes
  int32_t* ids_ = nullptr;        // [max_slots], then the log-probabilities: the results
  int64_t logprobs_offset_ = 0;
  int64_t result_bytes_ = 0;

  std::vector<int64_t> columns_;  // [tp + 1] where each rank's part of the vocabulary begins
  std::vector<int64_t> send_offsets_;
  std::vector<int64_t> receive_offsets_;
};

}  // namespace trireme
