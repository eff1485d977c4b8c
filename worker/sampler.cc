#include "worker/sampler.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace trireme {
namespace {

bool better(const ShardDraw& a, const ShardDraw& b) {
  if (a.id < 0 || b.id < 0) return a.id >= 0;
  return a.value > b.value || (a.value == b.value && a.id < b.id);
}

// One row's entries (its own token's, then the top ones) as an answer carries them.
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

int32_t top_count(const SlotTable& slots, SlotId slot) {
  return slots[slot].failed ? -1 : slots[slot].sampling.num_logprobs;
}

}  // namespace

Sampler::Sampler(Backend& backend, const ShardModel& model, Comm& comm, int64_t drawable)
    : backend_(&backend), model_(&model), comm_(&comm), drawable_(drawable) {}

StatusOr<Sampler> Sampler::make(Backend& backend,
                                const ShardModel& model,
                                Comm& tensor_comm,
                                int32_t max_slots,
                                int64_t drawable) {
  Sampler sampler(backend, model, tensor_comm, drawable);
  const int64_t vocabulary = model.config().vocabulary_size;
  const int64_t local = model.shard().vocabulary().size();
  const auto floats = [&](int64_t rows, int64_t columns) -> StatusOr<Tensor> {
    ASSIGN_OR_RETURN(Buffer buffer, backend.allocate(rows * columns * 4, "logits"));
    const Tensor view = buffer.as(DType::kFloat32, rows, columns);
    sampler.memory_.push_back(std::move(buffer));
    return view;
  };
  ASSIGN_OR_RETURN(sampler.logits_, floats(kHeadRows, local));
  ASSIGN_OR_RETURN(sampler.whole_raw_, floats(kWholeRows, vocabulary));
  ASSIGN_OR_RETURN(sampler.whole_adjusted_, floats(kWholeRows, vocabulary));
  ASSIGN_OR_RETURN(const Tensor pieces, floats(kWholeRows, vocabulary));
  sampler.pieces_ = pieces.data;

  const int tp = tensor_comm.size();
  const size_t rows = std::max<int32_t>({max_slots, kHeadRows, kWholeRows});
  for (auto* list :
       {&sampler.ids_, &sampler.by_shard_, &sampler.by_row_, &sampler.rows_, &sampler.ordered_}) {
    list->reserve(rows);
  }
  sampler.identity_.resize(kWholeRows);
  std::iota(sampler.identity_.begin(), sampler.identity_.end(), 0);
  sampler.sampling_.reserve(rows);
  sampler.own_.reserve(rows);
  sampler.all_.reserve(rows * tp);
  sampler.own_logprobs_.reserve(kWholeRows * (1 + kMaxLogprobs));
  sampler.all_logprobs_.reserve(kWholeRows * (1 + kMaxLogprobs) * tp);
  sampler.send_offsets_.resize(tp + 1);
  sampler.receive_offsets_.resize(tp + 1);
  return sampler;
}

void Sampler::draw(Lane& lane,
                   Tensor residual,
                   std::span<const DrawRow> draws,
                   const SlotTable& slots,
                   std::vector<LogprobEntry>& logprobs,
                   Progress& progress) {
  ids_.assign(draws.size(), -1);
  by_shard_.clear();
  by_row_.clear();
  for (size_t i = 0; i < draws.size(); ++i) {
    const SlotId slot = draws[i].slot;
    const bool whole = slots.sampling_row(slot).needs_whole_row() || top_count(slots, slot) >= 0;
    (whole ? by_row_ : by_shard_).push_back(static_cast<int32_t>(i));
  }
  draw_by_shard(lane, residual, draws, slots, progress);
  for (size_t i = 0; i < by_row_.size(); i += kWholeRows) {
    const auto chosen = std::span(by_row_).subspan(i);
    draw_whole(lane,
               residual,
               draws,
               chosen.first(std::min<size_t>(chosen.size(), kWholeRows)),
               slots,
               logprobs,
               progress);
  }
}

