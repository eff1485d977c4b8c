// Both doors on loopback with real sockets. Every wait is bounded; none is a sleep.
#include "coordinator/doors/zmq_doors.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <zmq.hpp>

namespace trireme {
namespace zmq_doors_test {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

class Recorder final : public Transport::Handler {
 public:
  void on_client_frame(PeerId peer, std::string_view frame) override {
    client_frames.emplace_back(peer, frame);
  }
  void on_client_gone(PeerId peer) override { clients_gone.push_back(peer); }
  void on_worker_frame(PeerId peer, std::string_view frame) override {
    worker_frames.emplace_back(peer, frame);
  }
  void on_worker_gone(PeerId peer) override { workers_gone.push_back(peer); }
  void on_readable(int fd) override { readable.push_back(fd); }

  std::vector<std::pair<PeerId, std::string>> client_frames;
  std::vector<std::pair<PeerId, std::string>> worker_frames;
  std::vector<PeerId> clients_gone;
  std::vector<PeerId> workers_gone;
  std::vector<int> readable;
};

class ZmqDoorsTest : public testing::Test {
 protected:
  ZmqDoorsTest()
      : state_(std::filesystem::temp_directory_path() / format_text("doors_{}", ::getpid())) {
    std::filesystem::create_directories(state_);
    options_.state_dir = state_.string();
  }
  ~ZmqDoorsTest() override { std::filesystem::remove_all(state_); }

