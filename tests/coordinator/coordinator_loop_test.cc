// The loop with the real doors and Engine, driven by frames: no socket, no thread, a fake clock.
#include "coordinator/coordinator_loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>

#include "proto/client_codec.h"
#include "proto/step_codec.h"
#include "tests/coordinator/fake_sender.h"

namespace trireme {
namespace coordinator_loop_test {

constexpr PeerId kClient = 1;
constexpr TimeUs kTurnUs = 1'000;

// Runs one step of a script per turn; without any left, it stops the coordinator.
class ScriptedTransport final : public Transport {
 public:
  using Step = std::function<void(Handler&)>;

  explicit ScriptedTransport(FakeClock* clock) : clock_(clock) { EXPECT_EQ(::pipe(control_), 0); }
  ~ScriptedTransport() override {
    ::close(control_[0]);
    ::close(control_[1]);
  }

  void turn(int64_t /*timeout_us*/, Handler& handler) override {
    clock_->advance_us(kTurnUs);
    if (steps_.empty()) return command(handler, "stop\n");
    const Step step = std::move(steps_.front());
    steps_.pop_front();
    step(handler);
  }
  void then(Step step) { steps_.push_back(std::move(step)); }
  void command(Handler& handler, const std::string& line) {
    ASSERT_EQ(::write(control_[1], line.data(), line.size()), static_cast<ssize_t>(line.size()));
    handler.on_readable(control_[0]);
  }
  int control_fd() const { return control_[0]; }

 private:
  FakeClock* const clock_;
  std::deque<Step> steps_;
  int control_[2] = {-1, -1};
};

AdmissionRules rules() {
  AdmissionRules rules;
  rules.model_name = "demo";
  rules.vocabulary_size = 100;
  rules.max_model_len = 64;
  return rules;
}

class CoordinatorLoopTest : public testing::Test {
 protected:
  CoordinatorLoopTest()
      : transport_(&clock_),
        engine_(engine_options()),
        front_door_(front_door_options(), &clients_),
        worker_set_(worker_set_options(), &ranks_) {}

  static EngineOptions engine_options() {
    EngineOptions options;
    options.coordinator_epoch = 77;
    options.vocabulary_size = 100;
    return options;
  }
  static FrontDoorOptions front_door_options() {
    FrontDoorOptions options;
    options.rules = rules();
    return options;
  }
  static WorkerSetOptions worker_set_options() {
    WorkerSetOptions options;
    options.coordinator_epoch = 77;
    return options;
  }

  int run() {
    CoordinatorParts parts;
    parts.clock = &clock_;
    parts.transport = &transport_;
    parts.engine = &engine_;
    parts.front_door = &front_door_;
    parts.worker_set = &worker_set_;
    parts.journal = &journal_;
    parts.lines = &lines_;
    parts.log = &log_;
    parts.control_fd = transport_.control_fd();
    return CoordinatorLoop(parts).run();
  }

  // Frames that arrive in a turn of their own.
  template <class Message>
  void rank_says(PeerId peer, const Message& message) {
    transport_.then([this, peer, message](Transport::Handler& handler) {
      std::string frame;
      step_codec_.encode(message, frame);
      handler.on_worker_frame(peer, frame);
    });
  }
  void client_says(const door::FromClient& message) {
    transport_.then([this, message](Transport::Handler& handler) {
      std::string frame;
      client_codec_.encode(message, frame);
      handler.on_client_frame(kClient, frame);
    });
  }
  void command(const std::string& line) {
    transport_.then(
        [this, line](Transport::Handler& handler) { transport_.command(handler, line); });
  }
  // A group of two tensor ranks, peers 10 and 11, in its first epoch.
  void bring_up() {
    for (int32_t rank = 0; rank < 2; ++rank) {
      RankHello hello;
      hello.rank = rank;
      hello.tp = 2;
      hello.kv_layout.page_tokens = 4;
      hello.pages = 32;
      hello.max_slots = 4;
      hello.max_batched_tokens = 64;
      hello.max_model_len = 64;
      rank_says(10 + static_cast<PeerId>(rank), hello);
    }
    for (const PeerId peer : {10, 11}) rank_says(peer, RankStarted{kEpochs});
  }
  void submit(uint64_t tag,
              int32_t max_tokens,
              door::OnDisconnect on_disconnect = door::OnDisconnect::kDefault) {
    door::Submit submit;
    submit.on_disconnect = on_disconnect;
    submit.tag = tag;
    submit.prompt = std::vector<TokenId>{1, 2, 3};
    submit.sampling.max_tokens = max_tokens;
    submit.sampling.ignore_eos = true;
    client_says(submit);
  }
  // Rank 0 answers the step with one id for slot `slot`.
  void result(int64_t step, TokenId id, SlotId slot = 0) {
    StepResult result;
    result.epochs = kEpochs;
    result.step = step;
    result.slots = {slot};
    result.counts = {1};
    result.ids = {id};
    rank_says(10, result);
  }

