#include "launch/supervision/coordinator_events.h"

#include <gtest/gtest.h>

namespace trireme {
namespace coordinator_events_test {

using Kind = CoordinatorEvent::Kind;

TEST(CoordinatorEvents, DoorsHaveBothEndpointsAndTheKeyFile) {
  const auto event = parse_coordinator_event(
      R"({"event":"doors","pid":12,"client_endpoint":"tcp://127.0.0.1:8900",)"
      R"("worker_endpoint":"tcp://10.0.0.1:4000","worker_key_file":"/s/worker.key"})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Kind::kDoors);
  EXPECT_EQ(event->pid, 12);
  EXPECT_EQ(event->client_endpoint, "tcp://127.0.0.1:8900");
  EXPECT_EQ(event->worker_endpoint, "tcp://10.0.0.1:4000");
  EXPECT_EQ(event->worker_key_file, "/s/worker.key");
}

TEST(CoordinatorEvents, ALostGroupHasRankHostAndCause) {
  const auto event = parse_coordinator_event(
      R"({"event":"group_lost","group":1,"rank":3,"host":"n2","phase":"loading",)"
      R"("id":"TRI-GRP-041","cause":"its connection ended","was_ready":true,)"
      R"("memory":true,"steps":7})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Kind::kGroupLost);
  EXPECT_EQ(event->group, 1);
  EXPECT_EQ(event->rank, 3);
  EXPECT_EQ(event->host, "n2");
  EXPECT_EQ(event->phase, "loading");
  EXPECT_EQ(event->id, "TRI-GRP-041");
  EXPECT_EQ(event->text, "its connection ended");
  EXPECT_TRUE(event->was_ready);
  EXPECT_TRUE(event->memory);
  EXPECT_EQ(event->steps, 7);
}

TEST(CoordinatorEvents, AReadyGroupHasItsSizes) {
  const auto event = parse_coordinator_event(
      R"({"event":"group_ready","group":0,"tp":2,"pp":4,"pages":7,"page_tokens":32,)"
      R"("max_model_len":1024,"asked_model_len":2048,"dtype":"bfloat16","isa":"avx2"})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Kind::kGroupReady);
  EXPECT_EQ(event->tp * event->pp, 8);
  EXPECT_EQ(event->pages * event->page_tokens, 224);
  EXPECT_LT(event->max_model_len, event->asked_model_len);
  EXPECT_EQ(event->isa, "avx2");
}

TEST(CoordinatorEvents, AliveIsAKnownEvent) {
  const auto event = parse_coordinator_event(R"({"event":"alive"})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Kind::kAlive);
}

TEST(CoordinatorEvents, UnknownEventsAndOtherLinesAreIgnored) {
  for (const char* line :
       {"", "ready", "{", "[]", "{}", R"({"event":5})", R"({"event":"comet"})", R"({"group":1})"}) {
    EXPECT_FALSE(parse_coordinator_event(line)) << line;
  }
}

TEST(CoordinatorEvents, AFieldOfAnotherTypeKeepsItsDefault) {
  const auto event = parse_coordinator_event(
      R"({"event":"rank","group":"one","rank":null,"host":7,"pid":12,"more":[1]})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->group, 0);
  EXPECT_EQ(event->rank, -1);
  EXPECT_EQ(event->host, "");
  EXPECT_EQ(event->pid, 12);
}

}  // namespace coordinator_events_test
}  // namespace trireme
