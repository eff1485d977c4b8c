#include "worker/step/pipeline_link.h"

#include <utility>

#include "base/step_memory.h"

namespace trireme {
namespace {

constexpr int kResidualTag = 0;  // + the buffer's index
constexpr int kTokenTag = 0;

}  // namespace

StatusOr<ResidualRing> ResidualRing::make(Backend& backend,
                                          Comm& pipeline,
                                          Queue& queue,
                                          int64_t max_batched_tokens,
                                          int64_t hidden_size) {
  ResidualRing ring(pipeline);
  const int depth = num_residual_buffers(pipeline.size());
  const DType dtype = backend.types().residual;
  for (int i = 0; i < depth; ++i) {
    const int64_t stride = aligned(hidden_size, backend.types().row_alignment);
    ASSIGN_OR_RETURN(Buffer buffer,
                     backend.allocate(max_batched_tokens * stride * size_of(dtype), "residuals"));
    Entry entry;
    entry.tensor = buffer.as(dtype, max_batched_tokens, hidden_size);
    entry.tensor.row_stride = stride;
    ring.memory_.push_back(std::move(buffer));
    ring.entries_.push_back(entry);
  }
  ring.restart(queue);
  return ring;
}

void ResidualRing::restart(Queue& queue) {
  current_ = 0;
  if (pipeline_->is_ordered()) return;
  for (size_t i = 0; i < entries_.size(); ++i) post_receive(queue, i, entries_[i].tensor.rows);
}

Tensor ResidualRing::begin_step(Queue& queue, int64_t num_tokens) {
  num_tokens_ = num_tokens;
  Entry& entry = entries_[current_];
  if (entry.sending >= 0) pipeline_->complete(std::exchange(entry.sending, -1));
  post_receive(queue, current_, pipeline_->is_ordered() ? num_tokens : entry.tensor.rows);
  if (entry.receiving >= 0) pipeline_->complete(std::exchange(entry.receiving, -1));
  return entry.tensor.first_rows(num_tokens);
}

void ResidualRing::end_step(Queue& queue) {
  Entry& entry = entries_[current_];
  if (has_next()) {
    const Tensor used = entry.tensor.first_rows(num_tokens_);
    entry.sending = pipeline_->send(queue,
                                    std::span<const std::byte>(used.data, used.span_bytes()),
                                    pipeline_->rank() + 1,
                                    kResidualTag + static_cast<int>(current_));
  }
  current_ = (current_ + 1) % entries_.size();
  if (pipeline_->is_ordered()) return;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].sending >= 0 && pipeline_->is_complete(entries_[i].sending)) {
      pipeline_->complete(std::exchange(entries_[i].sending, -1));
    }
    if (entries_[i].sending < 0) post_receive(queue, i, entries_[i].tensor.rows);
  }
}

void ResidualRing::flush() {
  for (Entry& entry : entries_) {
    if (entry.sending >= 0) pipeline_->complete(std::exchange(entry.sending, -1));
    if (entry.receiving >= 0) pipeline_->cancel(std::exchange(entry.receiving, -1));
  }
}

void ResidualRing::post_receive(Queue& queue, size_t index, int64_t num_tokens) {
  Entry& entry = entries_[index];
  if (!has_previous() || entry.receiving >= 0) return;
  const Tensor incoming = entry.tensor.first_rows(num_tokens);
  entry.receiving = pipeline_->receive(queue,
                                       std::span<std::byte>(incoming.data, incoming.span_bytes()),
                                       pipeline_->rank() - 1,
                                       kResidualTag + static_cast<int>(index));
}

StatusOr<TokenReturn> TokenReturn::make(Backend& backend, Comm& tokens, int32_t max_slots) {
  TokenReturn tokens_back(backend, tokens);
  if (tokens.size() == 1) return tokens_back;
  const int64_t num_entries = num_token_lists(tokens.size());
  const int64_t list = aligned(max_slots, kTokenListAlignment);
  ASSIGN_OR_RETURN(tokens_back.memory_,
                   backend.allocate(num_entries * 2 * list * 4, "drawn ids in flight"));
  auto* words = reinterpret_cast<int32_t*>(tokens_back.memory_.data());
  for (int64_t i = 0; i < num_entries; ++i, words += 2 * list) {
    tokens_back.entries_.push_back({.ids = words, .slots = words + list});
  }
  tokens_back.slots_.reserve(max_slots);
  return tokens_back;
}

void TokenReturn::send(Queue& queue, const int32_t* ids, int32_t count) {
  if (tokens_->size() == 1 || count == 0) return;
  Entry& entry = entries_[oldest_];
  oldest_ = (oldest_ + 1) % entries_.size();
  if (entry.ticket >= 0) tokens_->complete(entry.ticket);
  const Tensor drawn(const_cast<int32_t*>(ids), DType::kInt32, 1, count);
  backend_->gather_rows(queue, drawn, nullptr, Tensor(entry.ids, DType::kInt32, 1, count));
  const std::span<const int32_t> copied(entry.ids, count);
  entry.ticket = tokens_->send(queue, std::as_bytes(copied), 0, kTokenTag);
}

void TokenReturn::expect(Queue& queue,
                         int64_t step,
                         std::span<const DrawRow> draws,
                         const SlotIds& kept) {
  if (tokens_->size() == 1 || draws.empty()) return;
  if (count_ == entries_.size()) take_oldest(queue, kept);
  Entry& entry = entries_[(oldest_ + count_++) % entries_.size()];
  entry.step = step;
  entry.count = static_cast<int32_t>(draws.size());
  slots_.clear();
  for (const DrawRow& row : draws) slots_.push_back(row.slot);
  backend_->upload(
      queue, reinterpret_cast<std::byte*>(entry.slots), std::as_bytes(std::span(slots_)));
  if (!tokens_->is_ordered()) receive(queue, entry);
}

void TokenReturn::receive(Queue& queue, Entry& entry) {
  const std::span<int32_t> incoming(entry.ids, entry.count);
  entry.ticket =
      tokens_->receive(queue, std::as_writable_bytes(incoming), tokens_->size() - 1, kTokenTag);
}

void TokenReturn::take_through(Queue& queue, int64_t step, const SlotIds& kept) {
  while (count_ > 0 && entries_[oldest_].step <= step) take_oldest(queue, kept);
}

void TokenReturn::flush(Queue& queue, const SlotIds& kept) {
  while (count_ > 0) take_oldest(queue, kept);
  for (Entry& entry : entries_) {
    if (entry.ticket >= 0) tokens_->complete(std::exchange(entry.ticket, -1));
  }
}

void TokenReturn::take_oldest(Queue& queue, const SlotIds& kept) {
  Entry& entry = entries_[oldest_];
  if (tokens_->is_ordered()) receive(queue, entry);
  tokens_->complete(std::exchange(entry.ticket, -1));
  if (tokens_->status().ok()) {
    backend_->keep_ids(queue, entry.ids, entry.slots, nullptr, entry.count, kept);
  }
  oldest_ = (oldest_ + 1) % entries_.size();
  --count_;
}

}  // namespace trireme
