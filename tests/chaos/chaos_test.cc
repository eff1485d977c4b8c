// Real kills under steady load: whatever dies, each answer comes whole, once, and with the bits of
// an undisturbed cluster. TRIREME_CHAOS_SECONDS: how long processes are killed (20 by default);
// TRIREME_CHAOS_SEED: of the order of the faults.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <random>

#include "base/environment.h"
#include "base/text.h"
#include "tests/chaos/steady_load.h"
#include "tests/cluster/cluster_life.h"

namespace trireme {
namespace {

using std::chrono::milliseconds;

constexpr int kStreams = 16;
constexpr int kRecoveryMs = 30'000;      // until every stream hears something again
constexpr milliseconds kFinish{90'000};  // until the last answers are over

enum class Fault { kRank, kMpirun, kCoordinator, kUp, kStopRank, kStopCoordinator };

constexpr Fault kFaults[] = {Fault::kRank,
                             Fault::kMpirun,
                             Fault::kCoordinator,
                             Fault::kUp,
                             Fault::kStopRank,
                             Fault::kStopCoordinator};

constexpr const char* name_of(Fault fault) {
  switch (fault) {
    case Fault::kRank:
      return "SIGKILL of a rank";
    case Fault::kMpirun:
      return "SIGKILL of mpirun";
    case Fault::kCoordinator:
      return "SIGKILL of the coordinator";
    case Fault::kUp:
      return "SIGKILL of up";
    case Fault::kStopRank:
      return "SIGSTOP of a rank";
    case Fault::kStopCoordinator:
      return "SIGSTOP of the coordinator";
  }
  return "";
}

int64_t number_in(const char* variable, int64_t otherwise) {
  const auto text = environment(variable);
  return text ? std::atoll(text->c_str()) : otherwise;
}

// Contexts below 512 tokens, greedy and drawn, some with an end and a stop string.
std::vector<door::Submit> some_requests() {
  std::vector<door::Submit> requests;
  for (int i = 0; i < 8; ++i) {
    door::Submit request;
    request.prompt = format_text("The galley number {} rows", i);
    request.sampling.max_tokens = 40 + 10 * i;
    request.sampling.ignore_eos = i % 2 == 0;
    request.sampling.seed = 100 + i;
    request.sampling.temperature = i % 3 == 0 ? 0.0f : 0.8f;
    if (i % 4 == 1) request.sampling.stop = {"zzzz"};
    requests.push_back(std::move(request));
  }
  return requests;
}

TimeUs at_share(const std::vector<TimeUs>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
}

struct Event {
  Fault fault = Fault::kRank;
  TimeUs fault_us = 0;
  TimeUs begin_us = 0;  // of the recovery: a stop has ended by then
};

class Chaos : public testing::Test {
 protected:
  void bring_up() {
    std::string port = "0";
    if (life_) port = life_->port();
    life_.reset();
    life_.emplace(state_.path(), std::vector<std::string>{"-pp", "2"}, port);
  }

  pid_t any_of(const std::string& name) {
    const auto found = life_->running().wait_for_descendants(name, 1);
    return found.empty() ? 0 : found[random_() % found.size()];
  }

  // How long the stopped process stands still; 0 where one is killed.
  TimeUs apply(Fault fault) {
    const auto stop = [this](pid_t process) {
      const auto for_us = static_cast<TimeUs>(1'000'000 + random_() % 2'000'000);
      if (process == 0) return TimeUs{0};
      ::kill(process, SIGSTOP);
      pass(static_cast<int>(for_us / 1000));
      ::kill(process, SIGCONT);
      return for_us;
    };
    switch (fault) {
      case Fault::kRank:
        ::kill(any_of("trireme-worker"), SIGKILL);
        return 0;
      case Fault::kMpirun:
        ::kill(any_of("mpirun"), SIGKILL);
        return 0;
      case Fault::kCoordinator:
        ::kill(any_of("trireme-coordinator"), SIGKILL);
        return 0;
      case Fault::kUp:
        life_->kill();
        bring_up();
        return 0;
      case Fault::kStopRank:
        return stop(any_of("trireme-worker"));
      case Fault::kStopCoordinator:
        return stop(any_of("trireme-coordinator"));
    }
    return 0;
  }

  // Reads what `up` prints meanwhile.
  void pass(int time_ms) { life_->running().wait_for("no line has these words", time_ms); }

  // Until each stream has heard something since `since_us`; false after the deadline.
  bool wait_for_all(const SteadyLoad& load, TimeUs since_us) {
    const TimeUs end_us = clock_.now_us() + TimeUs{kRecoveryMs} * 1000;
    while (load.num_heard(since_us) < kStreams) {
      if (clock_.now_us() > end_us) return false;
      pass(20);
    }
    return true;
  }

  const TemporaryFolder state_;
  SteadyClock clock_;
  std::mt19937_64 random_{static_cast<uint64_t>(number_in("TRIREME_CHAOS_SEED", 1))};
  std::optional<ClusterLife> life_;
};

// Per kind of fault the longest silence of each stream from it until the next.
void print_silences(const SteadyLoad& load, const std::vector<Event>& events, TimeUs end_us) {
  std::map<Fault, std::vector<TimeUs>> silences_us;
  for (size_t i = 0; i < events.size(); ++i) {
    const TimeUs next_us = i + 1 < events.size() ? events[i + 1].fault_us : end_us;
    const auto found = load.silences(events[i].begin_us, next_us);
    auto& all = silences_us[events[i].fault];
    all.insert(all.end(), found.begin(), found.end());
  }
  for (auto& [fault, all] : silences_us) {
    std::ranges::sort(all);
    const auto seconds = [&sorted = all](double share) {
      return static_cast<double>(at_share(sorted, share)) / 1e6;
    };
    std::cout << format_text(
        "{:27} {:3} times; silence median {:.2f} s, p99 {:.2f} s, max {:.2f} s\n",
        name_of(fault),
        all.size() / kStreams,
        seconds(0.5),
        seconds(0.99),
        seconds(1));
  }
}

TEST_F(Chaos, NothingIsLostRepeatedOrChanged) {
  bring_up();
  if (HasFailure()) return;
  SteadyLoad load(life_->endpoint(), some_requests(), kStreams);
  if (HasFailure()) return;
  load.start();
  ASSERT_TRUE(wait_for_all(load, clock_.now_us()));

  std::vector<Event> events;
  const TimeUs end_us = clock_.now_us() + number_in("TRIREME_CHAOS_SECONDS", 20) * 1'000'000;
  std::vector<Fault> order;
  while (clock_.now_us() < end_us && !HasFailure()) {
    if (order.empty()) {
      order.assign(std::begin(kFaults), std::end(kFaults));
      std::shuffle(order.begin(), order.end(), random_);
    }
    const Fault fault = order.back();
    order.pop_back();
    const TimeUs fault_us = clock_.now_us();
    events.push_back({fault, fault_us, fault_us + apply(fault)});
    // The fault may show later than its signal.
    pass(2'000 + static_cast<int>(random_() % 2'000));
    EXPECT_TRUE(wait_for_all(load, clock_.now_us()))
        << name_of(fault) << ": some streams hear nothing\n"
        << life_->running().text();
  }
  const TimeUs over_us = clock_.now_us();
  load.finish(kFinish);
  EXPECT_EQ(load.num_unfinished(), 0);
  const LoadProblems& problems = load.problems();
  EXPECT_EQ(problems.first, "");
  EXPECT_EQ(problems.lost, 0);
  EXPECT_EQ(problems.repeated, 0);
  EXPECT_EQ(problems.skipped, 0);
  EXPECT_EQ(problems.changed, 0);
  EXPECT_GT(load.num_answers(), 0);
  std::cout << format_text(
      "{} answers, {} refused before they were accepted\n", load.num_answers(), load.num_refused());
  print_silences(load, events, over_us);
}

}  // namespace
}  // namespace trireme
