// Replay of a full journal: 100,000 step records of 256 tokens, 4,096 live requests. Prints
// seconds; the journal lies in a temporary folder. First as it is after such a run, then all in one
// segment whose snapshot is empty, so that every record is read.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/check.h"
#include "base/clock.h"
#include "coordinator/journal/journal_log.h"
#include "coordinator/journal/posix_disk.h"

namespace trireme::journal {
namespace {

constexpr uint64_t kRequests = 4096;
constexpr uint64_t kSteps = 100'000;
constexpr uint64_t kTokensPerStep = 256;

record::Accepted request(uint64_t id) {
  record::Accepted accepted;
  accepted.id = {id, ~id};
  accepted.submit.prompt.assign(128, 1000);
  accepted.submit.params.max_tokens = 8192;
  return accepted;
}

void operate(JournalLog& log, Disk& disk) {
  while (const auto operation = log.next(0)) log.done(perform(disk, *operation), 0);
}

double run(int64_t journal_bytes, int64_t segment_bytes) {
  const std::string folder =
      std::filesystem::temp_directory_path().string() + "/trireme-journal-bench";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  auto disk = *PosixDisk::open(folder);
  LogOptions options;
  options.journal = {1, 2};
  options.journal_bytes = journal_bytes;
  options.segment_bytes = segment_bytes;
  Replayed nothing;
  JournalLog log(options, RecordCodec(0), nothing);
  uint64_t sequence = 0;
  SteadyClock clock;
  const TimeUs begin_us = clock.now_us();
  for (uint64_t i = 0; i < kRequests; ++i) log.append(++sequence, {request(i)});
  for (uint64_t step = 0; step < kSteps; ++step) {
    Record record;
    for (uint64_t i = 0; i < kTokensPerStep; ++i) {
      const uint64_t id = (step * kTokensPerStep + i) % kRequests;
      const auto token = static_cast<TokenId>((step * 7919 + i * 104'729) % 150'000);
      record.emplace_back(record::Tokens{{id, ~id}, 0, {token}, {}});
    }
    log.append(++sequence, std::move(record));
    operate(log, *disk);
  }
  CHECK(log.take_durable() == sequence);
  const TimeUs written_us = clock.now_us();

  RecordCodec codec(0);
  const auto found = replay(*disk, codec, {});
  const double seconds = static_cast<double>(clock.now_us() - written_us) * 1e-6;
  CHECK(found.ok() && found->damage.empty() && found->requests.size() == kRequests);
  uint64_t ids = 0;
  for (const RestoredRequest& restored : found->requests) ids += restored.choices[0].ids.size();
  CHECK(ids == kSteps * kTokensPerStep);
  printf(
      "segments of %lld MiB: %.2f s to write (%.1f us a step), %.1f MiB on the disk, replay %.2f "
      "s\n",
      static_cast<long long>(segment_bytes >> 20),
      static_cast<double>(written_us - begin_us) * 1e-6,
      static_cast<double>(written_us - begin_us) / kSteps,
      static_cast<double>(log.disk_bytes()) / (1 << 20),
      seconds);
  std::filesystem::remove_all(folder);
  return seconds;
}

}  // namespace
}  // namespace trireme::journal

int main() {
  trireme::journal::run(int64_t{1} << 30, 64 << 20);
  trireme::journal::run(int64_t{8} << 30, 512 << 20);
  return 0;
}
