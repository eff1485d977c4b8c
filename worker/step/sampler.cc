#include "worker/step/sampler.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace trireme {
namespace {

// The entry of an answer: the row's own token, then the top ones.
LogprobEntry make_entry(SlotId slot,
                        int32_t position,
                        std::span<const TokenLogprob> row,
                        int32_t num_top) {
  LogprobEntry entry;
  entry.slot = slot;
  entry.position = position;
  entry.token = {row[0].id, row[0].logprob};
  for (const TokenLogprob& top : row.subspan(1, std::max(num_top, 0))) {
    entry.top.push_back({top.id, top.logprob});
  }
  return entry;
}

template <class T>
std::span<const std::byte> bytes_of(const T* values, int64_t count) {
  return std::as_bytes(std::span(values, static_cast<size_t>(count)));
}

}  // namespace

Sampler::Sampler(Backend& backend, const ShardModel& model, Comm& comm, int64_t vocabulary_limit)
    : backend_(&backend), model_(&model), comm_(&comm), vocabulary_limit_(vocabulary_limit) {}

StatusOr<Sampler> Sampler::make(Backend& backend,
                                const ShardModel& model,
                                Comm& tensor_comm,
                                int32_t max_slots,
                                int64_t vocabulary_limit) {
  Sampler sampler(backend, model, tensor_comm, vocabulary_limit);
  RETURN_IF_ERROR(sampler.allocate(max_slots));
  return sampler;
}

Status Sampler::allocate(int32_t max_slots) {
  pass_rows_ = head_rows(max_slots);
  const int32_t max_rows = std::max(max_slots, pass_rows_);
  const auto take = [&](int64_t bytes, const char* what) -> StatusOr<std::byte*> {
    ASSIGN_OR_RETURN(Buffer buffer, backend_->allocate(bytes, what));
    std::byte* const data = buffer.data();
    memory_.push_back(std::move(buffer));
    return data;
  };
  const auto floats = [&](int64_t rows, int64_t columns) -> StatusOr<Tensor> {
    ASSIGN_OR_RETURN(std::byte* const data, take(rows * columns * 4, "logits"));
    return Tensor(data, DType::kFloat32, rows, columns);
  };
  const int64_t vocabulary = model_->config().vocabulary_size;
  const int tp = comm_->size();
  ASSIGN_OR_RETURN(logits_, floats(pass_rows_, model_->shard().vocabulary().size()));
  const int64_t dealt = comm_->has_whole_rows() ? dealt_rows(pass_rows_, tp) : kWholeRows;
  ASSIGN_OR_RETURN(whole_raw_, floats(dealt, vocabulary));
  ASSIGN_OR_RETURN(whole_adjusted_, floats(kWholeRows, vocabulary));
  ASSIGN_OR_RETURN(const Tensor pieces, floats(kWholeRows, vocabulary));
  pieces_ = pieces.data;

  constexpr int64_t kWidth = 1 + kMaxLogprobs;
  static_assert(kMaxLogprobs <= kMaxTopIds);
  const int64_t num_passes = (max_rows + kWholeRows - 1) / kWholeRows;
  logprobs_offset_ = int64_t{max_rows} * 4 + max_rows % 2 * 4;
  result_bytes_ =
      logprobs_offset_ + num_passes * (kWholeRows + tp) * kWidth * int64_t{sizeof(TokenLogprob)};
  const int64_t draw_bytes = sizeof(ShardDraw);
  ASSIGN_OR_RETURN(std::byte* const own, take(max_rows * draw_bytes, "draws"));
  ASSIGN_OR_RETURN(std::byte* const all, take(tp * max_rows * draw_bytes, "draws"));
  ASSIGN_OR_RETURN(std::byte* const none, take(kWholeRows * draw_bytes, "draws"));
  ASSIGN_OR_RETURN(std::byte* const logprobs,
                   take(kWholeRows * kWidth * int64_t{sizeof(TokenLogprob)}, "log-probabilities"));
  ASSIGN_OR_RETURN(std::byte* const asked, take(int64_t{2} * kWholeRows * 4, "asked rows"));
  ASSIGN_OR_RETURN(std::byte* const results, take(result_bytes_, "results"));
  own_ = reinterpret_cast<ShardDraw*>(own);
  all_ = reinterpret_cast<ShardDraw*>(all);
  none_ = reinterpret_cast<ShardDraw*>(none);
  own_logprobs_ = reinterpret_cast<TokenLogprob*>(logprobs);
  requested_ = reinterpret_cast<int32_t*>(asked);
  ids_ = reinterpret_cast<int32_t*>(results);
  Queue& queue = backend_->lane();
  const std::vector<ShardDraw> nothing(kWholeRows);
  backend_->upload(queue, none, std::as_bytes(std::span(nothing)));
  RETURN_IF_ERROR(backend_->wait(queue, 0));
  for (int rank = 0; rank < tp; ++rank) {
    columns_.push_back(model_->shard().vocabulary_of(rank).begin);
  }
  columns_.push_back(vocabulary);
  send_offsets_.resize(tp + 1);
  receive_offsets_.resize(tp + 1);
  return ok_status();
}

