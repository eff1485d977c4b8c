// The coordinator as a process with the tests' Engine (fake_engine.cc): both doors, the loop, its
// event lines, the C++ client, and the Python client of docs/protocol.md.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <zmq.hpp>

#include "clients/cpp/client.h"
#include "proto/step_codec.h"
#include "tests/coordinator/coordinator_process.h"

namespace trireme {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

class CoordinatorTest : public testing::Test {
 protected:
  void start(const std::vector<std::string>& more = {}) {
    process_ = std::make_unique<Process>(command(more));
    const Json doors = process_->event("doors");
    clients_ = doors.value("client_endpoint", "");
    workers_ = doors.value("worker_endpoint", "");
    ASSERT_FALSE(clients_.empty());
  }
  std::unique_ptr<Client> connect() {
    auto client = Client::connect(clients_, 10s);
    EXPECT_TRUE(client.ok()) << client.status();
    return client.ok() ? std::move(*client) : nullptr;
  }
  struct Answer {
    std::vector<TokenId> ids;
    std::string text;
    std::optional<door::Finished> finished;
    std::optional<door::Error> error;
  };
  // Polls until `count` requests of the client are over.
  static std::map<uint64_t, Answer> answers(Client& client, size_t count) {
    std::map<uint64_t, Answer> all;
    size_t over = 0;
    const auto deadline = Clock::now() + 20s;
    while (over < count && Clock::now() < deadline) {
      auto events = client.poll(1s);
      EXPECT_TRUE(events.ok()) << events.status();
      if (!events.ok()) break;
      for (ClientEvent& event : *events) {
        if (auto* piece = std::get_if<door::Piece>(&event)) {
          Answer& answer = all[piece->tag];
          EXPECT_EQ(piece->first_index, static_cast<int>(answer.ids.size()));
          answer.ids.insert(answer.ids.end(), piece->token_ids.begin(), piece->token_ids.end());
          answer.text += piece->text;
        } else if (auto* finished = std::get_if<door::Finished>(&event)) {
          all[finished->tag].finished = *finished;
          ++over;
        } else if (auto* error = std::get_if<door::Error>(&event)) {
          all[error->tag].error = *error;
          ++over;
        }
      }
    }
    return all;
  }
  static door::Submit ids_request(std::vector<TokenId> ids, int max_tokens) {
    door::Submit submit;
    submit.prompt = std::move(ids);
    submit.sampling.max_tokens = max_tokens;
    return submit;
  }

  std::unique_ptr<Process> process_;
  std::string clients_;
  std::string workers_;
};

TEST_F(CoordinatorTest, AnswersStreamToSeveralRequestsOfOneConnection) {
  start();
  auto client = connect();
  ASSERT_NE(client, nullptr);
  EXPECT_EQ(client->welcome().models.at(0).name, "demo");
  std::map<uint64_t, std::vector<TokenId>> expected;
  for (int i = 0; i < 50; ++i) {
    std::vector<TokenId> ids = {10 + i, 11 + i, 12 + i};
    const auto tag = client->submit(ids_request(ids, 3));
    ASSERT_TRUE(tag.ok());
    expected[*tag] = ids;
  }
  auto all = answers(*client, 50);
  for (const auto& [tag, ids] : expected) {
    EXPECT_EQ(all[tag].ids, ids);
    ASSERT_TRUE(all[tag].finished);
    EXPECT_EQ(all[tag].finished->reason, door::FinishReason::kLength);
  }
  EXPECT_EQ(client->num_open(), 0u);
}

TEST_F(CoordinatorTest, ATextPromptIsTokenizedByThePool) {
  start();
  auto client = connect();
  ASSERT_NE(client, nullptr);
  door::Submit submit;
  submit.prompt = std::string("The galley had three banks of oars.");
  submit.sampling.max_tokens = 4;
  ASSERT_TRUE(client->submit(submit).ok());
  auto all = answers(*client, 1);
  EXPECT_EQ(all[1].ids.size(), 4u);
}

TEST_F(CoordinatorTest, TinyCreditIsRenewedAndNothingIsLost) {
  start();
  auto client = connect();
  ASSERT_NE(client, nullptr);
  door::Submit submit = ids_request({10, 11, 12, 13, 14}, 200);
  submit.credit_bytes = 64;
  ASSERT_TRUE(client->submit(submit).ok());
  auto all = answers(*client, 1);
  EXPECT_EQ(all[1].ids.size(), 200u);
}

TEST_F(CoordinatorTest, ACancelEndsAStreamAndARefusalNamesItsRequest) {
  start();
  auto client = connect();
  ASSERT_NE(client, nullptr);
  const auto endless = client->submit(ids_request({9}, 5));
  const auto too_hot = [&] {
    door::Submit submit = ids_request({10}, 5);
    submit.sampling.temperature = -1.f;
    return client->submit(submit);
  }();
  ASSERT_TRUE(endless.ok() && too_hot.ok());
  auto refused = answers(*client, 1);
  ASSERT_TRUE(refused[*too_hot].error);
  EXPECT_EQ(refused[*too_hot].error->error_id, "TRI-REQ-001");
  ASSERT_TRUE(client->cancel(*endless).ok());
  const auto deadline = Clock::now() + 10s;
  std::optional<door::Finished> finished;
  while (!finished && Clock::now() < deadline) {
    auto events = client->poll(1s);
    ASSERT_TRUE(events.ok());
    for (const ClientEvent& event : *events) {
      if (const auto* value = std::get_if<door::Finished>(&event)) finished = *value;
    }
  }
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->reason, door::FinishReason::kCancelled);
}

