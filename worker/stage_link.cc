#include "worker/stage_link.h"

#include <utility>

namespace trireme {
namespace {

constexpr int kResidualTag = 0;  // + the buffer's index
constexpr int kTokenTag = 0;

}  // namespace

StatusOr<ResidualRing> ResidualRing::make(
    Backend& backend, Comm& pipeline, Queue& queue, int64_t max_tokens, int64_t hidden_size) {
  ResidualRing ring(pipeline);
  const int depth = pipeline.size() == 1 ? 1 : pipeline.size() + 1;
  const DType dtype = backend.types().residual;
  for (int i = 0; i < depth; ++i) {
    const int64_t bytes = max_tokens * hidden_size * size_of(dtype);
    ASSIGN_OR_RETURN(Buffer buffer, backend.allocate(bytes, "residuals"));
    Entry entry;
    entry.tensor = buffer.as(dtype, max_tokens, hidden_size);
    ring.memory_.push_back(std::move(buffer));
    ring.entries_.push_back(entry);
  }
  for (size_t i = 0; i < ring.entries_.size(); ++i) ring.post_receive(queue, i);
  return ring;
}

Tensor ResidualRing::begin_step(Queue& queue, int64_t num_tokens) {
  num_tokens_ = num_tokens;
  Entry& entry = entries_[current_];
  if (entry.sending >= 0) pipeline_->complete(std::exchange(entry.sending, -1));
  post_receive(queue, current_);
  if (entry.receiving >= 0) pipeline_->complete(std::exchange(entry.receiving, -1));
  return entry.tensor.first_rows(num_tokens);
}

void ResidualRing::end_step(Queue& queue) {
  Entry& entry = entries_[current_];
  if (has_next()) {
    const Tensor used = entry.tensor.first_rows(num_tokens_);
    entry.sending = pipeline_->send(queue,
                                    std::span<const std::byte>(used.data, used.bytes()),
                                    pipeline_->rank() + 1,
                                    kResidualTag + static_cast<int>(current_));
  }
  current_ = (current_ + 1) % entries_.size();
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].sending >= 0 && pipeline_->is_complete(entries_[i].sending)) {
      pipeline_->complete(std::exchange(entries_[i].sending, -1));
    }
    if (entries_[i].sending < 0) post_receive(queue, i);
  }
}

void ResidualRing::flush() {
  for (Entry& entry : entries_) {
    if (entry.sending >= 0) pipeline_->complete(std::exchange(entry.sending, -1));
    if (entry.receiving >= 0) pipeline_->cancel(std::exchange(entry.receiving, -1));
  }
}

void ResidualRing::post_receive(Queue& queue, size_t index) {
  Entry& entry = entries_[index];
  if (!has_previous() || entry.receiving >= 0) return;
  entry.receiving =
      pipeline_->receive(queue,
                         std::span<std::byte>(entry.tensor.data, entry.tensor.bytes()),
                         pipeline_->rank() - 1,
                         kResidualTag + static_cast<int>(index));
}

TokenReturn::TokenReturn(Comm& tokens, int32_t max_slots)
    : tokens_(&tokens), entries_(tokens.size() + 2) {
  for (Entry& entry : entries_) {
    entry.ids.reserve(max_slots);
    entry.draws.reserve(max_slots);
  }
}

void TokenReturn::send(Queue& queue, std::span<const TokenId> ids) {
  if (tokens_->size() == 1 || ids.empty()) return;
  Entry& entry = entries_[oldest_];
  oldest_ = (oldest_ + 1) % entries_.size();
  if (entry.ticket >= 0) tokens_->complete(entry.ticket);
  entry.ids.assign(ids.begin(), ids.end());
  entry.ticket = tokens_->send(queue, std::as_bytes(std::span(entry.ids)), 0, kTokenTag);
}

void TokenReturn::expect(Queue& queue,
                         int64_t step,
                         std::span<const DrawRow> draws,
                         SlotTable& slots) {
  if (tokens_->size() == 1 || draws.empty()) return;
  if (count_ == entries_.size()) take_oldest(slots);
  Entry& entry = entries_[(oldest_ + count_++) % entries_.size()];
  entry.step = step;
  entry.draws.assign(draws.begin(), draws.end());
  entry.ids.resize(draws.size());
  entry.ticket = tokens_->receive(
      queue, std::as_writable_bytes(std::span(entry.ids)), tokens_->size() - 1, kTokenTag);
}

void TokenReturn::take_through(int64_t step, SlotTable& slots) {
  while (count_ > 0 && entries_[oldest_].step <= step) take_oldest(slots);
}

void TokenReturn::flush(SlotTable& slots) {
  while (count_ > 0) take_oldest(slots);
  for (Entry& entry : entries_) {
    if (entry.ticket >= 0) tokens_->complete(std::exchange(entry.ticket, -1));
  }
}

void TokenReturn::take_oldest(SlotTable& slots) {
  Entry& entry = entries_[oldest_];
  tokens_->complete(std::exchange(entry.ticket, -1));
  for (size_t i = 0; i < entry.draws.size() && tokens_->status().ok(); ++i) {
    slots.take_id(entry.draws[i].slot, entry.draws[i].generation, entry.ids[i]);
  }
  oldest_ = (oldest_ + 1) % entries_.size();
  --count_;
}

}  // namespace trireme
