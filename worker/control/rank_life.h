// A rank's side of the worker door: which life of its group it obeys, which plans it keeps for the
// coordinator's successor, and what it says on each connection. No socket, thread or clock: the
// control thread of CoordinatorLink carries frames to and from it, and so does the simulation.
//
// A life begins with Start and has its own epochs. When the coordinator ends, the rank finishes the
// plans that it has, discards their results, and offers its life to the successor (RankHello with
// previous_life). The successor lets ranks that lack plans have them from one that kept them, and
// begins the next life once all ranks have completed the same step.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "proto/step_codec.h"
#include "proto/step_messages.h"

namespace trireme {

class RankLife {
 public:
  // Plans kept at once. A coordinator has at most pp + 1 in flight; more are kept while it has not
  // told yet that all ranks have received them.
  static constexpr size_t kMaxKeptPlans = 256;

  // The request of a frame to the rank; at most one member is set.
  struct Order {
    std::optional<Start> start;    // reset, answer RankStarted
    StepPlan* plan = nullptr;      // execute it; may be swapped away, valid until the next frame
    const Fence* fence = nullptr;  // end, for its cause; valid until the next frame
  };

  // A frame from the coordinator. Messages of older epochs, but for a Fence, and repeated plans are
  // dropped. An error: the rank leaves its group.
  StatusOr<Order> on_frame(std::string_view frame);

  // The rank has loaded; announced on this connection and on later ones.
  void announce(const RankHello& hello) { hello_ = hello; }
  // The step loop is ready for step 1 of this life.
  void on_started(const Epochs& epochs) { has_started_ = has_started_ || epochs == epochs_; }

  // The connection has ended. False: the ranks end with their coordinator, because it keeps no
  // journal that a successor could read.
  bool on_lost();

  // The first message on a new connection; nothing before announce().
  // `step_completed`: of the step loop.
  std::optional<RankHello> opening(int64_t step_completed) const;
  // The next frame that the coordinator has asked for, into `frame`; false: none is left.
  bool next_kept_plan(std::string& frame);

  // The life that the rank obeys; zeros before the first.
  const Epochs& epochs() const { return epochs_; }
  bool has_lived() const { return epochs_ != Epochs{}; }
  // Whether results of this life go to the coordinator: it is the one that began it.
  bool reports(const Epochs& epochs) const { return is_attached_ && epochs == epochs_; }
  // The last step whose work is done, as the successor may count it. A rank that has not reset yet
  // has completed nothing of its new life.
  int64_t completed(int64_t step_completed) const { return has_started_ ? step_completed : 0; }
  // All plans that have come are done, and a coordinator that did not send them waits for that.
  bool has_caught_up(int64_t step_completed) const {
    return has_lived() && !is_attached_ && completed(step_completed) == received_;
  }

 private:
  struct Kept {
    int64_t step = 0;
    std::string frame;
  };

  void begin(const Start& start);
  void keep(const StepPlan& plan, std::string_view frame);

  StepCodec codec_;
  CoordinatorMessage message_;
  std::optional<RankHello> hello_;
  Epochs epochs_;
  std::string journal_id_;
  bool is_attached_ = true;  // this connection's coordinator began this life, or there is none yet
  bool has_started_ = false;
  int64_t received_ = 0;
  std::deque<Kept> kept_;
  std::deque<Kept> recalled_;  // to be sent
};

}  // namespace trireme
