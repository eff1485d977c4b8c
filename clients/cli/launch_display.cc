#include "clients/cli/launch_display.h"

namespace trireme {

void LaunchDisplay::progress(int64_t loaded_bytes, int64_t total_bytes) {
  if (!bar_) bar_.emplace(terminal_, clock_, "loading", ProgressBar::Unit::kBytes);
  bar_->update(loaded_bytes, total_bytes);
}

}  // namespace trireme
