// Requests of HTTP/1.x from bytes: forms, limits, and every cut of the bytes gives the same
// request.
#include "clients/gateway/http/request_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace trireme::gateway {
namespace request_reader_test {

using testing::HasSubstr;
using State = RequestReader::State;

struct Read {
  State state = State::kHead;
  HttpRequest request;
  HttpRefusal refusal;
  std::string rest;
};

// Feeds `bytes` in pieces of `piece` bytes, as a connection does.
Read read(const std::string& bytes, size_t piece = std::string::npos, HttpLimits limits = {}) {
  RequestReader reader(limits);
  std::string input;
  size_t fed = 0;
  while (true) {
    const size_t used = reader.take(input);
    input.erase(0, used);
    if (reader.state() == State::kHeadDone) {
      reader.read_body();
      continue;
    }
    if (reader.state() == State::kDone || reader.state() == State::kRefused) break;
    if (used > 0 && !input.empty()) continue;
    if (fed == bytes.size()) break;
    input += bytes.substr(fed, piece);
    fed += std::min(piece, bytes.size() - fed);
  }
  if (fed < bytes.size()) input += bytes.substr(fed);
  return {reader.state(), reader.request(), reader.refusal(), input};
}

constexpr char kPost[] =
    "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
constexpr char kChunked[] =
    "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    "3;name=value\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n";

TEST(RequestReader, ReadsTheSameRequestInPiecesOfAnySize) {
  for (const std::string bytes : {kPost, kChunked}) {
    for (size_t piece = 1; piece <= bytes.size(); ++piece) {
      const Read result = read(bytes + "GET", piece);
      ASSERT_EQ(result.state, State::kDone) << piece << result.refusal.message;
      EXPECT_EQ(result.request.method, "POST");
      EXPECT_EQ(result.request.target, "/v1/x");
      EXPECT_EQ(result.request.body, "hello");
      EXPECT_TRUE(result.request.has_body);
      EXPECT_TRUE(result.request.keeps_alive);
      EXPECT_EQ(result.request.header("host"), "a");
      EXPECT_EQ(result.request.header("trailer"), "");
      EXPECT_EQ(result.rest, "GET");
    }
  }
}

TEST(RequestReader, SkipsEmptyLinesBetweenRequests) {
  const Read result = read("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(result.state, State::kDone);
  EXPECT_FALSE(result.request.has_body);
}

TEST(RequestReader, Http10KeepsAliveOnlyIfAsked) {
  EXPECT_FALSE(read("GET / HTTP/1.0\r\n\r\n").request.keeps_alive);
  EXPECT_TRUE(read("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").request.keeps_alive);
  EXPECT_FALSE(read("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").request.keeps_alive);
  EXPECT_EQ(read("GET / HTTP/1.0\r\n\r\n").request.minor_version, 0);
}

TEST(RequestReader, ExpectationsOfHttp11AreKnown) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: ";
  EXPECT_TRUE(read(head + "100-Continue\r\n\r\n").request.expects_100);
  const Read other = read(head + "tea\r\n\r\n");
  EXPECT_EQ(other.refusal.status, 417);
  EXPECT_EQ(other.refusal.error_id, "TRI-HTTP-006");
}

struct Refusal {
  const char* name;
  std::string bytes;
  int status;
  const char* id;
};

std::ostream& operator<<(std::ostream& out, const Refusal& refusal) { return out << refusal.name; }

class Refuses : public testing::TestWithParam<Refusal> {};

TEST_P(Refuses, WithItsStatusAndId) {
  for (const size_t piece : {size_t{1}, size_t{7}, std::string::npos}) {
    const Read result = read(GetParam().bytes, piece);
    ASSERT_EQ(result.state, State::kRefused) << "pieces of " << piece;
    EXPECT_EQ(result.refusal.status, GetParam().status) << result.refusal.message;
    EXPECT_EQ(result.refusal.error_id, GetParam().id);
    EXPECT_THAT(result.refusal.message, testing::StartsWith(std::string(GetParam().id) + ": "));
  }
}

std::string with_headers(const std::string& headers) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n";
}

std::string many_headers(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "X-" + std::to_string(i) + ": y\r\n";
  return text;
}

