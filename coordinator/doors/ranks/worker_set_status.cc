#include <algorithm>
#include <limits>

#include "coordinator/doors/ranks/worker_set.h"

namespace trireme {

std::map<GroupId, TimeUs> WorkerSet::progress_us() const {
  std::map<GroupId, TimeUs> times;
  for (const Group& group : groups_) {
    TimeUs& latest_us = times[group.id];
    for (const auto& [index, rank] : group.ranks) {
      latest_us = std::max(latest_us, rank.told_us);
    }
  }
  return times;
}

int32_t WorkerSet::num_ready() const {
  return static_cast<int32_t>(std::count_if(groups_.begin(), groups_.end(), [](const Group& group) {
    return group.state == State::kReady;
  }));
}

int32_t WorkerSet::max_model_len() const {
  int32_t smallest = std::numeric_limits<int32_t>::max();
  for (const Group& group : groups_) {
    if (group.state == State::kReady) smallest = std::min(smallest, group.shape.max_model_len);
  }
  return smallest;
}

std::vector<door::GroupStatus> WorkerSet::status(TimeUs now_us) const {
  static constexpr const char* kStateNames[] = {
      "absent", "gathering", "rejoining", "starting", "ready"};
  std::vector<door::GroupStatus> all;
  for (const Group& group : groups_) {
    door::GroupStatus status;
    status.group = group.id;
    status.epoch = group.epoch;
    status.state = kStateNames[static_cast<size_t>(group.state)];
    if (group.state == State::kAbsent && !group.last_cause.empty()) status.state = "lost";
    status.tp = group.tp;
    status.pp = group.pp;
    status.pages = group.shape.num_pages;
    status.max_slots = group.shape.max_slots;
    status.page_tokens = group.shape.page_tokens;
    status.steps = group.steps;
    status.plans_in_flight = static_cast<int32_t>(group.plans.size());
    status.last_cause = group.last_cause;
    for (const auto& [index, rank] : group.ranks) {
      if (rank.hello) {
        status.backend = rank.hello->backend;
        status.dtype = rank.hello->dtype;
      }
      status.ranks.push_back({index,
                              rank.who.host,
                              std::string(name_of(rank.phase)),
                              rank.progress,
                              (now_us - rank.heard_us) / 1000,
                              rank.who.pid,
                              rank.load_bytes,
                              rank.load_total_bytes});
    }
    all.push_back(std::move(status));
  }
  return all;
}

}  // namespace trireme