TEST_F(CoordinatorTest, HundredsOfMalformedFramesDoNotDisturbAnotherClient) {
  start();
  auto client = connect();
  ASSERT_NE(client, nullptr);
  ASSERT_TRUE(client->submit(ids_request({10, 11}, 300)).ok());
  zmq::context_t context;
  zmq::socket_t bad(context, zmq::socket_type::dealer);
  bad.set(zmq::sockopt::linger, 0);
  bad.connect(clients_);
  std::mt19937_64 random(3);
  for (int i = 0; i < 600; ++i) {
    std::string frame(random() % 60, '\0');
    for (char& byte : frame) byte = static_cast<char>(random());
    bad.send(zmq::buffer(frame), zmq::send_flags::none);
  }
  bad.set(zmq::sockopt::rcvtimeo, 10'000);
  zmq::message_t reply;
  ASSERT_TRUE(bad.recv(reply));
  const auto error = ClientCodec().decode_to_client(reply.to_string());
  ASSERT_TRUE(error.ok());
  EXPECT_EQ(std::get<door::Error>(*error).error_id.substr(0, 8), "TRI-NET-");
  auto all = answers(*client, 1);
  EXPECT_EQ(all[1].ids.size(), 300u);
  EXPECT_TRUE(client->ping(10s).ok());
}

// A rank whose messages the test sends.
struct FakeRank {
  zmq::socket_t socket;
  StepCodec codec;
  std::string frame;

  FakeRank(zmq::context_t& context, const std::string& endpoint)
      : socket(context, zmq::socket_type::dealer) {
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::rcvtimeo, 10'000);
    socket.connect(endpoint);
  }
  template <class Message>
  void say(const Message& message) {
    codec.encode(message, frame);
    socket.send(zmq::buffer(frame), zmq::send_flags::none);
  }
  CoordinatorMessage hear() {
    zmq::message_t message;
    CoordinatorMessage value;
    if (!socket.recv(message)) return value;
    EXPECT_TRUE(codec.decode(message.to_string(), value).ok());
    return value;
  }
};

RankHello hello_of(int32_t rank, const std::string& fingerprint) {
  RankHello hello;
  hello.rank = rank;
  hello.host = "here";
  hello.tp = 2;
  hello.fingerprint = fingerprint;
  hello.dtype = "bfloat16";
  hello.backend = "cpu";
  hello.kv_layout.page_tokens = 32;
  hello.pages = 64;
  hello.max_slots = 8;
  hello.max_batched_tokens = 512;
  hello.max_model_len = 256;
  return hello;
}

TEST_F(CoordinatorTest, AGroupComesAndGoesInTheEventLinesAndInStatus) {
  start();
  auto client = connect();
  ASSERT_NE(client, nullptr);
  zmq::context_t context;
  FakeRank stranger(context, workers_);
  stranger.say(hello_of(0, "another model"));
  const Json refused = process_->event("group_lost");
  EXPECT_EQ(refused.value("id", ""), "TRI-GRP-040");
  const std::string cause = refused.value("cause", "");
  const std::string marker = "the coordinator serves ";
  const size_t at = cause.find(marker) + marker.size();
  const std::string fingerprint = cause.substr(at, cause.find(';', at) - at);

  auto first = std::make_unique<FakeRank>(context, workers_);
  FakeRank second(context, workers_);
  first->say(hello_of(0, fingerprint));
  second.say(hello_of(1, fingerprint));
  const CoordinatorMessage start_message = first->hear();
  ASSERT_TRUE(std::holds_alternative<Start>(start_message));
  const Epochs epochs = std::get<Start>(start_message).epochs;
  first->say(RankStarted{epochs});
  second.say(RankStarted{epochs});
  const Json ready = process_->event("group_ready");
  EXPECT_EQ(ready.value("pages", 0), 64);
  const auto status = client->status(10s);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->groups.at(0).state, "ready");
  EXPECT_EQ(status->groups.at(0).ranks.size(), 2u);
  EXPECT_EQ(status->models.at(0).max_model_len, 256);

  first.reset();  // dies
  const Json lost = process_->event("group_lost");
  EXPECT_EQ(lost.value("rank", -1), 0);
  EXPECT_EQ(lost.value("host", ""), "here");
  EXPECT_EQ(lost.value("id", ""), "TRI-GRP-041");
  ASSERT_TRUE(std::holds_alternative<Start>(second.hear()));
  EXPECT_TRUE(std::holds_alternative<Fence>(second.hear()));
}