INSTANTIATE_TEST_SUITE_P(
    RequestReader,
    Refuses,
    testing::Values(
        Refusal{"two lengths",
                with_headers("Content-Length: 1\r\nContent-Length: 2\r\n"),
                400,
                "TRI-HTTP-002"},
        Refusal{"equal lengths",
                with_headers("Content-Length: 1\r\nContent-Length: 1\r\n"),
                400,
                "TRI-HTTP-002"},
        Refusal{"listed lengths", with_headers("Content-Length: 1, 1\r\n"), 400, "TRI-HTTP-002"},
        Refusal{"length and chunks",
                with_headers("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
                400,
                "TRI-HTTP-002"},
        Refusal{"chunks and length",
                with_headers("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"),
                400,
                "TRI-HTTP-002"},
        Refusal{"chunked twice",
                with_headers("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
                400,
                "TRI-HTTP-002"},
        Refusal{
            "coding", with_headers("Transfer-Encoding: gzip, chunked\r\n"), 501, "TRI-HTTP-006"},
        Refusal{"negative length", with_headers("Content-Length: -1\r\n"), 400, "TRI-HTTP-001"},
        Refusal{"length of letters", with_headers("Content-Length: abc\r\n"), 400, "TRI-HTTP-001"},
        Refusal{"large body", with_headers("Content-Length: 33554433\r\n"), 413, "TRI-HTTP-005"},
        Refusal{"large line", "GET /" + std::string(9000, 'x'), 414, "TRI-HTTP-003"},
        Refusal{"large headers",
                with_headers("X: " + std::string(17000, 'y') + "\r\n"),
                431,
                "TRI-HTTP-004"},
        Refusal{"many headers", with_headers(many_headers(100)), 431, "TRI-HTTP-004"},
        Refusal{"no host", "GET / HTTP/1.1\r\n\r\n", 400, "TRI-HTTP-001"},
        Refusal{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "TRI-HTTP-001"},
        Refusal{"version", "GET / HTTP/3.7\r\nHost: a\r\n\r\n", 400, "TRI-HTTP-001"},
        Refusal{"no HTTP", "hello world\r\n\r\n", 400, "TRI-HTTP-001"},
        Refusal{"bare line feed", "GET / HTTP/1.1\nHost: a\n\n", 400, "TRI-HTTP-001"},
        Refusal{"space before colon", with_headers("X : y\r\n"), 400, "TRI-HTTP-001"},
        Refusal{"bad chunk",
                with_headers("Transfer-Encoding: chunked\r\n") + "zz\r\nhello\r\n",
                400,
                "TRI-HTTP-001"},
        Refusal{"endless chunk header",
                with_headers("Transfer-Encoding: chunked\r\n") + "5;" + std::string(40000, 'a'),
                400,
                "TRI-HTTP-001"}));

TEST(RequestReader, AHundredHeadersAreAllowed) {
  EXPECT_EQ(read(with_headers(many_headers(99))).state, State::kDone);
}

TEST(RequestReader, AChunkedBodyAboveTheLimitIsRefusedWhileItArrives) {
  HttpLimits limits;
  limits.body_bytes = 1000;
  std::string bytes = with_headers("Transfer-Encoding: chunked\r\n");
  for (int i = 0; i < 4; ++i) bytes += "190\r\n" + std::string(400, 'x') + "\r\n";
  const Read result = read(bytes, 64, limits);
  EXPECT_EQ(result.refusal.status, 413);
  EXPECT_LE(result.request.body.size(), 1000u);
}

TEST(RequestReader, HostileBytesNeverHoldMoreThanTheLimits) {
  std::mt19937 random(7);
  const std::string samples[] = {kPost, kChunked, "GET / HTTP/1.0\r\n\r\n"};
  for (int round = 0; round < 30'000; ++round) {
    std::string bytes = samples[random() % std::size(samples)];
    const int changes = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < changes; ++i) {
      const size_t at = random() % bytes.size();
      const char byte = "\r\n\0 :;0f,\x80GHTP/1."[random() % 18];
      switch (random() % 3) {
        case 0:
          bytes[at] = byte;
          break;
        case 1:
          bytes.insert(at, 1, byte);
          break;
        default:
          bytes.erase(at, 1 + random() % 3);
          if (bytes.empty()) bytes = "G";
      }
    }
    const Read whole = read(bytes);
    const Read pieces = read(bytes, 1 + random() % 9);
    EXPECT_EQ(whole.state, pieces.state) << testing::PrintToString(bytes);
    EXPECT_EQ(whole.request.body, pieces.request.body);
    EXPECT_EQ(whole.request.target, pieces.request.target);
  }
}

}  // namespace request_reader_test
}  // namespace trireme::gateway
