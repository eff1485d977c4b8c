// Shows a launch on the terminal: notes, warnings and a bar while weights are loaded. Main thread.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "clients/cli/terminal.h"
#include "launch/launch_listener.h"

namespace trireme {

class LaunchDisplay : public LaunchListener {
 public:
  explicit LaunchDisplay(Terminal& terminal) : terminal_(terminal) {}

  void note(const std::string& text) override { terminal_.note(text); }
  void warn(const std::string& text) override { terminal_.warn(text); }
  void progress(int64_t loaded_bytes, int64_t total_bytes) override;
  void progress_ended() override { bar_.reset(); }

 private:
  Terminal& terminal_;
  SteadyClock clock_;
  std::optional<ProgressBar> bar_;
};

}  // namespace trireme
