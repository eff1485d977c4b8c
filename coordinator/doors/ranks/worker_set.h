// The worker door: lifetime of the groups. Ranks introduce themselves by their first message; a
// group starts when all its ranks have loaded and agree; its plans and results pass through; it
// ends as a whole when any rank is lost. Ranks that have outlived an earlier coordinator of the
// same journal go on (rejoin.h). Pure logic in the loop's thread: frames and times in; events,
// notices and frames out.
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
#include "coordinator/doors/peer.h"
#include "coordinator/doors/ranks/group_health.h"
#include "coordinator/doors/ranks/notices.h"
#include "coordinator/doors/ranks/seating.h"
#include "coordinator/engine/events.h"
#include "proto/client_messages.h"
#include "proto/step_codec.h"

namespace trireme {

struct WorkerSetOptions {
  uint64_t coordinator_epoch = 1;
  int32_t num_groups = 1;
  std::string journal_id;            // "": none, and ranks end with this coordinator
  std::string fingerprint;           // of the served model; "": any is accepted
  TimeUs hang_us = 5'000'000;        // allowed without progress while plans are in flight
  TimeUs load_hang_us = 20'000'000;  // allowed without progress while loading
  TimeUs rejoin_us = 5'000'000;      // for all ranks of an earlier coordinator to come back
  TimeUs catch_up_us = 60'000'000;   // and then to complete the same step
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
  void on_effect(effect::SendPlan& effect, TimeUs now_us, WorkerOutput& output);

  // Looks for hangs (group_health.h). Called at least every check_interval_us.
  // A longer gap between two calls of this object means that this process stood still: no rank is
  // blamed for it, nor for a connection that is found to have ended within a second of waking. A
  // rank that is not heard between several standstills is blamed for the third and later ones.
  void tick(TimeUs now_us, WorkerOutput& output);
  static constexpr TimeUs check_interval_us() { return 250'000; }

  // Sends Fence to every rank before the coordinator exits. `drained`: no plan is in flight.
  void fence_all(const std::string& cause, bool drained);

  // --- worker_set_status.cc
  // When a rank of each group last told of progress, the kernels of a running step included.
  std::map<GroupId, TimeUs> progress_us() const;
  int32_t num_ready() const;
  int32_t max_model_len() const;  // the smallest of the ready groups
  // Groups, ranks and phases. The counts of pages and slots are the Engine's (Engine::status).
  std::vector<door::GroupStatus> status(TimeUs now_us) const;

 private:
  // kRejoining: its ranks come from an earlier coordinator and are not all there, or not all at the
  // same step.
  enum class State : uint8_t { kAbsent, kGathering, kRejoining, kStarting, kReady };
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
    bool has_tokens = false;
    bool is_canary = false;
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
    int64_t retired = 0;       // all ranks have received the plans up to this step
    int32_t recalled_at = -1;  // while rejoining: the rank that was asked for its plans
    GroupShape shape;
    int64_t steps = 0;         // completed, of all epochs, without canaries
    int64_t steps_before = 0;  // of them, before this epoch
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

  // Returns the rank of this peer and seats a new one, which `rejoins` with its previous life or
  // has none. Null: the seat was refused, a Fence was sent.
  Rank* seat(Turn& turn, PeerId peer, const Introduction& who, bool rejoins);
  Status may_sit(const Introduction& who, bool rejoins) const;
  void refuse_seat(
      Turn& turn, PeerId peer, const Introduction& who, bool rejoins, const Status& cause);
  Group* group_of(PeerId peer);
  Rank* rank_of(PeerId peer);
  bool is_current(const Group& group, const Epochs& epochs) const;
  void start_if_complete(Turn& turn, Group& group);
  void start(Turn& turn, Group& group, const std::vector<const RankHello*>& hellos);

  // --- worker_set_rejoin.cc
  void handle(Turn& turn, PeerId peer, const KeptPlan& kept);
  void rejoin(Turn& turn, Group& group);
  void start_if_caught_up(Turn& turn, Group& group);
  std::optional<Hang> find_rejoining_hang(const Group& group, TimeUs now_us) const;

  // --- worker_set.cc
  void lose(Turn& turn,
            Group& group,
            int32_t rank,
            const Status& cause,
            const Goodbye* goodbye = nullptr);
  void fence(PeerId peer, uint64_t epoch, const std::string& cause, bool drained = false);
  // First in every call: moves all recorded times by a gap in which this process stood still.
  void notice_standstill(TimeUs now_us);
  void forgive(TimeUs gap_us);
  static void hear(Rank& rank, TimeUs now_us);
  Status connection_ended(const Group& group, int32_t rank, TimeUs now_us) const;
  // The rank to blame for an end that is found now: none just after a standstill.
  int32_t to_blame(int32_t rank, TimeUs now_us) const;
  static GroupHealth health_of(const Group& group);
  static std::vector<const RankHello*> hellos_of(const Group& group);

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