void Sampler::draw(Lane& lane,
                   Tensor residual,
                   const StepArrays& step,
                   int32_t num_by_shard,
                   std::span<const DrawnRow> whole,
                   Progress& progress) {
  draw_by_shard(lane, residual, step, num_by_shard, progress);
  int64_t offset = logprobs_offset_;
  for (int32_t begin = 0; begin < static_cast<int32_t>(whole.size()); begin += kWholeRows) {
    const Pass pass = pass_at(whole, begin, offset);
    draw_whole(lane, residual, step, num_by_shard + begin, pass, progress);
    offset += pass_bytes(pass);
  }
}

void Sampler::draw_by_shard(
    Lane& lane, Tensor residual, const StepArrays& step, int32_t count, Progress& progress) {
  if (count == 0) return;
  const int64_t first_id = model_->shard().vocabulary().begin;
  for (int32_t begin = 0; begin < count; begin += pass_rows_) {
    const IndexRange pass{begin, std::min(begin + pass_rows_, count)};
    const Tensor logits = adjusted_logits(lane, residual, step, pass, progress);
    const SamplingRow* const rows = step.sampling.data() + begin;
    backend_->draw_shard(*lane.queue, lane.workspace, logits, first_id, rows, own_ + begin);
    progress.bump();
  }
  elect(lane, count, ids_, progress);
}

// A rank alone has whole rows. Else each draws its shard of the rows that need no more, and its
// share of the rows that do: draws of the others are empty, so that the best over the ranks is the
// owner's.
void Sampler::draw_together(
    Lane& lane, Tensor residual, const StepArrays& step, int32_t count, Progress& progress) {
  if (count == 0) return;
  Queue& queue = *lane.queue;
  const int tp = comm_->size();
  const int64_t first_id = model_->shard().vocabulary().begin;
  for (int32_t begin = 0; begin < count; begin += pass_rows_) {
    const IndexRange pass{begin, std::min(begin + pass_rows_, count)};
    const auto n = static_cast<int32_t>(pass.size());
    const Tensor logits = adjusted_logits(lane, residual, step, pass, progress);
    const SamplingRow* const rows = step.sampling.data() + begin;
    ShardDraw* const draws = own_ + begin;
    if (tp == 1) {
      backend_->draw_whole(queue, lane.workspace, logits, WholeRows::kAll, rows, draws);
      continue;
    }
    backend_->draw_shard(queue, lane.workspace, logits, first_id, rows, draws);
    const int32_t first = first_held(n, Deal::kEvenly, comm_->rank());
    const Tensor whole = whole_raw_.first_rows(num_held(n, Deal::kEvenly, comm_->rank()));
    comm_->gather_rows(queue, logits, rows, first, whole, columns_);
    if (whole.rows > 0) {
      const auto which = WholeRows::kNeeded;
      backend_->draw_whole(queue, lane.workspace, whole, which, rows + first, draws + first);
    }
    progress.bump();
  }
  elect(lane, count, ids_, progress);
}

