#include "clients/gateway/door_health.h"

#include <utility>

namespace trireme::gateway {

namespace {

constexpr TimeUs kPongUs = 3'000'000;
constexpr TimeUs kSilentUs = 30'000'000;

}  // namespace

void DoorHealth::on_connected(TimeUs now_us) {
  connected_ = true;
  pong_.reset();
  pong_us_ = now_us;
}

void DoorHealth::on_lost(std::string reason) {
  connected_ = false;
  pong_.reset();
  lost_reason_ = std::move(reason);
}

void DoorHealth::on_pong(const door::Pong& pong, TimeUs now_us) {
  pong_ = pong;
  pong_us_ = now_us;
}

void DoorHealth::on_status(const door::StatusReply& status, TimeUs now_us) {
  int64_t loaded = 0;
  int64_t total = 0;
  for (const door::GroupStatus& group : status.groups) {
    for (const door::RankStatus& rank : group.ranks) {
      loaded += rank.load_bytes;
      total += rank.load_total_bytes;
    }
  }
  const bool is_new = !load_began_us_ || loaded < loaded_bytes_;
  loaded_bytes_ = loaded;
  total_bytes_ = total;
  load_seen_us_ = now_us;
  if (!is_new) return;
  load_began_us_ = now_us;
  load_began_bytes_ = loaded;
}

bool DoorHealth::is_silent(TimeUs now_us) const {
  return connected_ && now_us - pong_us_ > kSilentUs;
}

DoorHealth::Verdict DoorHealth::verdict(TimeUs now_us) const {
  Verdict verdict;
  if (drains_) {
    verdict.status = "draining";
    verdict.reason = "the gateway ends; running answers are finished";
  } else if (!connected_) {
    verdict.status = "unreachable";
    verdict.reason = lost_reason_;
  } else if (!pong_ || now_us - pong_us_ > kPongUs) {
    verdict.status = "silent";
    verdict.reason = "the coordinator has not answered within 3 s";
  } else if (pong_->draining) {
    verdict.status = "draining";
    verdict.reason = "the cluster ends; running answers are finished";
  } else if (!pong_->healthy) {
    verdict.status = loaded_bytes_ < total_bytes_ ? "loading" : "unhealthy";
    verdict.reason = pong_->reason.empty() ? "no token can be had now" : pong_->reason;
  } else {
    verdict.ready = true;
    verdict.status = "ok";
  }
  verdict.loaded_bytes = loaded_bytes_;
  verdict.total_bytes = total_bytes_;
  const int64_t gained = loaded_bytes_ - load_began_bytes_;
  if (load_began_us_ && gained > 0 && loaded_bytes_ < total_bytes_) {
    const double seconds = static_cast<double>(load_seen_us_ - *load_began_us_) * 1e-6;
    verdict.eta_s =
        seconds * static_cast<double>(total_bytes_ - loaded_bytes_) / static_cast<double>(gained);
  }
  return verdict;
}

}  // namespace trireme::gateway
