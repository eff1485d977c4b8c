// The worker door: lifetime of the groups. Ranks introduce themselves by their first message; a
// group starts when all its ranks have loaded and agree; its plans and results pass through; it
// ends as a whole when any rank is lost. Pure logic in the loop's thread: frames and times in;
// events, notices and frames out.
// Invariants: an epoch of a group is never reused; messages of another epoch are dropped; a rank
// without a living group is answered with Fence.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/standstill.h"
#include "coordinator/doors/group_health.h"
#include "coordinator/doors/notices.h"
#include "coordinator/doors/peer.h"
#include "coordinator/doors/seating.h"
#include "coordinator/engine/events.h"
#include "proto/client_messages.h"
#include "proto/step_codec.h"

namespace trireme {

struct WorkerSetOptions {
  uint64_t coordinator_epoch = 1;
  int32_t num_groups = 1;
  std::string fingerprint;           // of the served model; "": any is accepted
  TimeUs hang_us = 5'000'000;        // allowed without progress while plans are in flight
  TimeUs load_hang_us = 20'000'000;  // allowed without progress while loading
};

struct WorkerOutput {
  std::vector<Event> events;
  std::vector<Notice> notices;
};

class WorkerSet {
 public:
  // `sender` outlives the set.
  WorkerSet(const WorkerSetOptions& options, PeerSender* sender);

  void on_frame(PeerId peer, std::string_view frame, TimeUs now_us, WorkerOutput& output);
  void on_gone(PeerId peer, TimeUs now_us, WorkerOutput& output);
  void on_effect(const effect::SendPlan& effect, TimeUs now_us, WorkerOutput& output);

  // Looks for hangs (group_health.h). Called at least every check_interval_us.
  // A longer gap between two calls of this object means that this process stood still: no rank is
  // blamed for it, nor for a connection that is found to have ended within a second of waking. A
  // rank that is not heard between several standstills is blamed for the third and later ones.
  void tick(TimeUs now_us, WorkerOutput& output);
  static constexpr TimeUs check_interval_us() { return 250'000; }

  // Sends Fence to every rank before the coordinator exits. `drained`: no plan is in flight.
  void fence_all(const std::string& cause, bool drained);

  // When a rank of each group last told of progress, the kernels of a running step included.
  std::map<GroupId, TimeUs> progress_us() const;
  int32_t num_ready() const;
  int32_t max_model_len() const;  // the smallest of the ready groups
  // Groups, ranks and phases. The counts of pages and slots are the Engine's (Engine::status).
  std::vector<door::GroupStatus> status(TimeUs now_us) const;

 private:
  enum class State : uint8_t { kAbsent, kGathering, kStarting, kReady };
  struct Rank {
    PeerId peer = 0;
    Introduction who;
    std::optional<RankHello> hello;
    bool started = false;
    Phase phase = Phase::kStarting;
    uint64_t progress = 0;
    TimeUs progress_us = 0;  // last change of progress or phase
    TimeUs told_us = 0;      // of progress, by a Heartbeat; a pause of the coordinator counts
    TimeUs heard_us = 0;     // last message
    int standstills = 0;     // of this process since then
    int64_t load_bytes = 0;
    int64_t load_total_bytes = 0;
  };
  struct InFlight {
    int64_t step = 0;
    TimeUs sent_us = 0;
  };
  struct Group {
    GroupId id = 0;
    State state = State::kAbsent;
    uint64_t epoch = 0;
    int32_t tp = 0;
    int32_t pp = 0;
    TimeUs since_us = 0;  // start of this state
    std::map<int32_t, Rank> ranks;
    std::deque<InFlight> plans;
    GroupShape shape;
    int64_t steps = 0;
    std::string last_cause;
  };
  struct Seat {  // group and rank of a peer; group -1: it was fenced and will exit
    GroupId group = -1;
    int32_t rank = -1;
  };
  struct Turn {  // of the call being handled
    TimeUs now_us;
    WorkerOutput& output;
  };

  void handle(Turn& turn, PeerId peer, const RankHello& hello);
  void handle(Turn& turn, PeerId peer, const RankStarted& started);
  void handle(Turn& turn, PeerId peer, const Heartbeat& heartbeat);
  void handle(Turn& turn, PeerId peer, StepResult& result);
  void handle(Turn& turn, PeerId peer, Probe& probe);
  void handle(Turn& turn, PeerId peer, const Goodbye& goodbye);

  Rank* seat(Turn& turn, PeerId peer, const Introduction& who);
  Status may_sit(const Introduction& who) const;
  Group* group_of(PeerId peer);
  Rank* rank_of(PeerId peer);
  bool is_current(const Group& group, const Epochs& epochs) const;
  void start_if_complete(Turn& turn, Group& group);
  void lose(Turn& turn, Group& group, int32_t rank, const Status& cause, bool memory = false);
  void fence(PeerId peer, uint64_t epoch, const std::string& cause, bool drained = false);
  // First in every call: moves all recorded times by a gap in which this process stood still.
  void notice_standstill(TimeUs now_us);
  void forgive(TimeUs gap_us);
  static void hear(Rank& rank, TimeUs now_us);
  Status connection_ended(const Group& group, int32_t rank, TimeUs now_us) const;
  // The rank to blame for an end that is found now: none just after a standstill.
  int32_t to_blame(int32_t rank, TimeUs now_us) const;
  static GroupHealth health_of(const Group& group);

  const WorkerSetOptions options_;
  PeerSender* const sender_;
  StepCodec codec_;
  std::vector<Group> groups_;
  std::unordered_map<PeerId, Seat> seats_;
  Standstill standstill_;
  TimeUs stood_us_ = 0;  // length of the last standstill; 0: there was none
  TimeUs woke_us_ = 0;   // its end
  RankMessage message_;  // reused from frame to frame
  std::string frame_;
};

}  // namespace trireme