void Sampler::draw_by_shard(Lane& lane,
                            Tensor residual,
                            std::span<const DrawRow> draws,
                            const SlotTable& slots,
                            Progress& progress) {
  const int64_t first_id = model_->shard().vocabulary().begin;
  const size_t count = by_shard_.size();
  if (count == 0) return;
  own_.assign(count, {});
  for (size_t begin = 0; begin < count; begin += kHeadRows) {
    const size_t n = std::min<size_t>(kHeadRows, count - begin);
    rows_.clear();
    sampling_.clear();
    for (size_t i = begin; i < begin + n; ++i) {
      rows_.push_back(draws[by_shard_[i]].row);
      sampling_.push_back(slots.sampling_row(draws[by_shard_[i]].slot));
    }
    const Tensor logits = logits_.first_rows(static_cast<int64_t>(n));
    model_->head(lane, residual, rows_, logits, progress);
    backend_->adjust_logits(*lane.queue, lane.workspace, logits, first_id, drawable_, sampling_);
    backend_->draw_shard(
        *lane.queue, logits, first_id, sampling_, std::span(own_).subspan(begin, n));
    progress.bump();
  }
  all_.resize(count * comm_->size());
  comm_->all_gather(
      *lane.queue, std::as_bytes(std::span(own_)), std::as_writable_bytes(std::span(all_)));
  progress.bump();
  for (size_t i = 0; i < count; ++i) {
    ShardDraw best;
    for (int rank = 0; rank < comm_->size(); ++rank) {
      const ShardDraw& other = all_[rank * count + i];
      if (better(other, best)) best = other;
    }
    ids_[by_shard_[i]] = best.id;
  }
}

void Sampler::draw_whole(Lane& lane,
                         Tensor residual,
                         std::span<const DrawRow> draws,
                         std::span<const int32_t> chosen,
                         const SlotTable& slots,
                         std::vector<LogprobEntry>& logprobs,
                         Progress& progress) {
  const auto n = static_cast<int32_t>(chosen.size());
  const int tp = comm_->size();
  const int self = comm_->rank();
  rows_.clear();
  for (const int32_t i : chosen) rows_.push_back(draws[i].row);
  const int32_t mine = gather_whole(lane, residual, rows_, Deal::kRoundRobin, progress);

  // Every rank sends as many entries as the fullest one holds.
  const int32_t held = num_mine(n, Deal::kRoundRobin, 0);
  own_.assign(held, {});
  sampling_.clear();
  for (int32_t j = self; j < n; j += tp) {
    sampling_.push_back(slots.sampling_row(draws[chosen[j]].slot));
  }
  if (mine > 0) {
    const Tensor raw = whole_raw_.first_rows(mine);
    const Tensor adjusted = whole_adjusted_.first_rows(mine);
    backend_->gather_rows(*lane.queue, raw, std::span(identity_).first(mine), adjusted);
    backend_->adjust_logits(*lane.queue, lane.workspace, adjusted, 0, drawable_, sampling_);
    backend_->draw_whole(
        *lane.queue, lane.workspace, adjusted, sampling_, std::span(own_).first(mine));
  }
  progress.bump();
  all_.resize(static_cast<size_t>(held) * tp);
  comm_->all_gather(
      *lane.queue, std::as_bytes(std::span(own_)), std::as_writable_bytes(std::span(all_)));
  for (int32_t j = 0; j < n; ++j) ids_[chosen[j]] = all_[(j % tp) * held + j / tp].id;

  int32_t num_top = -1;
  for (const int32_t i : chosen) num_top = std::max(num_top, top_count(slots, draws[i].slot));
  if (num_top < 0) return;
  const int32_t width = 1 + num_top;
  own_logprobs_.assign(static_cast<size_t>(held) * width, {});
  if (mine > 0) {
    ordered_.clear();
    for (const ShardDraw& draw : std::span(own_).first(mine)) {
      ordered_.push_back(std::max(draw.id, 0));
    }
    backend_->logprobs(*lane.queue,
                       lane.workspace,
                       whole_raw_.first_rows(mine),
                       ordered_,
                       num_top,
                       std::span(own_logprobs_).first(static_cast<size_t>(mine) * width));
  }
  all_logprobs_.resize(own_logprobs_.size() * tp);
  comm_->all_gather(*lane.queue,
                    std::as_bytes(std::span(own_logprobs_)),
                    std::as_writable_bytes(std::span(all_logprobs_)));
  progress.bump();
  for (int32_t j = 0; j < n && self == 0; ++j) {
    const SlotId slot = draws[chosen[j]].slot;
    if (top_count(slots, slot) < 0 || ids_[chosen[j]] < 0) continue;
    const size_t at = static_cast<size_t>((j % tp) * held + j / tp) * width;
    logprobs.push_back(make_entry(slot,
                                  slots[slot].computed,
                                  std::span(all_logprobs_).subspan(at, width),
                                  top_count(slots, slot)));
  }
}

