#include "clients/gateway/door_health.h"

#include <gtest/gtest.h>

namespace trireme::gateway {
namespace door_health_test {

constexpr TimeUs kSecond = 1'000'000;

door::Pong pong_with(bool healthy, bool draining = false) {
  door::Pong pong;
  pong.healthy = healthy;
  pong.draining = draining;
  return pong;
}

TEST(DoorHealth, IsReadyForThreeSecondsAfterAHealthyPong) {
  DoorHealth health;
  EXPECT_EQ(health.verdict(0).status, "unreachable");
  health.on_connected(0);
  EXPECT_EQ(health.verdict(0).status, "silent");
  health.on_pong(pong_with(true), kSecond);
  EXPECT_TRUE(health.verdict(kSecond).ready);
  EXPECT_TRUE(health.verdict(4 * kSecond).ready);
  EXPECT_FALSE(health.verdict(4 * kSecond + 1).ready);
}

TEST(DoorHealth, NeitherALossNorADrainIsReady) {
  DoorHealth health;
  health.on_connected(0);
  health.on_pong(pong_with(true, /*draining=*/true), 0);
  EXPECT_EQ(health.verdict(0).status, "draining");
  health.on_pong(pong_with(true), 0);
  health.on_lost("gone");
  EXPECT_EQ(health.verdict(0).reason, "gone");
  health.on_connected(0);
  EXPECT_FALSE(health.verdict(0).ready) << "a Pong of the old connection does not count";
  health.on_pong(pong_with(true), 0);
  health.drain();
  EXPECT_EQ(health.verdict(0).status, "draining");
}

TEST(DoorHealth, TellsTheProgressOfALoad) {
  DoorHealth health;
  health.on_connected(0);
  health.on_pong(pong_with(false), 0);
  door::StatusReply status;
  status.groups.resize(1);
  status.groups[0].ranks.resize(2);
  for (auto& rank : status.groups[0].ranks) rank = {0, "", "load", 0, 0, 0, 100, 1000};
  health.on_status(status, kSecond);
  EXPECT_EQ(health.verdict(kSecond).eta_s, std::nullopt);
  for (auto& rank : status.groups[0].ranks) rank.load_bytes = 400;
  health.on_status(status, 2 * kSecond);
  const auto verdict = health.verdict(2 * kSecond);
  EXPECT_EQ(verdict.status, "loading");
  EXPECT_EQ(verdict.loaded_bytes, 800);
  EXPECT_EQ(verdict.total_bytes, 2000);
  EXPECT_DOUBLE_EQ(verdict.eta_s.value_or(0), 2.0);
}

}  // namespace door_health_test
}  // namespace trireme::gateway
