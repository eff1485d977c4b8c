// Codec of the worker door: converts step_messages.h and model/step_plan.h to frames and back.
// One codec belongs to one thread; it reuses its protobuf messages, so that a step of a known size
// hardly allocates. Decoding is safe for any bytes: it checks every count and range, and fills the
// value or returns TRI-NET-0xx. Slots and pages are only checked to be >= 0; the receiver checks
// them against its limits.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "proto/step_messages.h"

namespace trireme {

class StepCodec {
 public:
  StepCodec();
  ~StepCodec();

  // Replace the content of `frame` and keep its capacity.
  void encode(const StepPlan& plan, std::string& frame);
  void encode(const StepResult& result, std::string& frame);
  void encode(const Probe& probe, std::string& frame);
  void encode(const RankHello& hello, std::string& frame);
  void encode(const Start& start, std::string& frame);
  void encode(const RankStarted& started, std::string& frame);
  void encode(const Heartbeat& heartbeat, std::string& frame);
  void encode(const Goodbye& goodbye, std::string& frame);
  void encode(const Fence& fence, std::string& frame);
  void encode(const StepLate& late, std::string& frame);
  void encode(const RecallPlans& recall, std::string& frame);
  void encode(const KeptPlan& kept, std::string& frame);

  // Fill `message` in place: if it already holds the same alternative, its vectors are reused.
  // After an error its content is unspecified.
  Status decode(std::string_view frame, RankMessage& message);
  Status decode(std::string_view frame, CoordinatorMessage& message);

 private:
  struct Messages;
  std::unique_ptr<Messages> messages_;
};

}  // namespace trireme
