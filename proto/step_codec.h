// Frames of the worker door: encodes and decodes step_messages.h and model/step_plan.h.
// One codec belongs to one thread; it keeps its protobuf messages between calls so that a step of a
// known size allocates next to nothing. Decoding is safe on any bytes: it checks every count and
// range and returns TRI-NET-0xx, or fills the value. What a slot or page may be is the receiver's
// business; here they are not negative.
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

  // Replace the content of `frame`, whose capacity is kept.
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

  // Fill `message` in place: where it already holds the same alternative, its vectors are reused.
  // On an error its content is unspecified.
  Status decode(std::string_view frame, RankMessage& message);
  Status decode(std::string_view frame, CoordinatorMessage& message);

 private:
  struct Messages;
  std::unique_ptr<Messages> messages_;
};

}  // namespace trireme
