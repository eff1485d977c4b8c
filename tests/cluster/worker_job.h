// A group of trireme-worker processes as a test starts it, and the coordinator that the test plays.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>
#include <zmq.hpp>

#include "base/clock.h"
#include "base/text.h"
#include "proto/step_codec.h"
#include "tests/cluster/child_process.h"
#include "tests/cluster/scripted_plans.h"

namespace trireme {

inline const std::string kDemo = TRIREME_SOURCE_DIR "/models/demo";

// The job of a group of `ranks` ranks of the demo model under mpirun.
inline std::vector<std::string> worker_command(int ranks, const std::vector<std::string>& flags) {
  std::vector<std::string> command = {TRIREME_SOURCE_DIR "/launch/mpirun_local.sh",
                                      format_text("{}", ranks),
                                      TRIREME_BIN_DIR "/trireme-worker",
                                      "--model",
                                      kDemo,
                                      "--threads",
                                      "1",
                                      "--max-num-seqs",
                                      "8"};
  command.insert(command.end(), flags.begin(), flags.end());
  return command;
}

// All ranks in one process, without mpirun.
inline std::vector<std::string> local_command(int ranks, const std::vector<std::string>& flags) {
  std::vector<std::string> command = worker_command(ranks, flags);
  command.erase(command.begin(), command.begin() + 2);
  for (const auto& word : {std::string("--local-ranks"), format_text("{}", ranks)})
    command.push_back(word);
  return command;
}

// The coordinator's end of the worker door, driven by the test. Used by one thread.
class PlayedCoordinator {
 public:
  PlayedCoordinator() : context_(1), router_(context_, zmq::socket_type::router) {
    router_.set(zmq::sockopt::linger, 500);
    router_.set(zmq::sockopt::router_mandatory, 1);
    router_.bind("tcp://127.0.0.1:*");
  }

  std::string endpoint() { return router_.get(zmq::sockopt::last_endpoint); }

  // The next message of this type from `rank` (-1: any rank); others are dropped. Nothing after the
  // deadline.
  template <class Message>
  std::optional<Message> wait_for(int rank = -1, int timeout_ms = 20'000) {
    SteadyClock clock;
    const TimeUs deadline_us = clock.now_us() + TimeUs{1000} * timeout_ms;
    while (clock.now_us() < deadline_us) {
      zmq::pollitem_t item{router_.handle(), 0, ZMQ_POLLIN, 0};
      zmq::poll(&item, 1, std::chrono::milliseconds(50));
      zmq::message_t identity;
      zmq::message_t frame;
      if (!router_.recv(identity, zmq::recv_flags::dontwait)) continue;
      if (!router_.recv(frame, zmq::recv_flags::dontwait)) continue;
      RankMessage message;
      const Status decoded =
          codec_.decode({static_cast<const char*>(frame.data()), frame.size()}, message);
      EXPECT_TRUE(decoded.ok()) << message_of(decoded);
      note(identity.to_string(), message);
      const auto* wanted = std::get_if<Message>(&message);
      if (wanted == nullptr) continue;
      if (rank < 0 || rank_of_[identity.to_string()] == rank) return *wanted;
    }
    return std::nullopt;
  }

  template <class Message>
  void send_all(const Message& message) {
    std::string frame;
    codec_.encode(message, frame);
    for (const auto& [rank, identity] : identity_of_) {
      router_.send(zmq::buffer(identity), zmq::send_flags::sndmore);
      router_.send(zmq::buffer(frame), zmq::send_flags::none);
    }
  }

  // Takes all ranks through HELLO, START and STARTED.
  void start_group(int ranks, const Epochs& epochs) {
    int64_t pages = 0;
    for (int i = 0; i < ranks; ++i) {
      const auto hello = wait_for<RankHello>();
      ASSERT_TRUE(hello.has_value()) << i << " ranks have come";
      EXPECT_EQ(hello->fingerprint.size(), 64u);
      EXPECT_EQ(hello->max_model_len, 1024);
      EXPECT_EQ(hello->kv_layout.page_tokens, 32);
      pages = hello->pages;
    }
    send_all(Start{epochs, pages, ""});
    for (int i = 0; i < ranks; ++i) {
      const auto started = wait_for<RankStarted>();
      ASSERT_TRUE(started.has_value());
      EXPECT_EQ(started->epochs, epochs);
    }
  }

  pid_t pid_of(int rank) { return pid_of_[rank]; }

 private:
  void note(const std::string& identity, const RankMessage& message) {
    if (const auto* beat = std::get_if<Heartbeat>(&message)) {
      rank_of_[identity] = beat->rank;
      identity_of_[beat->rank] = identity;
      pid_of_[beat->rank] = static_cast<pid_t>(beat->pid);
    }
    if (const auto* hello = std::get_if<RankHello>(&message)) {
      rank_of_[identity] = hello->rank;
      identity_of_[hello->rank] = identity;
      pid_of_[hello->rank] = static_cast<pid_t>(hello->pid);
    }
  }

  zmq::context_t context_;
  zmq::socket_t router_;
  StepCodec codec_;
  std::map<std::string, int> rank_of_;
  std::map<int, std::string> identity_of_;
  std::map<int, pid_t> pid_of_;
};

// Plans of one request of five prompt tokens.
inline std::vector<StepPlan> demo_plans(const Epochs& epochs, int32_t new_tokens) {
  ScriptedRequest request;
  request.prompt = {1, 300, 400, 500, 600};
  request.new_tokens = new_tokens;
  std::vector<StepPlan> plans = plan_requests({request}, {}, 1);
  for (StepPlan& plan : plans) plan.epochs = epochs;
  return plans;
}

}  // namespace trireme