Tensor Sampler::adjusted_logits(
    Lane& lane, Tensor residual, const StepArrays& step, IndexRange rows, Progress& progress) {
  const Tensor logits = logits_.first_rows(rows.size());
  const int64_t first_id = model_->shard().vocabulary().begin;
  model_->head(lane, residual, step.sampled_rows.data() + rows.begin, logits, progress);
  backend_->adjust_logits(*lane.queue,
                          lane.workspace,
                          logits,
                          first_id,
                          vocabulary_limit_,
                          step.sampling.data() + rows.begin);
  return logits;
}

// ids[i] = the best of the ranks' draws own_[i].
void Sampler::elect(Lane& lane, int32_t count, int32_t* ids, Progress& progress) {
  const int tp = comm_->size();
  const ShardDraw* draws = own_;
  if (tp > 1) {
    const auto all = std::as_writable_bytes(std::span(all_, static_cast<size_t>(tp) * count));
    comm_->all_gather(*lane.queue, bytes_of(own_, count), all);
    draws = all_;
  }
  backend_->best_of_shards(*lane.queue, draws, tp, count, ids);
  progress.bump();
}

// The owner of a row draws it. Other ranks contribute an empty draw for it, so that the best over
// the ranks is the owner's.
void Sampler::draw_whole(Lane& lane,
                         Tensor residual,
                         const StepArrays& step,
                         int32_t first_row,
                         const Pass& pass,
                         Progress& progress) {
  Queue& queue = *lane.queue;
  const int tp = comm_->size();
  const int32_t n = pass.count;
  const Tensor raw = gather_whole(
      lane, residual, step.sampled_rows.data() + first_row, n, Deal::kEvenly, progress);
  const int32_t first = first_held(n, Deal::kEvenly, comm_->rank());
  if (tp > 1) {
    const Tensor none(none_, DType::kFloat32, n, 2);
    backend_->gather_rows(queue, none, nullptr, Tensor(own_, DType::kFloat32, n, 2));
  }
  if (raw.rows > 0) {
    const SamplingRow* const rows = step.sampling.data() + first_row + first;
    const Tensor adjusted = whole_adjusted_.first_rows(raw.rows);
    backend_->gather_rows(queue, raw, nullptr, adjusted);
    backend_->adjust_logits(queue, lane.workspace, adjusted, 0, vocabulary_limit_, rows);
    backend_->draw_whole(queue, lane.workspace, adjusted, WholeRows::kAll, rows, own_ + first);
  }
  progress.bump();
  elect(lane, n, ids_ + first_row, progress);
  if (pass.width > 0) write_logprobs(lane, pass, raw, ids_ + first_row + first);
}

// Gathers equal numbers of entries from every rank: the maximum that any rank holds.
void Sampler::write_logprobs(Lane& lane, const Pass& pass, Tensor raw, const int32_t* chosen) {
  auto* const out =
      reinterpret_cast<TokenLogprob*>(reinterpret_cast<std::byte*>(ids_) + pass.offset);
  const int tp = comm_->size();
  TokenLogprob* const own = tp == 1 ? out : own_logprobs_;
  if (raw.rows > 0) {
    backend_->logprobs(*lane.queue, lane.workspace, raw, chosen, pass.width - 1, own);
  }
  if (tp == 1) return;
  const int64_t held = int64_t{num_held(pass.count, Deal::kEvenly, 0)} * pass.width;
  const auto all = std::as_writable_bytes(std::span(out, static_cast<size_t>(tp * held)));
  comm_->all_gather(*lane.queue, bytes_of(own, held), all);
}

