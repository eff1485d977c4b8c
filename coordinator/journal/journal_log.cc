#include "coordinator/journal/journal_log.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "coordinator/journal/worst_case.h"

namespace trireme::journal {
namespace {

constexpr TimeUs kRetryUs = 250'000;
constexpr TimeUs kFailedUs = 60'000'000;
constexpr uint64_t kBatchBytes = 4 << 20;
constexpr uint64_t kMaxAge = 4;  // in segments, of a record that is still needed
constexpr int64_t kMinSegmentBytes = 16 << 10;

// Shares of segment_bytes.
constexpr int64_t kSlackShare =
    16;  // for records that nobody reserves: ends of kept answers, lives
constexpr int64_t kHeadroomShare = 4;  // reserved ahead of need, so that reserve() need not wait

// Of journal_bytes: of one request at most. Kept answers may take up to five of the eight segments
// of an idle journal.
constexpr int64_t kRequestShare = 4;

}  // namespace

JournalLog::JournalLog(const LogOptions& options, RecordCodec codec, Replayed& replayed)
    : options_(options),
      codec_(std::move(codec)),
      state_(std::move(replayed.state)),
      numbers_(state_),
      files_(std::move(replayed.segments)),
      too_long_(std::move(replayed.too_long)),
      next_segment_(replayed.next_segment),
      sequence_(replayed.sequence) {
  options_.segment_bytes =
      std::max(kMinSegmentBytes, std::min(options.segment_bytes, options.journal_bytes / 8));
  if (!(replayed.journal == JournalId())) options_.journal = replayed.journal;
  for (const RestoredRequest& request : replayed.requests) {
    const auto number = numbers_.find(request.accepted.id);
    if (number && !state_.find(*number)->state.answer_at) {
      const WorstCase bytes = worst_case_bytes(request.accepted.submit);
      // It was accepted, and the journal may have been larger then.
      options_.journal_bytes = std::max(options_.journal_bytes, kRequestShare * bytes.all());
      const bool has_run = !request.compatibility.empty();
      reservations_.add(request.accepted.id, bytes, has_run);
    }
  }
  for (const RequestNumber number : state_.in_order()) {
    const JournalState::Request& request = *state_.find(number);
    if (request.is_over() && !request.state.answer_at) file_answer(number);
  }
}

void JournalLog::push(std::optional<uint64_t> sequence, Entries entries, bool sync) {
  Pending& pending = pending_.emplace_back();
  pending.sequence = sequence;
  codec_.encode(entries, pending.body);
  CHECK(std::ssize(pending.body) <= kMaxBodyBytes);
  pending.entries = std::move(entries);
  pending.sync = sync;
  undurable_bytes_ += std::ssize(pending.body);
}

void JournalLog::append(uint64_t sequence, Record record) {
  push(sequence, numbers_.convert(std::move(record), options_.origin), false);
}

void JournalLog::append_life(uint64_t epoch) { push(std::nullopt, {Life{epoch}}, true); }

// One record with the whole answer: the segments with its steps may go.
void JournalLog::file_answer(RequestNumber number) {
  const RequestState& state = state_.find(number)->state;
  if (!numbers_.find(state.id)) return;  // about to be forgotten
  push(std::nullopt, {Answer{number, state.id, state.choices}}, false);
}

std::optional<uint64_t> JournalLog::take_durable() { return std::exchange(durable_, std::nullopt); }

int64_t JournalLog::disk_bytes() const {
  int64_t sum = 0;
  for (const auto& [number, bytes] : files_) sum += static_cast<int64_t>(bytes);
  return sum;
}

JournalFigures JournalLog::figures() const {
  JournalFigures figures;
  figures.is_on = true;
  figures.is_failing = is_failing();
  figures.bytes = disk_bytes();
  figures.max_bytes = options_.journal_bytes;
  figures.reserved_bytes = reservations_.bytes();
  figures.undurable_bytes = undurable_bytes_;
  figures.unfinished = reservations_.num_requests();
  // A request that was accepted just now may not be in the state yet.
  figures.kept = std::max<int64_t>(0, state_.num_requests() - figures.unfinished);
  return figures;
}

bool JournalLog::has_failed(TimeUs now) const {
  return failing_since_ && now - *failing_since_ >= kFailedUs;
}

std::vector<Status> JournalLog::take_failures() { return std::exchange(failures_, {}); }

// --- room

int64_t JournalLog::room() const {
  int64_t most = 0;
  if (current_ && !opening_) {
    most = static_cast<int64_t>(current_->bytes - current_->offset) - undurable_bytes_;
  }
  const std::optional<uint64_t> next = opening_ ? opening_->number() : spare_;
  if (next) {
    const auto bytes = static_cast<int64_t>(files_.at(*next) - kSegmentHeaderBytes);
    most = std::max(most, bytes - state_.snapshot_bytes() - undurable_bytes_);
  }
  return most - options_.segment_bytes / kSlackShare;
}

bool JournalLog::has_room(int64_t bytes) {
  if (is_failing()) return false;
  // Of the next segment counts what it has to hold, not how large an earlier burst has made it.
  int64_t needed = disk_bytes() + static_cast<int64_t>(needed_bytes()) + bytes;
  if (spare_) needed -= static_cast<int64_t>(files_.at(*spare_));
  if (needed > options_.journal_bytes || reservations_.bytes() + bytes > room()) {
    refused_bytes_ = std::max(refused_bytes_, bytes);
    return false;
  }
  if (bytes >= refused_bytes_) refused_bytes_ = 0;
  return true;
}

JournalRoom JournalLog::reserve(const RequestId& id, const WorstCase& bytes) {
  if (bytes.all() > std::min(options_.journal_bytes / kRequestShare, int64_t{kMaxBodyBytes})) {
    return JournalRoom::kNever;
  }
  if (numbers_.is_full() || !has_room(bytes.accepted)) return JournalRoom::kFull;
  reservations_.add(id, bytes, /*runs=*/false);
  return JournalRoom::kReserved;
}

bool JournalLog::reserve_run(const RequestId& id) {
  const int64_t lacks = reservations_.lacks(id);
  if (lacks == 0) return true;
  if (!has_room(lacks)) {
    awaits_room_ = true;
    return false;
  }
  reservations_.complete(id);
  return true;
}

void JournalLog::release(const RequestId& id) {
  if (reservations_.release(id)) note_room();
}

uint64_t JournalLog::needed_bytes() const {
  return kSegmentHeaderBytes +
         static_cast<uint64_t>(state_.snapshot_bytes() + reservations_.bytes() + undurable_bytes_ +
                               options_.segment_bytes / kSlackShare);
}

// Beyond the size of the journal only what was promised already.
uint64_t JournalLog::wanted_bytes() const {
  const auto unit = static_cast<uint64_t>(options_.segment_bytes / kHeadroomShare);
  uint64_t others = static_cast<uint64_t>(disk_bytes());
  if (spare_) others -= files_.at(*spare_);
  const auto limit = static_cast<uint64_t>(options_.journal_bytes);
  const uint64_t left = limit > others ? limit - others : 0;
  const uint64_t extra = std::max(unit, static_cast<uint64_t>(refused_bytes_));
  uint64_t wanted = std::max(static_cast<uint64_t>(options_.segment_bytes), needed_bytes() + extra);
  wanted = std::max(std::min(wanted, left), needed_bytes());
  return (wanted + unit - 1) / unit * unit;
}

// --- decisions

bool JournalLog::fits(uint64_t body_bytes) const {
  return current_ && current_->offset + record_bytes(body_bytes) <= current_->bytes;
}

bool JournalLog::needs_segment() const {
  return !current_ || (!pending_.empty() && !fits(pending_.front().body.size()));
}

// A segment that a burst has made long keeps room that requests are refused for, if the next one
// can be shorter.
bool JournalLog::wants_segment() const {
  const auto usual = static_cast<uint64_t>(options_.segment_bytes);
  const bool is_full = current_->offset - current_->begin >= usual;
  const bool is_too_long = refused_bytes_ > 0 && current_->bytes > wanted_bytes() + usual;
  return (is_full || is_too_long) && spare_ && files_.at(*spare_) >= needed_bytes();
}

std::optional<DiskOperation> JournalLog::next(TimeUs now) {
  if (task_ != Task::kNone) return std::nullopt;
  if (needs_sync_) return next_sync();
  if (auto operation = next_upkeep(now)) return operation;
  if (is_failing() && now < retry_at_) return std::nullopt;
  if (!opening_ && (needs_segment() || wants_segment())) {
    if (spare_) {
      begin_opening();
    } else {
      // The attempt to reserve one has failed and is repeated by next_upkeep().
      if (!failing_since_) failing_since_ = now;
      return std::nullopt;
    }
  }
  return opening_ ? next_of_opening(now) : next_write();
}

// Short work that no write waits for long.
std::optional<DiskOperation> JournalLog::next_upkeep(TimeUs now) {
  if (opening_) return std::nullopt;
  DiskOperation operation;
  if (!garbage_.empty()) {
    task_ = Task::kUnlink;
    task_segment_ = garbage_.back();
    garbage_.pop_back();
    operation.kind = DiskOperation::Kind::kUnlink;
    operation.segment = task_segment_;
    return operation;
  }
  if (current_ && !too_long_.empty()) {
    task_ = Task::kShorten;
    std::tie(task_segment_, task_bytes_) = too_long_.back();
    too_long_.pop_back();
    operation.kind = DiskOperation::Kind::kShorten;
    operation.segment = task_segment_;
    operation.bytes = task_bytes_;
    return operation;
  }
  const uint64_t wanted = wanted_bytes();
  if (now < reserve_at_ || (spare_ && files_.at(*spare_) >= wanted)) return std::nullopt;
  task_ = Task::kReserve;
  task_segment_ = spare_ ? *spare_ : next_segment_;
  task_bytes_ = wanted;
  operation.kind = DiskOperation::Kind::kReserve;
  operation.segment = task_segment_;
  operation.bytes = wanted;
  operation.sync_folder = options_.fsync || !current_;
  return operation;
}

void JournalLog::begin_opening() {
  const uint64_t number = *std::exchange(spare_, std::nullopt);
  // Older records that are still needed, as many as leave room for what must be there.
  int64_t left = static_cast<int64_t>(files_.at(number)) - static_cast<int64_t>(needed_bytes());
  std::vector<SegmentOpening::Copy> copies;
  const auto consider = [&](RequestNumber request, bool is_answer, const Place& place) {
    if (place.segment + kMaxAge >= number || static_cast<int64_t>(place.bytes) > left) return;
    left -= static_cast<int64_t>(place.bytes);
    copies.push_back({request, is_answer, place});
  };
  for (const RequestNumber request : state_.in_order()) {
    const RequestState& state = state_.find(request)->state;
    consider(request, false, state.accepted_at);
    if (state.answer_at) consider(request, true, *state.answer_at);
  }
  const SegmentHeader header{options_.journal, number, sequence_};
  opening_.emplace(header, state_, codec_, std::move(copies), options_.fsync);
}

std::optional<DiskOperation> JournalLog::next_of_opening(TimeUs now) {
  std::optional<DiskOperation> operation = opening_->next();
  if (operation) {
    task_ = Task::kOpen;
    return operation;
  }
  end_opening();
  if (auto operation = next_write()) return operation;
  return next_upkeep(now);  // of the segment that was left
}

void JournalLog::end_opening() {
  opening_->move_copies(state_);
  const uint64_t number = opening_->number();
  const uint64_t offset = opening_->offset();
  const uint32_t seed = record_seed({options_.journal, number, 0});
  if (current_) too_long_.emplace_back(current_->number, current_->offset);
  current_ = {number, seed, offset, offset, files_.at(number)};
  opening_.reset();
  if (pending_.empty()) failing_since_.reset();
  collect_garbage();
}

// All that is pending, up to a few megabytes, in one write.
std::optional<DiskOperation> JournalLog::next_write() {
  batch_.clear();
  places_.clear();
  uint64_t sequence = sequence_;
  for (const Pending& pending : pending_) {
    const uint64_t begin = current_->offset + batch_.size();
    const uint64_t bytes = record_bytes(pending.body.size());
    if (begin + bytes > current_->bytes) break;
    if (!places_.empty() && batch_.size() + bytes > kBatchBytes) break;
    append_record(
        current_->seed, {RecordType::kEvent, ++sequence, sequence_}, pending.body, batch_);
    places_.push_back({current_->number, begin, bytes});
    needs_sync_ |= pending.sync || options_.fsync;
  }
  if (places_.empty()) return std::nullopt;
  task_ = Task::kWrite;
  DiskOperation operation;
  operation.kind = DiskOperation::Kind::kWrite;
  operation.segment = current_->number;
  operation.offset = current_->offset;
  operation.data = batch_;
  return operation;
}

std::optional<DiskOperation> JournalLog::next_sync() {
  task_ = Task::kSync;
  DiskOperation operation;
  operation.kind = DiskOperation::Kind::kSync;
  operation.segment = current_->number;
  return operation;
}

std::optional<TimeUs> JournalLog::retry_at() const {
  if (!spare_ && !opening_ && reserve_at_ != 0) return reserve_at_;
  return is_failing() ? std::optional(retry_at_) : std::nullopt;
}

// --- results

void JournalLog::done(const DiskResult& result, TimeUs now) {
  const Task task = std::exchange(task_, Task::kNone);
  CHECK(task != Task::kNone);
  switch (task) {
    case Task::kNone:
      return;
    case Task::kReserve:
      return finish_reserve(result.status, now);
    case Task::kShorten:
      if (result.status.ok()) {
        files_.at(task_segment_) = task_bytes_;
        note_room();
      } else {
        failures_.push_back(result.status);
      }
      return;
    case Task::kUnlink:
      if (result.status.ok()) {
        files_.erase(task_segment_);
        note_room();
      } else {
        failures_.push_back(result.status);  // tried again when the next segment begins
      }
      return;
    case Task::kOpen:
      return finish_opening_step(result, now);
    case Task::kWrite:
    case Task::kSync:
      if (!result.status.ok()) return fail(result.status, now);
      if (task == Task::kSync) needs_sync_ = false;
      if (!needs_sync_) commit();
      return;
  }
}

void JournalLog::finish_reserve(const Status& status, TimeUs now) {
  if (!status.ok()) {
    reserve_at_ = now + kRetryUs;
    failures_.push_back(status);
    return;
  }
  reserve_at_ = 0;
  if (!spare_) ++next_segment_;
  spare_ = task_segment_;
  files_[task_segment_] = task_bytes_;
  note_room();
}

void JournalLog::finish_opening_step(const DiskResult& result, TimeUs now) {
  const Status status = opening_->done(result);
  if (status.ok()) return;
  garbage_.push_back(opening_->number());
  opening_.reset();
  current_.reset();
  fail(status, now);
}

// Nothing of the write counts: its records follow in a fresh segment.
void JournalLog::fail(const Status& status, TimeUs now) {
  failures_.push_back(status);
  current_.reset();
  needs_sync_ = false;
  retry_at_ = failing_since_ ? now + kRetryUs : now;
  if (!failing_since_) failing_since_ = now;
}

void JournalLog::commit() {
  failing_since_.reset();
  current_->offset += batch_.size();
  for (const Place& place : places_) {
    const Pending pending = std::move(pending_.front());
    pending_.pop_front();
    ++sequence_;
    if (pending.sequence) durable_ = pending.sequence;
    undurable_bytes_ -= std::ssize(pending.body);
    for (const Entry& entry : pending.entries) commit_entry(entry, place);
  }
  places_.clear();
}

void JournalLog::commit_entry(const Entry& entry, const Place& place) {
  if (const auto* forgotten = std::get_if<Forgotten>(&entry)) {
    release(state_.find(forgotten->number)->state.id);
  }
  if (const auto* answer = std::get_if<Answer>(&entry)) release(answer->id);
  const Status status = state_.apply(entry, place);
  CHECK_THAT(status.ok(), message_of(status).c_str());
  if (const auto* ended = std::get_if<Ended>(&entry)) {
    if (state_.find(ended->number)->is_over()) file_answer(ended->number);
  }
}

// Unlinks segments to which nothing refers.
void JournalLog::collect_garbage() {
  std::set<uint64_t> used{current_->number};
  if (spare_) used.insert(*spare_);
  for (RequestNumber number = 0; number < state_.end(); ++number) {
    const JournalState::Request* request = state_.find(number);
    if (request == nullptr) continue;
    used.insert(request->state.accepted_at.segment);
    if (request->state.answer_at) used.insert(request->state.answer_at->segment);
  }
  garbage_.clear();
  for (const auto& [number, bytes] : files_) {
    if (!used.contains(number)) garbage_.push_back(number);
  }
  std::erase_if(too_long_, [&](const auto& segment) { return !used.contains(segment.first); });
}

}  // namespace trireme::journal
