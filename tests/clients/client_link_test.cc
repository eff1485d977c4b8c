// A Client for an event loop over real sockets, with a ROUTER socket in the coordinator's place.
// The Client's side waits for its descriptor and its timer alone; every wait is bounded.
#include "clients/cpp/client_link.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <zmq.hpp>

#include "clients/cpp/client.h"
#include "proto/client_codec.h"

namespace trireme {
namespace client_link_test {

using Milliseconds = Client::Milliseconds;
using TestClock = std::chrono::steady_clock;
constexpr Milliseconds kLimit{10'000};

// The coordinator's side of the door.
class Peer {
 public:
  // Port 0: one that the kernel chooses.
  explicit Peer(const std::string& endpoint = "tcp://127.0.0.1:*")
      : context_(1), router_(context_, zmq::socket_type::router) {
    router_.set(zmq::sockopt::linger, 0);
    router_.set(zmq::sockopt::rcvhwm, 1);
    router_.set(zmq::sockopt::rcvtimeo, 0);
    router_.bind(endpoint);
    endpoint_ = router_.get(zmq::sockopt::last_endpoint);
  }
  const std::string& endpoint() const { return endpoint_; }
  const std::set<std::string>& identities() const { return identities_; }

  std::optional<door::FromClient> receive() {
    zmq::message_t identity;
    zmq::message_t frame;
    if (!router_.recv(identity) || !router_.recv(frame)) return std::nullopt;
    identity_ = identity.to_string();
    identities_.insert(identity_);
    auto message = codec_.decode_from_client(frame.to_string_view());
    EXPECT_TRUE(message.ok()) << message_of(message.status());
    return message.ok() ? std::optional(std::move(*message)) : std::nullopt;
  }
  void answer(const door::ToClient& message) {
    std::string frame;
    codec_.encode(message, frame);
    router_.send(zmq::buffer(identity_), zmq::send_flags::sndmore);
    router_.send(zmq::buffer(frame), zmq::send_flags::none);
  }
  int descriptor() { return router_.get(zmq::sockopt::fd); }

 private:
  zmq::context_t context_;
  zmq::socket_t router_;
  ClientCodec codec_;
  std::string endpoint_;
  std::string identity_;  // of the last frame
  std::set<std::string> identities_;
};

class ClientLinkTest : public testing::Test {
 protected:
  void open(const std::string& endpoint, const ClientOptions& options = {}) {
    auto client = Client::open(endpoint, options);
    ASSERT_TRUE(client.ok()) << message_of(client.status());
    client_ = std::move(*client);
  }
  // One turn of an event loop; 1 ms at most, since the peer needs its turns too.
  void turn() {
    const Milliseconds wait = std::min(client_->next_action_in().value_or(kLimit), Milliseconds(1));
    pollfd item = {client_->descriptor(), POLLIN, 0};
    const bool readable = ::poll(&item, 1, static_cast<int>(wait.count())) > 0;
    if (!readable && client_->next_action_in() != Milliseconds(0)) return;
    auto events = client_->poll(Milliseconds(0));
    ASSERT_TRUE(events.ok()) << message_of(events.status());
    for (ClientEvent& event : *events) events_.push_back(std::move(event));
  }
  bool until(const std::function<bool()>& done) {
    const auto deadline = TestClock::now() + kLimit;
    while (!done() && TestClock::now() < deadline) {
      if (peer_) serve();
      turn();
    }
    return done();
  }
  // Hello and Ping are answered at once; other messages are kept.
  void serve() {
    while (!peer_sleeps_) {
      auto message = peer_->receive();
      if (!message) return;
      if (std::holds_alternative<door::Hello>(*message)) {
        door::Welcome welcome;
        welcome.default_credit_bytes = 1'000;
        peer_->answer(welcome);
      } else if (const auto* ping = std::get_if<door::Ping>(&*message)) {
        peer_->answer(door::Pong{.nonce = ping->nonce, .reason = ""});
      } else {
        received_.push_back(std::move(*message));
      }
    }
  }
  bool ready() const { return client_->state() == ClientState::kReady; }
  uint64_t submit(size_t bytes) {
    door::Submit request;
    request.prompt = std::string(bytes, 'x');
    const auto tag = client_->submit(std::move(request));
    EXPECT_TRUE(tag.ok());
    return tag.value_or(0);
  }

  std::optional<Peer> peer_;
  bool peer_sleeps_ = false;
  std::vector<door::FromClient> received_;
  std::unique_ptr<Client> client_;
  std::vector<ClientEvent> events_;
};

std::string free_endpoint() { return Peer().endpoint(); }

TEST_F(ClientLinkTest, AMalformedEndpointIsRefusedAtOnce) {
  EXPECT_EQ(error_id(Client::open("127.0.0.1", {}).status()), "TRI-NET-033");
}

TEST_F(ClientLinkTest, ACoordinatorThatComesLaterIsFound) {
  const std::string endpoint = free_endpoint();
  open(endpoint);
  for (int i = 0; i < 50; ++i) turn();
  EXPECT_EQ(client_->state(), ClientState::kConnecting);
  peer_.emplace(endpoint);
  ASSERT_TRUE(until([&] { return ready(); }));
  EXPECT_EQ(client_->welcome().default_credit_bytes, 1'000);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(std::get<ConnectionChange>(events_[0]).state, ClientState::kReady);
}

TEST_F(ClientLinkTest, AfterAConnectionLostInMidStreamTheRequestGoesOnWithANewIdentity) {
  peer_.emplace();
  const std::string endpoint = peer_->endpoint();
  open(endpoint);
  ASSERT_TRUE(until([&] { return ready(); }));
  const int descriptor = client_->descriptor();
  const uint64_t tag = submit(10);
  ASSERT_TRUE(until([&] { return received_.size() == 1; }));
  door::Piece piece;
  piece.tag = tag;
  piece.text = "half";
  peer_->answer(door::Tokens{{piece}});
  ASSERT_TRUE(until([&] { return events_.size() == 2; }));
  const std::set<std::string> first = peer_->identities();
  events_.clear();

  peer_.reset();
  ASSERT_TRUE(until([&] { return !ready(); }));
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(std::get<ConnectionChange>(events_[0]).state, ClientState::kConnecting);

  peer_.emplace(endpoint);
  ASSERT_TRUE(until([&] { return ready(); }));
  ASSERT_EQ(peer_->identities().size(), 1u);
  EXPECT_FALSE(first.contains(*peer_->identities().begin()));
  EXPECT_EQ(client_->descriptor(), descriptor) << "an event loop registers it once";
  ASSERT_TRUE(until([&] { return received_.size() == 2; }));
  EXPECT_EQ(std::get<door::Submit>(received_[1]).tag, tag);
}

TEST_F(ClientLinkTest, APeerThatReadsNothingCostsABoundedQueueAndLosesNothing) {
  constexpr size_t kBytes = 256 << 10;
  peer_.emplace();
  open(peer_->endpoint(), {.resumes = false, .max_unsent_bytes = 4 << 20});
  ASSERT_TRUE(until([&] { return ready(); }));
  events_.clear();
  peer_sleeps_ = true;
  // 16 frames in the socket, 16 in the queue, and those in the buffers of the kernel.
  std::vector<uint64_t> sent;
  while (events_.empty() && sent.size() < 1'000) {
    const uint64_t tag = submit(kBytes);
    turn();
    if (events_.empty()) sent.push_back(tag);
  }
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(std::get<door::Error>(events_[0]).error_id, "TRI-NET-030");
  EXPECT_GE(sent.size(), 32u);
  peer_sleeps_ = false;
  ASSERT_TRUE(until([&] { return received_.size() == sent.size(); }));
  for (size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(std::get<door::Submit>(received_[i]).tag, sent[i]);
  }
}

TEST_F(ClientLinkTest, TheDescriptorTellsOfEachFrameHoweverCallsAndFramesInterleave) {
  peer_.emplace();
  open(peer_->endpoint());
  ASSERT_TRUE(until([&] { return ready(); }));
  events_.clear();
  size_t asked = 0;
  size_t answered = 0;
  for (int round = 0; round < 500; ++round) {
    for (int i = 0; i <= round % 7; ++i) {
      ASSERT_TRUE(client_->ask_ping().ok());
      ++asked;
      // Answers arrive while other calls use the socket.
      serve();
      if (i % 2 == 0) {
        EXPECT_TRUE(client_->ask_models().ok());
      }
    }
    if (round % 50 != 49) continue;
    ASSERT_TRUE(until([&] {
      answered = std::ranges::count_if(events_, [](const ClientEvent& event) {
        return std::holds_alternative<door::Pong>(event);
      });
      return answered == asked;
    })) << answered
        << " of " << asked;
  }
}

}  // namespace client_link_test
}  // namespace trireme