TEST_F(CoordinatorTest, TheFirstSignalDrainsWhatRunsAndRefusesWhatComes) {
  start();
  auto client = connect();
  ASSERT_NE(client, nullptr);
  ASSERT_TRUE(client->submit(ids_request({10, 11}, 400)).ok());
  ASSERT_TRUE(client->ping(10s).ok());
  process_->signal(SIGTERM);
  process_->event("draining");
  const auto late = client->submit(ids_request({10}, 1));
  ASSERT_TRUE(late.ok());
  auto all = answers(*client, 2);
  EXPECT_EQ(all[1].ids.size(), 400u);
  ASSERT_TRUE(all[*late].error);
  EXPECT_EQ(all[*late].error->error_id, "TRI-REQ-083");
  process_->event("drained");
  EXPECT_EQ(process_->exit_status(), 0);
}

TEST_F(CoordinatorTest, TheSecondSignalAndTheEndOfItsParentStopIt) {
  start();
  auto client = connect();
  ASSERT_NE(client, nullptr);
  ASSERT_TRUE(client->submit(ids_request({9}, 1)).ok());
  ASSERT_TRUE(client->ping(10s).ok());
  process_->signal(SIGINT);
  process_->event("draining");
  process_->signal(SIGINT);
  EXPECT_EQ(process_->exit_status(), 130);
  const auto deadline = Clock::now() + 10s;
  Status lost;
  while (lost.ok() && Clock::now() < deadline) lost = client->poll(1s).status();
  EXPECT_EQ(error_id(lost), "TRI-NET-031");

  start();
  process_->close_stdin();
  EXPECT_EQ(process_->exit_status(), 130);
}

TEST_F(CoordinatorTest, ADrainCommandOnStandardInputDrains) {
  start();
  process_->write("drain\n");
  process_->event("drained");
  EXPECT_EQ(process_->exit_status(), 0);
}

TEST_F(CoordinatorTest, BadUsageAndAPortInUseEndWithTheirStatusAndId) {
  start();
  const std::string port = clients_.substr(clients_.rfind(':') + 1);
  const std::string other = testing::TempDir() + "/another-state";  // its own is locked
  Process second(command({"--port", port, "--state", other}));
  const Json in_use = second.event("error");
  EXPECT_EQ(in_use.value("id", ""), "TRI-NET-010");
  EXPECT_NE(in_use.value("message", "").find(port), std::string::npos);
  EXPECT_EQ(second.exit_status(), 3);
  EXPECT_EQ(Process({TRIREME_COORDINATOR_FAKE}).exit_status(), 2);
  EXPECT_EQ(Process(command({"--model", "/nowhere"})).exit_status(), 2);
  EXPECT_EQ(Process(command({"--host", "0.0.0.0", "--state", other})).exit_status(), 2);
  EXPECT_EQ(Process(command({"--groups", "0"})).exit_status(), 2);
}

TEST(ClientTest, AnUnreachableOrMalformedEndpointIsAnErrorInTime) {
  const auto begin = Clock::now();
  const auto nobody = Client::connect("tcp://127.0.0.1:1", 300ms);
  EXPECT_EQ(error_id(nobody.status()), "TRI-NET-032");
  EXPECT_NE(message_of(nobody.status()).find("127.0.0.1:1"), std::string::npos);
  EXPECT_LT(Clock::now() - begin, 5s);
  EXPECT_EQ(error_id(Client::connect("127.0.0.1", 300ms).status()), "TRI-NET-033");
}

// The block of docs/protocol.md that begins with this fence and the line after it.
std::string python_client() {
  std::ifstream file(TRIREME_SOURCE_DIR "/docs/protocol.md");
  std::stringstream text;
  text << file.rdbuf();
  const std::string page = text.str();
  const std::string fence = "```python\n";
  const size_t begin = page.find(fence);
  if (begin == std::string::npos) return "";
  const size_t end = page.find("```", begin + fence.size());
  return page.substr(begin + fence.size(), end - begin - fence.size());
}

TEST_F(CoordinatorTest, ThePythonClientOfTheProtocolPageGetsItsAnswer) {
  const std::string program = python_client();
  ASSERT_FALSE(program.empty());
  std::ifstream file(TRIREME_SOURCE_DIR "/clients/python/client.py");
  std::stringstream stored;
  stored << file.rdbuf();
  EXPECT_EQ(program, stored.str()) << "the page and clients/python/client.py differ";
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "python_client";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "client.py") << program;
  Process protoc({"protoc",
                  "-I",
                  TRIREME_SOURCE_DIR "/proto",
                  "--python_out=" + folder.string(),
                  "client.proto",
                  "client_status.proto"});
  ASSERT_EQ(protoc.exit_status(), 0);
  start();
  Process python({"/usr/bin/python3", (folder / "client.py").string(), clients_, "The galley"});
  const std::string said = python.everything();
  EXPECT_NE(said.find("<"), std::string::npos) << said;
  EXPECT_EQ(python.exit_status(), 0);
}

}  // namespace
}  // namespace trireme