Sampler::Pass Sampler::pass_at(std::span<const DrawnRow> whole,
                               int32_t begin,
                               int64_t offset) const {
  Pass pass;
  pass.begin = begin;
  pass.count = std::min(kWholeRows, static_cast<int32_t>(whole.size()) - begin);
  pass.offset = offset;
  for (const DrawnRow& row : whole.subspan(begin, pass.count)) {
    pass.width = std::max(pass.width, 1 + row.num_top);
  }
  return pass;
}

int64_t Sampler::pass_bytes(const Pass& pass) const {
  const int64_t rows = int64_t{comm_->size()} * num_held(pass.count, Deal::kEvenly, 0);
  return rows * pass.width * static_cast<int64_t>(sizeof(TokenLogprob));
}

int64_t Sampler::result_bytes(std::span<const DrawnRow> whole) const {
  int64_t bytes = logprobs_offset_;
  for (int32_t begin = 0; begin < static_cast<int32_t>(whole.size()); begin += kWholeRows) {
    bytes += pass_bytes(pass_at(whole, begin, bytes));
  }
  return bytes;
}

void Sampler::read_logprobs(std::span<const std::byte> results,
                            std::span<const TokenId> ids,
                            std::span<const DrawnRow> whole,
                            std::vector<LogprobEntry>& logprobs) const {
  int64_t offset = logprobs_offset_;
  for (int32_t begin = 0; begin < static_cast<int32_t>(whole.size()); begin += kWholeRows) {
    const Pass pass = pass_at(whole, begin, offset);
    const int32_t held = num_held(pass.count, Deal::kEvenly, 0);
    const auto* const entries = reinterpret_cast<const TokenLogprob*>(results.data() + pass.offset);
    offset += pass_bytes(pass);
    for (int rank = 0; rank < comm_->size() && pass.width > 0; ++rank) {
      const int32_t first = first_held(pass.count, Deal::kEvenly, rank);
      for (int32_t i = 0; i < num_held(pass.count, Deal::kEvenly, rank); ++i) {
        const int32_t row = begin + first + i;
        if (whole[row].num_top < 0 || ids[row] < 0) continue;
        const std::span own(entries + (int64_t{rank} * held + i) * pass.width, pass.width);
        logprobs.push_back(
            make_entry(whole[row].slot, whole[row].position, own, whole[row].num_top));
      }
    }
  }
}

Status Sampler::score(Lane& lane,
                      Tensor residual,
                      std::span<const ScoreRow> rows,
                      TimeUs deadline_us,
                      std::vector<LogprobEntry>& scores,
                      Progress& progress) {
  std::vector<TokenLogprob> values;
  for (size_t begin = 0; begin < rows.size(); begin += kWholeRows) {
    const auto part = rows.subspan(begin, std::min<size_t>(kWholeRows, rows.size() - begin));
    std::vector<int32_t> asked;
    std::vector<int32_t> next_ids;
    int32_t num_top = 0;
    for (const ScoreRow& score : part) {
      asked.push_back(score.row);
      next_ids.push_back(score.request.next_id);
      num_top = std::max(num_top, score.request.num_top);
    }
    const auto count = static_cast<int32_t>(part.size());
    const Tensor raw =
        gather_whole(lane, residual, put(lane, asked, 0), count, Deal::kFirstRank, progress);
    if (raw.rows == 0) continue;
    const size_t width = 1 + num_top;
    values.resize(part.size() * width);
    const int32_t* const chosen = put(lane, next_ids, kWholeRows);
    backend_->logprobs(*lane.queue, lane.workspace, raw, chosen, num_top, own_logprobs_);
    backend_->download(*lane.queue,
                       std::as_writable_bytes(std::span(values)),
                       reinterpret_cast<const std::byte*>(own_logprobs_));
    RETURN_IF_ERROR(backend_->wait(*lane.queue, deadline_us));
    for (size_t i = 0; i < part.size(); ++i) {
      const ScoreRequest& request = part[i].request;
      scores.push_back(make_entry(request.slot,
                                  request.position + 1,
                                  std::span(values).subspan(i * width, width),
                                  request.num_top));
    }
  }
  return ok_status();
}

