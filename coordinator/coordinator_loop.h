// The coordinator's event loop: takes frames from the transport, hands events to the Engine,
// carries out its effects. Owns only the order of these calls. One thread; the tokenizer pool, a
// journal's thread and signals end the transport's wait.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "coordinator/coordinator_log.h"
#include "coordinator/doors/clients/front_door.h"
#include "coordinator/doors/ranks/worker_set.h"
#include "coordinator/doors/transport.h"
#include "coordinator/engine/engine.h"
#include "coordinator/engine/journal.h"
#include "coordinator/event_lines.h"
#include "coordinator/step_trace.h"
#include "coordinator/tokenizer_pool.h"

namespace trireme {

// The parts that the loop connects. All outlive it; a pointer is null only where noted.
struct CoordinatorParts {
  Clock* clock = nullptr;
  Transport* transport = nullptr;
  Engine* engine = nullptr;
  FrontDoor* front_door = nullptr;
  WorkerSet* worker_set = nullptr;
  TokenizerPool* tokenizers = nullptr;  // null: the model has no tokenizer
  Journal* journal = nullptr;
  EventLines* lines = nullptr;
  CoordinatorLog* log = nullptr;
  StepTrace* trace = nullptr;  // null: no --trace
  // How long a drain waits for what runs before it leaves the rest to the journal; nothing: for
  // ever, because there is no journal.
  std::optional<TimeUs> drain_timeout_us;
  int signal_fd = -1;   // a signalfd of SIGINT and SIGTERM
  int control_fd = -1;  // lines "drain" and "stop"; end of file: the parent died, stop
};

class CoordinatorLoop final : private Transport::Handler {
 public:
  explicit CoordinatorLoop(const CoordinatorParts& parts);

  // Requests of an earlier coordinator; before run().
  void restore(std::vector<RestoredRequest> requests);

  // Runs until drained (returns 0) or stopped (130).
  int run();

 private:
  void on_client_frame(PeerId peer, std::string_view frame) override;
  void on_client_gone(PeerId peer) override;
  void on_worker_frame(PeerId peer, std::string_view frame) override;
  void on_worker_gone(PeerId peer) override;
  void on_readable(int fd) override;

  void one_turn();
  int64_t wait_us() const;
  void take_tokenized();
  // Hands events to the Engine and applies its effects until no event is left.
  void pump();
  void take_durable();
  void check_journal();
  void send_more();
  void collect();
  // One per kind of effect: a new kind does not compile without its own.
  void apply(effect::SendPlan& effect);
  void apply(effect::Append& effect);
  void apply(effect::Accept& effect);
  void apply(effect::Refuse& effect);
  void apply(effect::Tokens& effect);
  void apply(effect::Progress& effect);
  void apply(effect::PromptLogprobs& effect);
  void apply(effect::ProbeValues& effect);
  void apply(effect::Finish& effect);
  void answer_questions();
  door::JournalStatus journal_status() const;
  door::StatusReply status() const;
  void begin_drain();
  bool is_drained() const;

  const CoordinatorParts parts_;
  const TimeUs started_us_;
  TimeUs now_us_;
  TimeUs next_check_us_ = 0;
  TimeUs next_engine_tick_us_ = 0;
  DoorOutput door_output_;
  WorkerOutput worker_output_;
  std::deque<Event> events_;
  std::vector<Effect> effects_;
  std::string control_line_;
  bool has_more_ = false;   // to send: the next turn does not wait
  Status journal_failure_;  // the last one
  bool journal_failed_ = false;
  bool draining_ = false;
  TimeUs draining_since_us_ = 0;
  bool stopped_ = false;
};

}  // namespace trireme