  void open() {
    auto doors = ZmqDoors::open(options_);
    ASSERT_TRUE(doors.ok()) << doors.status();
    doors_ = std::move(*doors);
  }
  bool until(const std::function<bool()>& done, milliseconds limit = milliseconds(5000)) {
    const auto end = Clock::now() + limit;
    while (!done() && Clock::now() < end) doors_->turn(10'000, seen_);
    return done();
  }
  zmq::socket_t dealer(const std::string& endpoint) {
    zmq::socket_t socket(context_, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::linger, 0);
    socket.connect(endpoint);
    return socket;
  }
  static std::string heard(zmq::socket_t& socket) {
    socket.set(zmq::sockopt::rcvtimeo, 5000);
    zmq::message_t message;
    if (!socket.recv(message)) return "nothing";
    return message.to_string();
  }

  std::filesystem::path state_;
  ZmqDoorsOptions options_;
  zmq::context_t context_;
  std::unique_ptr<ZmqDoors> doors_;
  Recorder seen_;
};

TEST_F(ZmqDoorsTest, FramesPassBothWaysAndPeersAreNumbered) {
  open();
  zmq::socket_t a = dealer(doors_->endpoints().client);
  zmq::socket_t b = dealer(doors_->endpoints().client);
  a.send(zmq::str_buffer("from a"));
  ASSERT_TRUE(until([&] { return seen_.client_frames.size() == 1; }));
  b.send(zmq::str_buffer("from b"));
  ASSERT_TRUE(until([&] { return seen_.client_frames.size() == 2; }));
  EXPECT_NE(seen_.client_frames[0].first, seen_.client_frames[1].first);
  EXPECT_EQ(seen_.client_frames[1].second, "from b");
  EXPECT_EQ(doors_->clients().send(seen_.client_frames[0].first, "to a"), SendOutcome::kSent);
  EXPECT_EQ(doors_->clients().send(seen_.client_frames[1].first, "to b"), SendOutcome::kSent);
  EXPECT_EQ(heard(b), "to b");
  EXPECT_EQ(heard(a), "to a");
}

TEST_F(ZmqDoorsTest, ALeadingEmptyDelimiterIsAcceptedAndReturned) {
  open();
  zmq::socket_t a = dealer(doors_->endpoints().client);
  a.send(zmq::str_buffer(""), zmq::send_flags::sndmore);
  a.send(zmq::str_buffer("hello"));
  ASSERT_TRUE(until([&] { return seen_.client_frames.size() == 1; }));
  EXPECT_EQ(seen_.client_frames[0].second, "hello");
  doors_->clients().send(seen_.client_frames[0].first, "answer");
  EXPECT_EQ(heard(a), "");
  EXPECT_EQ(heard(a), "answer");
}

TEST_F(ZmqDoorsTest, AMessageOfSeveralPayloadsIsAnEmptyFrameToTheLogic) {
  open();
  zmq::socket_t a = dealer(doors_->endpoints().client);
  a.send(zmq::str_buffer("one"), zmq::send_flags::sndmore);
  a.send(zmq::str_buffer("two"));
  ASSERT_TRUE(until([&] { return seen_.client_frames.size() == 1; }));
  EXPECT_EQ(seen_.client_frames[0].second, "");
}

// Returns when the I/O thread of the doors has handled all that was sent to them before.
void wait_for_io_thread(const std::string& endpoint) {
  zmq::context_t context;
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.set(zmq::sockopt::linger, 0);
  ASSERT_EQ(
      zmq_socket_monitor(socket.handle(), "inproc://handshake", ZMQ_EVENT_HANDSHAKE_SUCCEEDED), 0);
  zmq::socket_t monitor(context, zmq::socket_type::pair);
  monitor.set(zmq::sockopt::rcvtimeo, 5000);
  monitor.connect("inproc://handshake");
  socket.connect(endpoint);
  zmq::message_t event;
  ASSERT_TRUE(monitor.recv(event));
}

TEST_F(ZmqDoorsTest, TheLastFrameOfAConnectionComesBeforeItsEnd) {
  open();
  for (int life = 0; life < 20; ++life) {
    seen_ = {};
    {
      zmq::context_t context;
      zmq::socket_t a(context, zmq::socket_type::dealer);
      a.connect(doors_->endpoints().worker);
      a.send(zmq::str_buffer("hello"));
      ASSERT_TRUE(until([&] { return seen_.worker_frames.size() == 1; }));
      a.send(zmq::str_buffer("goodbye"));
    }  // waits until all is sent
    wait_for_io_thread(doors_->endpoints().worker);
    ASSERT_TRUE(until([&] { return !seen_.workers_gone.empty(); }));
    ASSERT_EQ(seen_.worker_frames.size(), 2u);
    EXPECT_EQ(seen_.worker_frames[1].first, seen_.worker_frames[0].first);
    EXPECT_EQ(seen_.worker_frames[1].second, "goodbye");
  }
}

TEST_F(ZmqDoorsTest, AClosedConnectionIsReportedAndItsNumberNeverReused) {
  open();
  PeerId last = 0;
  for (int life = 0; life < 20; ++life) {  // the kernel reuses the same descriptor
    seen_ = {};
    zmq::socket_t a = dealer(doors_->endpoints().worker);
    a.send(zmq::str_buffer("hello"));
    ASSERT_TRUE(until([&] { return seen_.worker_frames.size() == 1; }));
    const PeerId peer = seen_.worker_frames[0].first;
    EXPECT_GT(peer, last);
    last = peer;
    a.close();
    ASSERT_TRUE(until([&] { return !seen_.workers_gone.empty(); }));
    EXPECT_EQ(seen_.workers_gone, (std::vector<PeerId>{peer}));
    EXPECT_EQ(doors_->workers().send(peer, "too late"), SendOutcome::kGone);
  }
}

TEST_F(ZmqDoorsTest, APeerThatStopsReadingFillsItsQueueAndIsReportedFull) {
  open();
  zmq::socket_t a = dealer(doors_->endpoints().client);
  a.send(zmq::str_buffer("hello"));
  ASSERT_TRUE(until([&] { return seen_.client_frames.size() == 1; }));
  const PeerId peer = seen_.client_frames[0].first;
  const std::string frame(16 << 10, 'x');
  int sent = 0;
  while (sent < 20'000 && doors_->clients().send(peer, frame) == SendOutcome::kSent) ++sent;
  EXPECT_LT(sent, 20'000);
  EXPECT_EQ(doors_->clients().send(peer, frame), SendOutcome::kFull);
  a.set(zmq::sockopt::rcvtimeo, 5000);
  zmq::message_t message;
  for (int i = 0; i < sent; ++i) ASSERT_TRUE(a.recv(message)) << "lost after " << i;
}

TEST_F(ZmqDoorsTest, AFrameAboveTheLimitEndsOnlyItsConnection) {
  open();
  zmq::socket_t good = dealer(doors_->endpoints().client);
  zmq::socket_t bad = dealer(doors_->endpoints().client);
  bad.send(zmq::str_buffer("hello"));
  ASSERT_TRUE(until([&] { return seen_.client_frames.size() == 1; }));
  bad.send(zmq::message_t(17 << 20), zmq::send_flags::none);
  ASSERT_TRUE(until([&] { return seen_.clients_gone.size() == 1; }));
  good.send(zmq::str_buffer("good"));
  ASSERT_TRUE(until([&] { return seen_.client_frames.size() == 2; }));
  EXPECT_EQ(seen_.client_frames[1].second, "good");
}

TEST_F(ZmqDoorsTest, APortInUseIsNamed) {
  open();
  const std::string endpoint = doors_->endpoints().client;
  ZmqDoorsOptions second = options_;
  second.clients.port = std::stoi(endpoint.substr(endpoint.rfind(':') + 1));
  const auto refused = ZmqDoors::open(second);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(error_id(refused.status()), "TRI-NET-010");
  EXPECT_NE(message_of(refused.status()).find(format_text("{}", second.clients.port)),
            std::string::npos);
  ZmqDoorsOptions nowhere = options_;
  nowhere.workers.host = "192.0.2.1";
  EXPECT_EQ(error_id(ZmqDoors::open(nowhere).status()), "TRI-NET-011");
}

TEST_F(ZmqDoorsTest, TheClientDoorOffLoopbackNeedsInsecure) {
  options_.clients.host = "0.0.0.0";
  EXPECT_EQ(error_id(ZmqDoors::open(options_).status()), "TRI-NET-012");
  options_.insecure_clients = true;
  EXPECT_TRUE(ZmqDoors::open(options_).ok());
}

TEST_F(ZmqDoorsTest, WakeAndWatchedDescriptorsEndTheWait) {
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  options_.watch_fds = {fds[0]};
  open();
  const auto begin = Clock::now();
  doors_->wake();
  doors_->turn(20'000'000, seen_);
  ASSERT_EQ(::write(fds[1], "x", 1), 1);
  doors_->turn(20'000'000, seen_);
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
  EXPECT_EQ(seen_.readable, (std::vector<int>{fds[0]}));
  ::close(fds[0]);
  ::close(fds[1]);
}

TEST_F(ZmqDoorsTest, AnyPortIsOneThatNoConnectionIsGiven) {
  open();
  int first = 0;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first;
  if (first < 21'000) GTEST_SKIP() << "this machine gives connections almost every port";
  for (const std::string& endpoint : {doors_->endpoints().client, doors_->endpoints().worker}) {
    EXPECT_LT(std::stoi(endpoint.substr(endpoint.rfind(':') + 1)), first) << endpoint;
  }
}

class CurveTest : public ZmqDoorsTest {
 protected:
  CurveTest() { options_.always_curve = true; }

  WorkerKey launch_key() {
    std::ifstream file(doors_->endpoints().worker_key_file);
    std::stringstream text;
    text << file.rdbuf();
    auto key = parse_worker_key(text.str());
    EXPECT_TRUE(key.ok()) << key.status();
    return key.ok() ? *key : WorkerKey{};
  }
  zmq::socket_t rank(const std::string& server, const std::string& pub, const std::string& secret) {
    zmq::socket_t socket(context_, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::linger, 0);
    const auto set = [&](int option, const std::string& key) {
      ASSERT_EQ(zmq_setsockopt(socket.handle(), option, key.data(), key.size()), 0);
    };
    set(ZMQ_CURVE_SERVERKEY, server);
    set(ZMQ_CURVE_PUBLICKEY, pub);
    set(ZMQ_CURVE_SECRETKEY, secret);
    socket.connect(doors_->endpoints().worker);
    return socket;
  }
  static std::pair<std::string, std::string> random_pair() {
    char pub[41], secret[41];
    zmq_curve_keypair(pub, secret);
    std::pair<std::string, std::string> pair(std::string(32, 0), std::string(32, 0));
    zmq_z85_decode(reinterpret_cast<uint8_t*>(pair.first.data()), pub);
    zmq_z85_decode(reinterpret_cast<uint8_t*>(pair.second.data()), secret);
    return pair;
  }
};

TEST_F(CurveTest, OnlyTheKeyOfTheLaunchIsAccepted) {
  open();
  const WorkerKey key = launch_key();
  const auto [pub, secret] = random_pair();
  zmq::socket_t stranger = rank(key.server_public, pub, secret);
  zmq::socket_t naked = dealer(doors_->endpoints().worker);
  stranger.send(zmq::str_buffer("stranger"));
  naked.send(zmq::str_buffer("naked"));
  zmq::socket_t friendly = rank(key.server_public, key.client_public, key.client_secret);
  friendly.send(zmq::str_buffer("friend"));
  ASSERT_TRUE(until([&] { return !seen_.worker_frames.empty(); }));
  until([&] { return seen_.worker_frames.size() > 1; }, milliseconds(300));
  ASSERT_EQ(seen_.worker_frames.size(), 1u);
  EXPECT_EQ(seen_.worker_frames[0].second, "friend");
}

TEST_F(CurveTest, TheKeyFileIsForItsOwnerAloneAndNewEachTime) {
  open();
  struct stat info {};
  ASSERT_EQ(::stat(doors_->endpoints().worker_key_file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const std::string first = to_hex(launch_key());
  doors_.reset();
  open();
  EXPECT_NE(to_hex(launch_key()), first);
}

TEST_F(CurveTest, RanksOfTheLaunchKnowTheNextCoordinatorThatKeepsTheKey) {
  open();
  const WorkerKey key = launch_key();
  doors_.reset();
  options_.keep_worker_key = true;
  open();
  EXPECT_EQ(to_hex(launch_key()), to_hex(key));
  zmq::socket_t friendly = rank(key.server_public, key.client_public, key.client_secret);
  friendly.send(zmq::str_buffer("friend"));
  ASSERT_TRUE(until([&] { return !seen_.worker_frames.empty(); }));
  doors_.reset();
  std::ofstream(state_ / "worker_door.key") << "damaged";
  open();
  EXPECT_NE(to_hex(launch_key()), to_hex(key));
}

TEST_F(CurveTest, AKeyFileThatCannotBeWrittenIsAnError) {
  options_.state_dir = (state_ / "absent").string();
  EXPECT_EQ(error_id(ZmqDoors::open(options_).status()), "TRI-NET-015");
}

}  // namespace zmq_doors_test
}  // namespace trireme
