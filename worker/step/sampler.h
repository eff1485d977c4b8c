// The head's end of a step, on the last stage: logits of the asked rows, cut by vocabulary, and
// what is made of them: draws, log-probabilities, scores, probed logits.
//
// A row without top-k, top-p, min-p and logprobs needs only each rank's best (value, id). Other
// rows are gathered whole, dealt over the ranks of the stage, which draw them and tell the others.
// All ranks of the stage make the same calls. Draws stay on the device: what the host wants of them
// is one block of bytes, which read_logprobs() understands. Allocates at construction, and where
// scores or probes are asked for.
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

// A drawn row as its answer needs it, once the id is known.
struct DrawnRow {
  SlotId slot = 0;
  uint32_t generation = 0;
  int32_t position = 0;  // of the drawn token
  uint32_t index = 0;    // of the token in the answer
  int32_t num_top = -1;  // logprobs asked for; -1: none
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
  // [rows] on the device: the drawn ids on every rank of the stage, -1 where nothing can be drawn.
  int32_t* ids() const { return ids_; }
  // What the host wants of a draw: ids at the start, then log-probabilities.
  const std::byte* results() const { return reinterpret_cast<const std::byte*>(ids_); }
  int64_t max_result_bytes() const { return result_bytes_; }
  int64_t result_bytes(std::span<const DrawnRow> whole) const;
  // The entries of the rows that asked, out of a step's results; `ids` are those of `whole`.
  void read_logprobs(std::span<const std::byte> results,
                     std::span<const TokenId> ids,
                     std::span<const DrawnRow> whole,
                     std::vector<LogprobEntry>& logprobs) const;

  // The log-probability of each row's given next token; `scores` is filled at tensor index 0.
  // Waits for the device.
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
  // How whole rows are dealt over the ranks of the stage: in runs of equal length, the longer ones
  // first, or all to the first rank.
  enum class Deal : uint8_t { kEvenly, kFirstRank };
  // Whole rows that are handled together, and where their log-probabilities lie in the results.
  struct Pass {
    int32_t begin = 0;
    int32_t count = 0;
    int32_t width = 0;  // entries a row; 0: nobody asks
    int64_t offset = 0;
  };

  Sampler(Backend& backend, const ShardModel& model, Comm& comm, int64_t vocabulary_limit);
  Status allocate(int32_t max_slots);
  void draw_by_shard(
      Lane& lane, Tensor residual, const StepArrays& step, int32_t count, Progress& progress);
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
  // Brings the whole logits of `count` rows (device memory) to their owners; those held here.
  Tensor gather_whole(Lane& lane,
                      Tensor residual,
                      const int32_t* rows,
                      int32_t count,
                      Deal deal,
                      Progress& progress);
  void exchange_pieces(Lane& lane, int32_t num_rows, Deal deal);
  // Small lists of the host on the device, until the next call.
  const int32_t* put(Lane& lane, std::span<const int32_t> values, int32_t place);

  Backend* backend_;
  const ShardModel* model_;
  Comm* comm_;
  int64_t vocabulary_limit_;

  std::vector<Buffer> memory_;
  Tensor logits_;                // [kHeadRows, local vocabulary]
  Tensor whole_raw_;             // [kWholeRows, vocabulary]
  Tensor whole_adjusted_;        // the same after penalties, bias, bans
  std::byte* pieces_ = nullptr;  // whole rows as they arrive, rank by rank
  ShardDraw* own_ = nullptr;     // [max_slots] this rank's bests
  ShardDraw* all_ = nullptr;     // [tp, max_slots] every rank's
  ShardDraw* none_ = nullptr;    // [kWholeRows] no draws
  TokenLogprob* own_logprobs_ = nullptr;
  int32_t* asked_ = nullptr;  // [2, kWholeRows] what a score or probe names
  int32_t* ids_ = nullptr;    // [max_slots], then the log-probabilities: the results
  int64_t logprobs_offset_ = 0;
  int64_t result_bytes_ = 0;

  std::vector<int64_t> send_offsets_;
  std::vector<int64_t> receive_offsets_;
};

}  // namespace trireme
