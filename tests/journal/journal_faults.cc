#include "tests/journal/journal_faults.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/text.h"
#include "tests/journal/journal_run.h"

namespace trireme::journal {
namespace {

enum class Fault { kKill, kPower, kTorn, kFlip, kFull, kFail };
constexpr const char* kNames[kNumFaults] = {"kill", "power", "torn", "flip", "full", "fail"};

class Case {
 public:
  explicit Case(uint64_t seed)
      : random_(seed),
        fault_(static_cast<Fault>(seed % kNumFaults)),
        run_(disk_, seed, options()) {}

  FaultCase execute();

 private:
  LogOptions options() {
    LogOptions options;
    options.segment_bytes = 16 << 10;
    options.journal_bytes = 512 << 10;
    // Without fsync a loss of power may take anything.
    options.fsync = fault_ == Fault::kPower || random_() % 4 == 0;
    return options;
  }

  bool run_some(int events);
  void begin_fault();
  void end_fault();
  void flip_used_bit();
  std::string check(const Replayed& found);
  std::string check_whole(const Replayed& found);
  std::string check_parts(const Replayed& found);
  std::string check_restart(const Replayed& found);

  Random random_;
  const Fault fault_;
  FakeDisk disk_;
  JournalRun run_;
  bool is_noticed_ = false;
};

// Events, with the operations of the disk in between, as many as it gets to. False: the disk died.
bool Case::run_some(int events) {
  for (int i = 0; i < events; ++i) {
    run_.event();
    const int32_t operations = number(random_, 6);
    for (int32_t k = 0; k < operations && run_.operate(); ++k) {
    }
    run_.advance_us(50'000);
    if (disk_.is_dead()) return false;
  }
  return true;
}

void Case::begin_fault() {
  if (fault_ == Fault::kTorn) {
    disk_.torn_write = disk_.num_writes() + static_cast<uint64_t>(number(random_, 30));
    disk_.torn_bytes = static_cast<uint64_t>(number(random_, 3000));
  } else if (fault_ == Fault::kFull) {
    uint64_t used = 0;
    const std::vector<DiskFile> files = *disk_.list();
    for (const DiskFile& file : files) used += file.bytes;
    disk_.capacity = used;
  } else if (fault_ == Fault::kFail) {
    disk_.fails_writes = true;
    run_some(10);
    disk_.fails_writes = number(random_, 3) == 0;
  }
}

// Any bit of the bytes that a segment uses.
void Case::flip_used_bit() {
  std::vector<DiskFile> files = *disk_.list();
  std::erase_if(files, [&](const DiskFile& file) {
    return disk_.content(file.name).find_last_not_of('\0') == std::string::npos;
  });
  const std::string name = files[random_() % files.size()].name;
  const uint64_t used = disk_.content(name).find_last_not_of('\0') + 1;
  // The zeros between the copies of a header mean nothing.
  const uint64_t bits = (used - kSegmentHeaderBytes) * 8;
  if (used <= kSegmentHeaderBytes || random_() % 10 == 0) {
    disk_.flip_bit(name, random_() % 512);
  } else {
    disk_.flip_bit(name, kSegmentHeaderBytes * 8 + random_() % bits);
  }
}

void Case::end_fault() {
  disk_.torn_write = UINT64_MAX;
  disk_.capacity = UINT64_MAX;
  disk_.fails_writes = false;
  if (fault_ == Fault::kPower) {
    disk_.lose_power(random_);
  } else {
    disk_.kill();
  }
  if (fault_ == Fault::kFlip) flip_used_bit();
}

// The state after some record that was appended, and none before the last durable one.
std::string Case::check_whole(const Replayed& found) {
  const std::string text = describe(found.requests);
  for (uint64_t count = run_.num_durable(); count <= run_.num_appended(); ++count) {
    if (describe(run_.requests_after(count)) == text) return "";
  }
  return format_text(
      "the state is of no record between {} and {}", run_.num_durable(), run_.num_appended());
}

// Damage: every request that is left is as it once was, and those that lost something are named.
std::string Case::check_parts(const Replayed& found) {
  std::map<RequestId, RestoredRequest> truth;
  const auto know = [&](const std::vector<RestoredRequest>& requests) {
    for (const RestoredRequest& request : requests) truth[request.accepted.id] = request;
  };
  for (uint64_t count = 0; count <= run_.num_appended(); ++count) know(run_.requests_after(count));
  std::map<RequestId, RestoredRequest> durable;
  for (const RestoredRequest& request : run_.requests_after(run_.num_durable())) {
    durable[request.accepted.id] = request;
  }
  for (const RestoredRequest& request : found.requests) {
    const RequestId& id = request.accepted.id;
    if (!truth.contains(id)) return "a request was never there: " + to_string(id);
    const RestoredRequest& whole = truth[id];
    const bool is_named =
        std::find(found.incomplete.begin(), found.incomplete.end(), id) != found.incomplete.end();
    for (size_t i = 0; i < request.choices.size(); ++i) {
      const std::vector<TokenId>& ids = request.choices[i].ids;
      const RestoredChoice& all = whole.choices[i];
      // An end may take back ids that were drawn behind it.
      const size_t common = std::min(ids.size(), all.ids.size());
      if (!std::equal(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(common), all.ids.begin()) ||
          (ids.size() > common && !all.ended)) {
        return "wrong tokens of " + to_string(id);
      }
      const bool is_short = durable.contains(id) && ids.size() < durable[id].choices[i].ids.size();
      if (is_short && !is_named && found.cut_bytes == 0) return "a loss is not named";
    }
  }
  return "";
}

std::string Case::check(const Replayed& found) {
  is_noticed_ = !found.damage.empty() || found.cut_bytes > 0;
  if (fault_ != Fault::kFlip) {
    if (!found.damage.empty()) return "false damage: " + message_of(found.damage[0]);
    return check_whole(found);
  }
  // A bit that nobody needs may go unnoticed, a loss may not.
  return is_noticed_ ? check_parts(found) : check_whole(found);
}

// Replay twice = once, and a life that begins changes nothing.
std::string Case::check_restart(const Replayed& found) {
  const std::string once = describe(found.requests);
  const auto twice = replay_all(disk_);
  if (!twice.ok() || describe(twice->requests) != once) return "the second replay differs";
  if (!run_.start()) return "no start behind the fault";
  const auto after = replay_all(disk_);
  if (!after.ok() || !after->damage.empty()) return "damage behind a start";
  if (describe(after->requests) != once) return "the replay behind a start differs";
  if (after->state.epoch() <= found.state.epoch()) return "the epoch was used before";
  run_some(20);
  run_.operate_all();
  const auto last = replay_all(disk_);
  if (!last.ok() || !last->damage.empty()) return "damage behind the fault";
  if (describe(last->requests) != describe(run_.engine().reference().requests())) {
    return "records behind the fault are lost";
  }
  return "";
}

FaultCase Case::execute() {
  FaultCase result;
  result.kind = kNames[static_cast<size_t>(fault_)];
  if (!run_.start()) return {result.kind, false, "no start"};
  const int before = number(random_, 60);
  run_some(before);
  begin_fault();
  run_some(10 + number(random_, 30));
  if (fault_ == Fault::kFlip) run_.operate_all();
  end_fault();
  const auto found = replay_all(disk_);
  if (!found.ok()) return {result.kind, false, message_of(found.status())};
  result.problem = check(*found);
  result.is_noticed = is_noticed_;
  if (result.problem.empty()) result.problem = check_restart(*found);
  return result;
}

}  // namespace

FaultCase run_fault_case(uint64_t seed) { return Case(seed).execute(); }

}  // namespace trireme::journal