  template <class Message>
  std::vector<Message> to_client() {
    std::vector<Message> found;
    for (const std::string& frame : clients_.sent[kClient]) {
      auto message = client_codec_.decode_to_client(frame);
      EXPECT_TRUE(message.ok()) << message.status();
      if (message.ok() && std::holds_alternative<Message>(*message)) {
        found.push_back(std::get<Message>(*message));
      }
    }
    return found;
  }
  template <class Message>
  std::vector<Message> to_rank(PeerId peer) {
    std::vector<Message> found;
    for (const std::string& frame : ranks_.sent[peer]) {
      CoordinatorMessage message;
      EXPECT_TRUE(step_codec_.decode(frame, message).ok());
      if (const auto* value = std::get_if<Message>(&message)) found.push_back(*value);
    }
    return found;
  }
  std::vector<TokenId> answer() {
    std::vector<TokenId> ids;
    for (const door::Tokens& tokens : to_client<door::Tokens>()) {
      for (const door::Piece& piece : tokens.pieces) {
        ids.insert(ids.end(), piece.token_ids.begin(), piece.token_ids.end());
      }
    }
    return ids;
  }

  static constexpr Epochs kEpochs{77, 1};
  FakeClock clock_;
  FakeSender clients_;
  FakeSender ranks_;
  ScriptedTransport transport_;
  Engine engine_;
  FrontDoor front_door_;
  WorkerSet worker_set_;
  NullJournal journal_;
  EventLines lines_{-1};
  CoordinatorLog log_;
  ClientCodec client_codec_;
  StepCodec step_codec_;
};

TEST_F(CoordinatorLoopTest, ARequestIsPlannedToEveryRankAndAnsweredToItsClient) {
  bring_up();
  client_says(door::Hello{});
  submit(7, 2);
  result(1, 41);
  result(2, 42);
  EXPECT_EQ(run(), 130);
  for (const PeerId peer : {10, 11}) {
    EXPECT_EQ(to_rank<Start>(peer).size(), 1u);
    const auto plans = to_rank<StepPlan>(peer);
    ASSERT_GE(plans.size(), 2u);
    EXPECT_EQ(plans[0].parts.at(0).chunks.at(0).ids, (std::vector<TokenId>{1, 2, 3}));
    EXPECT_EQ(plans[1].parts.at(0).decodes.size(), 1u);
    EXPECT_EQ(to_rank<Fence>(peer).size(), 1u);
  }
  EXPECT_EQ(to_client<door::Accepted>().at(0).tag, 7u);
  EXPECT_EQ(answer(), (std::vector<TokenId>{41, 42}));
  EXPECT_EQ(to_client<door::Finished>().at(0).reason, door::FinishReason::kLength);
}

// The plan that a result makes possible leaves in the same turn as the result.
TEST_F(CoordinatorLoopTest, APlanFollowsAResultBeforeTheNextFrameIsRead) {
  bring_up();
  client_says(door::Hello{});
  submit(7, 9);
  result(1, 41);
  size_t plans = 0;
  transport_.then([&](Transport::Handler&) { plans = to_rank<StepPlan>(10).size(); });
  run();
  EXPECT_EQ(plans, 3u);  // one more in flight than stages
}

TEST_F(CoordinatorLoopTest, ARequestOutlivesTheLossOfItsGroup) {
  bring_up();
  client_says(door::Hello{});
  submit(7, 2);
  result(1, 41);
  transport_.then([](Transport::Handler& handler) { handler.on_worker_gone(11); });
  run();
  EXPECT_EQ(to_rank<Fence>(10).at(0).epochs, kEpochs);
  EXPECT_EQ(answer(), (std::vector<TokenId>{41}));
  EXPECT_TRUE(to_client<door::Finished>().empty());
  EXPECT_EQ(engine_.status().waiting, 1);
  EXPECT_EQ(worker_set_.num_ready(), 0);
}

TEST_F(CoordinatorLoopTest, ADrainFinishesWhatRunsAndRefusesWhatComes) {
  bring_up();
  client_says(door::Hello{});
  submit(7, 2);
  command("drain\n");
  submit(8, 2);
  result(1, 41);
  result(2, 42);
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(answer(), (std::vector<TokenId>{41, 42}));
  EXPECT_EQ(to_client<door::Error>().at(0).tag, 8u);
  EXPECT_EQ(to_client<door::Error>().at(0).error_id, "TRI-REQ-083");
  EXPECT_TRUE(to_rank<Fence>(10).at(0).drained);
}

TEST_F(CoordinatorLoopTest, ADrainWithoutAGroupEndsAfterTenSecondsThoughARequestWaits) {
  client_says(door::Hello{});
  submit(7, 2);
  command("drain\n");
  transport_.then([this](Transport::Handler&) {
    EXPECT_EQ(engine_.status().waiting, 1);
    clock_.advance_us(10'000'000);
  });
  transport_.then([](Transport::Handler&) {});
  EXPECT_EQ(run(), 0);
}

TEST_F(CoordinatorLoopTest, AClientThatLeavesTakesItsRequestWithItIfItAskedForThat) {
  client_says(door::Hello{});
  submit(7, 2, door::OnDisconnect::kCancel);
  transport_.then([this](Transport::Handler& handler) {
    EXPECT_EQ(engine_.status().waiting, 1);
    handler.on_client_gone(kClient);
  });
  run();
  EXPECT_EQ(engine_.status().waiting, 0);
  EXPECT_EQ(front_door_.num_connections(), 0);
}

TEST_F(CoordinatorLoopTest, AClientThatLeavesFindsItsRequestAgain) {
  client_says(door::Hello{});
  submit(7, 2);
  transport_.then([](Transport::Handler& handler) { handler.on_client_gone(kClient); });
  run();
  EXPECT_EQ(engine_.status().waiting, 1);
}

TEST_F(CoordinatorLoopTest, APongSaysWhetherATokenCanBeHad) {
  client_says(door::Hello{});
  client_says(door::Ping{1});
  bring_up();
  client_says(door::Ping{2});
  submit(7, 2);
  submit(8, 2);
  result(1, 41);
  transport_.then([this](Transport::Handler&) { clock_.advance_us(4'000'000); });
  client_says(door::Ping{3});
  transport_.then([this](Transport::Handler&) { clock_.advance_us(2'000'000); });
  client_says(door::Ping{4});
  client_says(door::StatusRequest{});
  command("drain\n");
  client_says(door::Ping{5});
  command("stop\n");
  run();
  const auto pongs = to_client<door::Pong>();
  ASSERT_EQ(pongs.size(), 5u);
  const bool healthy[] = {false, true, true, false, false};
  for (size_t i = 0; i < pongs.size(); ++i) {
    EXPECT_EQ(pongs[i].nonce, i + 1);
    EXPECT_EQ(pongs[i].healthy, healthy[i]) << i;
    EXPECT_EQ(pongs[i].reason.empty(), healthy[i]) << i;
    EXPECT_EQ(pongs[i].draining, i == 4);
  }
  EXPECT_EQ(pongs[0].token_age_ms, 0);
  EXPECT_GE(pongs[2].token_age_ms, 4'000);
  const auto replies = to_client<door::StatusReply>();
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_FALSE(replies[0].healthy);
  EXPECT_EQ(replies[0].models.at(0).state, "AVAILABLE");
  EXPECT_GE(replies[0].token_age_ms, 6'000);
}

TEST_F(CoordinatorLoopTest, StatusJoinsTheCountsOfEngineAndWorkerSet) {
  bring_up();
  client_says(door::Hello{});
  submit(7, 9);
  client_says(door::StatusRequest{});
  run();
  const auto replies = to_client<door::StatusReply>();
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].running, 1);
  ASSERT_EQ(replies[0].groups.size(), 1u);
  EXPECT_EQ(replies[0].groups[0].state, "ready");
  EXPECT_EQ(replies[0].groups[0].slots_used, 1);
  EXPECT_GT(replies[0].groups[0].pages_held, 0);
}

}  // namespace coordinator_loop_test
}  // namespace trireme