Status Sampler::probe(Lane& lane,
                      Tensor residual,
                      std::span<const int32_t> rows,
                      TimeUs deadline_us,
                      const std::function<void(size_t, std::span<const float>)>& take,
                      Progress& progress) {
  std::vector<float> values(rows.empty() ? 0 : whole_raw_.columns);
  for (size_t begin = 0; begin < rows.size(); begin += kWholeRows) {
    const auto part = rows.subspan(begin, std::min<size_t>(kWholeRows, rows.size() - begin));
    const auto count = static_cast<int32_t>(part.size());
    const Tensor raw =
        gather_whole(lane, residual, put(lane, part, 0), count, Deal::kFirstRank, progress);
    for (int32_t i = 0; i < raw.rows; ++i) {
      backend_->download(*lane.queue,
                         std::as_writable_bytes(std::span(values)),
                         reinterpret_cast<const std::byte*>(raw.row<float>(i)));
      RETURN_IF_ERROR(backend_->wait(*lane.queue, deadline_us));
      take(begin + i, values);
    }
  }
  return ok_status();
}

int32_t Sampler::num_held(int32_t num_rows, Deal deal, int rank) const {
  if (deal == Deal::kFirstRank) return rank == 0 ? num_rows : 0;
  const int tp = comm_->size();
  return (num_rows - rank + tp - 1) / tp;
}

int32_t Sampler::first_held(int32_t num_rows, Deal deal, int rank) const {
  int32_t first = 0;
  for (int before = 0; before < rank; ++before) first += num_held(num_rows, deal, before);
  return first;
}

Tensor Sampler::gather_whole(Lane& lane,
                             Tensor residual,
                             const int32_t* rows,
                             int32_t count,
                             Deal deal,
                             Progress& progress) {
  model_->head(lane, residual, rows, logits_.first_rows(count), progress);
  if (comm_->size() == 1) return logits_.first_rows(count);
  exchange_pieces(lane, count, deal);
  progress.bump();

  // Rank r's piece holds its columns of this rank's rows: copy them side by side.
  const int32_t mine = num_held(count, deal, comm_->rank());
  for (int rank = 0; rank < comm_->size() && mine > 0; ++rank) {
    const IndexRange ids = model_->shard().vocabulary_of(rank);
    const Tensor piece(pieces_ + receive_offsets_[rank], DType::kFloat32, mine, ids.size());
    Tensor columns = whole_raw_.first_rows(mine);
    columns.data += ids.begin * int64_t{4};
    columns.columns = ids.size();
    backend_->gather_rows(*lane.queue, piece, nullptr, columns);
  }
  return whole_raw_.first_rows(mine);
}

// Sends the rows of logits_, which are ordered by owner, to their owners.
void Sampler::exchange_pieces(Lane& lane, int32_t num_rows, Deal deal) {
  const int64_t local_bytes = logits_.columns * 4;
  const int32_t mine = num_held(num_rows, deal, comm_->rank());
  for (int rank = 0; rank < comm_->size(); ++rank) {
    send_offsets_[rank + 1] = send_offsets_[rank] + num_held(num_rows, deal, rank) * local_bytes;
    receive_offsets_[rank + 1] =
        receive_offsets_[rank] + mine * model_->shard().vocabulary_of(rank).size() * 4;
  }
  const std::span<const std::byte> sent(logits_.data, send_offsets_.back());
  const std::span<std::byte> received(pieces_, receive_offsets_.back());
  comm_->all_to_all(*lane.queue, sent, send_offsets_, received, receive_offsets_);
}

const int32_t* Sampler::put(Lane& lane, std::span<const int32_t> values, int32_t place) {
  CHECK(values.size() <= kWholeRows);
  backend_->upload(
      *lane.queue, reinterpret_cast<std::byte*>(requested_ + place), std::as_bytes(values));
  return requested_ + place;
}

}  // namespace trireme