void Sampler::score(Lane& lane,
                    Tensor residual,
                    std::span<const ScoreRow> rows,
                    std::vector<LogprobEntry>& scores,
                    Progress& progress) {
  for (size_t begin = 0; begin < rows.size(); begin += kWholeRows) {
    const auto part = rows.subspan(begin, std::min<size_t>(kWholeRows, rows.size() - begin));
    rows_.clear();
    int32_t num_top = 0;
    for (const ScoreRow& score : part) {
      rows_.push_back(score.row);
      num_top = std::max(num_top, score.request.num_top);
    }
    const int32_t mine = gather_whole(lane, residual, rows_, Deal::kFirstRank, progress);
    if (mine == 0) continue;
    ordered_.clear();
    for (const ScoreRow& score : part) ordered_.push_back(score.request.next_id);
    const size_t width = 1 + num_top;
    own_logprobs_.assign(part.size() * width, {});
    backend_->logprobs(
        *lane.queue, lane.workspace, whole_raw_.first_rows(mine), ordered_, num_top, own_logprobs_);
    for (size_t i = 0; i < part.size(); ++i) {
      const ScoreRequest& request = part[i].request;
      scores.push_back(make_entry(request.slot,
                                  request.position + 1,
                                  std::span(own_logprobs_).subspan(i * width, width),
                                  request.num_top));
    }
  }
}

void Sampler::probe(Lane& lane,
                    Tensor residual,
                    std::span<const int32_t> rows,
                    const std::function<void(size_t, std::span<const float>)>& take,
                    Progress& progress) {
  std::vector<float> values(rows.empty() ? 0 : whole_raw_.columns);
  for (size_t begin = 0; begin < rows.size(); begin += kWholeRows) {
    const auto part = rows.subspan(begin, std::min<size_t>(kWholeRows, rows.size() - begin));
    const int32_t mine = gather_whole(lane, residual, part, Deal::kFirstRank, progress);
    for (int32_t i = 0; i < mine; ++i) {
      backend_->download(*lane.queue,
                         std::as_writable_bytes(std::span(values)),
                         reinterpret_cast<const std::byte*>(whole_raw_.row<float>(i)));
      take(begin + i, values);
    }
  }
}

int32_t Sampler::num_mine(int32_t num_rows, Deal deal, int rank) const {
  if (deal == Deal::kFirstRank) return rank == 0 ? num_rows : 0;
  const int tp = comm_->size();
  return (num_rows - rank + tp - 1) / tp;
}

int32_t Sampler::gather_whole(
    Lane& lane, Tensor residual, std::span<const int32_t> rows, Deal deal, Progress& progress) {
  const auto n = static_cast<int32_t>(rows.size());
  const int tp = deal == Deal::kFirstRank ? 1 : comm_->size();
  ordered_.clear();
  for (int owner = 0; owner < tp; ++owner) {
    for (int32_t j = owner; j < n; j += tp) ordered_.push_back(rows[j]);
  }
  model_->head(lane, residual, ordered_, logits_.first_rows(n), progress);
  exchange_pieces(lane, n, deal);
  progress.bump();

  // Rank r's piece holds its columns of my rows: they go side by side.
  const int32_t mine = num_mine(n, deal, comm_->rank());
  for (int rank = 0; rank < comm_->size() && mine > 0; ++rank) {
    const IndexRange ids = model_->shard().vocabulary_of(rank);
    const Tensor piece(pieces_ + receive_offsets_[rank], DType::kFloat32, mine, ids.size());
    Tensor columns = whole_raw_.first_rows(mine);
    columns.data += ids.begin * int64_t{4};
    columns.columns = ids.size();
    backend_->gather_rows(*lane.queue, piece, std::span(identity_).first(mine), columns);
  }
  return mine;
}

// Sends the rows of logits_, which stand by owner, to their owners.
void Sampler::exchange_pieces(Lane& lane, int32_t num_rows, Deal deal) {
  const int64_t local_bytes = logits_.columns * 4;
  const int32_t mine = num_mine(num_rows, deal, comm_->rank());
  for (int rank = 0; rank < comm_->size(); ++rank) {
    send_offsets_[rank + 1] = send_offsets_[rank] + num_mine(num_rows, deal, rank) * local_bytes;
    receive_offsets_[rank + 1] =
        receive_offsets_[rank] + mine * model_->shard().vocabulary_of(rank).size() * 4;
  }
  const std::span<const std::byte> sent(logits_.data, send_offsets_.back());
  const std::span<std::byte> received(pieces_, receive_offsets_.back());
  comm_->all_to_all(*lane.queue, sent, send_offsets_, received, receive_offsets_);
}

}  // namespace trireme
