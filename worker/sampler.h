// The head's end of a step, on the last stage: logits of the asked rows, cut by vocabulary, and
// what is made of them: draws, log-probabilities, scores, probed logits.
//
// A row without top-k, top-p, min-p and logprobs needs only each rank's best (value, id): the
// greatest value wins, the lower id among equals. Any other row is gathered whole at one rank of
// the stage, which draws it and tells the others. All ranks of the stage make the same calls.
// Allocates at construction, and where logprobs, scores or probes are asked for.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/status.h"
#include "worker/lane.h"
#include "worker/shard_model.h"
#include "worker/slot_table.h"
#include "worker/step_inputs.h"

namespace trireme {

struct ScoreRow {
  int32_t row = 0;  // of the batch
  ScoreRequest request;
};

class Sampler {
 public:
  // Rows that one pass of the head computes, and whole rows that one pass gathers.
  static constexpr int32_t kHeadRows = 64;
  static constexpr int32_t kWholeRows = 16;

  // `drawable`: ids at or above it are never drawn (the tokenizer's size, or the vocabulary).
  static StatusOr<Sampler> make(Backend& backend,
                                const ShardModel& model,
                                Comm& tensor_comm,
                                int32_t max_slots,
                                int64_t drawable);

  // Draws the next token of each row. ids()[i] is that of draws[i] on every rank of the stage, -1
  // where nothing can be drawn. `logprobs` gets an entry for each row that asks, at tensor index 0.
  void draw(Lane& lane,
            Tensor residual,
            std::span<const DrawRow> draws,
            const SlotTable& slots,
            std::vector<LogprobEntry>& logprobs,
            Progress& progress);
  std::span<const TokenId> ids() const { return ids_; }

  // The log-probability of each row's given next token; `scores` is filled at tensor index 0.
  void score(Lane& lane,
             Tensor residual,
             std::span<const ScoreRow> rows,
             std::vector<LogprobEntry>& scores,
             Progress& progress);

  // Calls `take(i, values)` with the whole raw logits of rows[i], at tensor index 0.
  void probe(Lane& lane,
             Tensor residual,
             std::span<const int32_t> rows,
             const std::function<void(size_t, std::span<const float>)>& take,
             Progress& progress);

 private:
  // How whole rows are dealt over the ranks of the stage.
  enum class Deal : uint8_t { kRoundRobin, kFirstRank };

  Sampler(Backend& backend, const ShardModel& model, Comm& comm, int64_t drawable);
  void draw_by_shard(Lane& lane,
                     Tensor residual,
                     std::span<const DrawRow> draws,
                     const SlotTable& slots,
                     Progress& progress);
  void draw_whole(Lane& lane,
                  Tensor residual,
                  std::span<const DrawRow> draws,
                  std::span<const int32_t> chosen,
                  const SlotTable& slots,
                  std::vector<LogprobEntry>& logprobs,
                  Progress& progress);
  int32_t num_mine(int32_t num_rows, Deal deal, int rank) const;
  // Brings the whole logits of `rows` to their owners: whole_raw_ holds this rank's, in order.
  int32_t gather_whole(
      Lane& lane, Tensor residual, std::span<const int32_t> rows, Deal deal, Progress& progress);
  void exchange_pieces(Lane& lane, int32_t num_rows, Deal deal);

  Backend* backend_;
  const ShardModel* model_;
  Comm* comm_;
  int64_t drawable_;

  std::vector<Buffer> memory_;
  Tensor logits_;                // [kHeadRows, local vocabulary]
  Tensor whole_raw_;             // [kWholeRows, vocabulary]
  Tensor whole_adjusted_;        // the same after penalties, bias, bans
  std::byte* pieces_ = nullptr;  // whole rows as they arrive, rank by rank

  std::vector<TokenId> ids_;
  std::vector<int32_t> by_shard_;  // indices into draws
  std::vector<int32_t> by_row_;
  std::vector<int32_t> rows_;     // of the batch, for one pass
  std::vector<int32_t> ordered_;  // the same by owner
  std::vector<int32_t> identity_;
  std::vector<SamplingRow> sampling_;
  std::vector<ShardDraw> own_;  // this rank's bests
  std::vector<ShardDraw> all_;  // every rank's
  std::vector<TokenLogprob> own_logprobs_;
  std::vector<TokenLogprob> all_logprobs_;
  std::vector<int64_t> send_offsets_;
  std::vector<int64_t> receive_offsets_;
};

}  // namespace trireme
