#include "tests/journal/journal_run.h"

#include <utility>

#include "coordinator/journal/worst_case.h"

namespace trireme::journal {

StatusOr<Replayed> replay_all(Disk& disk) {
  RecordCodec codec(0);
  return replay(disk, codec, {});
}

JournalRun::JournalRun(FakeDisk& disk, uint64_t seed, LogOptions options)
    : disk_(disk), options_(options), engine_(seed) {
  options_.journal = {0x1234, 0x5678};
}

bool JournalRun::start() {
  auto found = replay_all(disk_);
  if (!found.ok()) return false;
  found_ = *std::move(found);
  engine_.restore(found_.requests);
  records_.clear();
  num_durable_ = 0;
  const uint64_t epoch = found_.state.epoch() + 1;
  log_ = std::make_unique<JournalLog>(options_, RecordCodec(0), found_);
  log_->append_life(epoch);
  while (log_->state().epoch() != epoch) {
    if (!operate()) return false;
  }
  return true;
}

bool JournalRun::operate() {
  const std::optional<DiskOperation> operation = log_->next(now_us_);
  if (!operation) return false;
  log_->done(perform(disk_, *operation), now_us_);
  if (const auto sequence = log_->take_durable()) num_durable_ = *sequence;
  return true;
}

void JournalRun::append(Record record) {
  if (record.empty()) return;
  records_.push_back(record);
  log_->append(records_.size(), std::move(record));
}

void JournalRun::event() {
  if (number(engine_.random(), 3) != 0) return append(engine_.step());
  record::Accepted accepted = engine_.propose();
  const WorstCase bytes = worst_case_bytes(accepted.submit);
  if (log_->reserve(accepted.id, {bytes.all(), 0}) != JournalRoom::kReserved) return;
  append(engine_.accept(std::move(accepted)));
}

std::vector<RestoredRequest> JournalRun::requests_after(uint64_t count) const {
  RandomEngine engine(0);
  engine.restore(found_.requests);
  for (uint64_t i = 0; i < count; ++i) engine.reference().apply(records_[i]);
  return engine.reference().requests();
}

}  // namespace trireme::journal
