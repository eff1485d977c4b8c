// The C++ client over a transport that keeps its frames: a request that a coordinator cannot take
// is refused alone and never sent, since its frame would end the connection of the others.
#include "clients/cpp/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "tests/clients/fake_coordinator.h"

namespace trireme {
namespace client_test {

using testing::AllOf;
using testing::HasSubstr;
using Milliseconds = Client::Milliseconds;

class ClientTest : public testing::Test {
 protected:
  void connect(const door::Limits& limits = {}) {
    door::Welcome welcome;
    welcome.limits = limits;
    welcome.default_credit_bytes = 1000;
    auto transport = coordinator_.connector()->start();
    ASSERT_TRUE(transport.ok()) << message_of(transport.status());
    coordinator_.answer(welcome);
    auto client = Client::connect(std::move(*transport), Milliseconds(0));
    ASSERT_TRUE(client.ok()) << message_of(client.status());
    client_ = std::move(*client);
    sent().clear();
  }
  static door::Submit text_request(std::string text) {
    door::Submit request;
    request.prompt = std::move(text);
    return request;
  }
  // Submits and returns the message of the refusal; "" if the request was sent.
  std::string refusal(door::Submit request) {
    const size_t num_sent = sent().size();
    const auto tag = client_->submit(std::move(request));
    EXPECT_TRUE(tag.ok()) << message_of(tag.status());
    const auto events = client_->poll(Milliseconds(0));
    EXPECT_TRUE(events.ok()) << message_of(events.status());
    if (!tag.ok() || !events.ok() || events->empty()) {
      EXPECT_EQ(sent().size(), num_sent + 1);
      return "";
    }
    EXPECT_EQ(sent().size(), num_sent) << "a refused request was sent";
    const auto& error = std::get<door::Error>(events->front());
    EXPECT_EQ(error.tag, *tag);
    EXPECT_EQ(error.message.substr(0, error.error_id.size()), error.error_id);
    return error.message;
  }

  std::deque<std::string>& sent() { return coordinator_.newest().received; }

  FakeCoordinator coordinator_;
  std::unique_ptr<Client> client_;
};

TEST_F(ClientTest, APromptAboveTheLimitIsRefusedAloneWithItsSizeAndTheLimit) {
  connect();
  EXPECT_EQ(refusal(text_request("before")), "");
  EXPECT_THAT(refusal(text_request(std::string(18'000'000, 'x'))),
              AllOf(HasSubstr("TRI-NET-004: the prompt has 18000000 bytes"),
                    HasSubstr("16777216 bytes (16.0 MiB)")));
  EXPECT_EQ(refusal(text_request("after")), "");
  EXPECT_EQ(client_->num_open(), 2u);
}

TEST_F(ClientTest, TheLimitIsThatOfTheWholeRequest) {
  connect();
  // Tag and length of the text, tag, credit and the other fields: less than 64 bytes.
  EXPECT_EQ(refusal(text_request(std::string(kMaxPromptBytes - 64, 'x'))), "");
  EXPECT_LE(sent().back().size(), static_cast<size_t>(kMaxPromptBytes) + kFrameHeaderBytes);
  EXPECT_THAT(refusal(text_request(std::string(kMaxPromptBytes, 'x'))),
              HasSubstr("TRI-NET-004: the request has 167772"));
}

TEST_F(ClientTest, IdsAndListsCountAsTheyAreEncoded) {
  connect();
  door::Submit ids;
  ids.prompt = std::vector<TokenId>(6'000'000, 100'000);  // three bytes each
  ids.kind = door::Kind::kScore;
  EXPECT_THAT(refusal(ids), HasSubstr("TRI-NET-004: the request has 180000"));
  ids.prompt = std::vector<TokenId>(5'000'000, 100'000);
  EXPECT_EQ(refusal(ids), "");
  door::Submit probes = text_request("x");
  probes.kind = door::Kind::kProbe;
  probes.probes.assign(600'000, {100, -1});
  EXPECT_THAT(refusal(probes),
              AllOf(HasSubstr("TRI-NET-004: the request has 12000"),
                    HasSubstr("beside its prompt"),
                    HasSubstr("1048576 (1.00 MiB)")));
  door::Submit stops = text_request("x");
  stops.sampling.stop.assign(2'000, std::string(1'000, 's'));
  EXPECT_THAT(refusal(stops), HasSubstr("beside its prompt"));
}

TEST_F(ClientTest, TheLimitsOfTheCoordinatorApply) {
  door::Limits limits;
  limits.max_prompt_bytes = 2'000;
  limits.max_control_bytes = 1'000;
  connect(limits);
  EXPECT_THAT(refusal(text_request(std::string(2'001, 'x'))), HasSubstr("at most 2000 bytes"));
  EXPECT_EQ(refusal(text_request(std::string(1'900, 'x'))), "");
  door::Submit stops = text_request("x");
  stops.sampling.stop.assign(2, std::string(600, 's'));
  EXPECT_THAT(refusal(stops), HasSubstr("1000 (1000 B)"));
}

TEST_F(ClientTest, AnOtherMessageAboveTheLimitIsAnErrorAndIsNotSent) {
  connect();
  door::Resume resume;
  resume.request_id = std::string(2 << 20, 'r');
  EXPECT_EQ(error_id(client_->resume(resume).status()), "TRI-NET-004");
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(refusal(text_request("after")), "");
}

TEST_F(ClientTest, ATextThatIsNotUtf8IsRefusedAloneWithItsNameAndByte) {
  connect();
  EXPECT_THAT(refusal(text_request("caf\xE9 is")),
              HasSubstr("TRI-NET-003: the prompt of the request is not UTF-8 at byte 3"));
  const std::pair<const char*, void (*)(door::Submit&)> others[] = {
      {"stop string",
       [](door::Submit& r) {
         r.sampling.stop = {"fine", "\xFF"};
       }},
      {"model name", [](door::Submit& r) { r.model = "m\xFF"; }},
      {"idempotency_key", [](door::Submit& r) { r.idempotency_key = "\xFF"; }},
      {"traceparent", [](door::Submit& r) { r.traceparent = "\xFF"; }},
      {"content of a message",
       [](door::Submit& r) {
         r.prompt = door::Messages{{"user", "\xFF"}};
       }},
  };
  for (const auto& [field, edit] : others) {
    door::Submit request = text_request("x");
    edit(request);
    EXPECT_THAT(refusal(request), AllOf(HasSubstr(field), HasSubstr("not UTF-8")));
  }
  EXPECT_EQ(refusal(text_request("caf\xC3\xA9")), "");
}

}  // namespace client_test
}  // namespace trireme
