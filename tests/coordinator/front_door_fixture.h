// A FrontDoor of a small model, driven with frames; what it sends stays with the sender.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "coordinator/doors/clients/front_door.h"
#include "proto/credit.h"
#include "tests/coordinator/fake_sender.h"

namespace trireme {

inline FrontDoorOptions front_door_options() {
  FrontDoorOptions options;
  options.server = "trireme test";
  options.model.name = "demo";
  options.model.vocabulary_size = 100;
  options.rules.model_name = "demo";
  options.rules.vocabulary_size = 100;
  options.rules.max_model_len = 16;
  options.rules.num_layers = 4;
  options.rules.has_tokenizer = true;
  return options;
}

inline bool disconnected(const DoorOutput& output, PeerId peer) {
  for (const Event& event : output.events) {
    const auto* gone = std::get_if<event::Disconnected>(&event);
    if (gone != nullptr && gone->connection == peer) return true;
  }
  return false;
}

class FrontDoorTest : public testing::Test {
 protected:
  void make(const FrontDoorOptions& with) { door_ = std::make_unique<FrontDoor>(with, &sender_); }
  void SetUp() override { make(front_door_options()); }

  void say(PeerId peer, const door::FromClient& message) {
    std::string frame;
    codec_.encode(message, frame);
    door_->on_frame(peer, frame, now_us_, output_);
  }
  void hello(PeerId peer) {
    say(peer, door::Hello{});
    ASSERT_EQ(heard(peer).size(), 1u);
  }
  std::vector<door::ToClient> heard(PeerId peer) {
    door_->flush(now_us_, output_);
    std::vector<door::ToClient> messages;
    for (const std::string& frame : sender_.take(peer)) {
      auto message = codec_.decode_to_client(frame);
      EXPECT_TRUE(message.ok()) << message.status();
      if (message.ok()) messages.push_back(*message);
    }
    return messages;
  }
  std::string refusal(PeerId peer, uint64_t tag) {
    const auto messages = heard(peer);
    if (messages.size() != 1 || !std::holds_alternative<door::Error>(messages[0])) return "none";
    const auto& error = std::get<door::Error>(messages[0]);
    EXPECT_EQ(error.tag, tag);
    EXPECT_EQ(error.message.substr(0, error.error_id.size()), error.error_id);
    return error.error_id;
  }
  void tokenized(uint64_t job, std::vector<TokenId> ids) {
    TokenizerResult result;
    result.job = job;
    result.ids = std::move(ids);
    door_->on_tokenized(std::move(result), output_);
  }
  static door::Submit ids_request(uint64_t tag) {
    door::Submit submit;
    submit.tag = tag;
    submit.prompt = std::vector<TokenId>{1, 2, 3};
    return submit;
  }
  // Submits and lets the Engine accept it as request {0, tag}.
  void accept(PeerId peer, uint64_t tag, int64_t credit = 0) {
    door::Submit submit = ids_request(tag);
    submit.credit_bytes = credit;
    say(peer, submit);
    effect::Accept accept;
    accept.connection = peer;
    accept.client_tag = tag;
    accept.request = {0, tag};
    accept.seed = 5;
    accept.prompt_tokens = 3;
    door_->on_effect(accept, output_);
    ASSERT_TRUE(std::holds_alternative<door::Accepted>(heard(peer).at(0)));
    output_.events.clear();
  }
  void tokens(PeerId peer, uint64_t tag, int first, std::vector<TokenId> ids, std::string text) {
    effect::Tokens tokens;
    tokens.connection = peer;
    tokens.client_tag = tag;
    tokens.first_index = first;
    tokens.ids = std::move(ids);
    tokens.text = std::move(text);
    door_->on_effect(std::move(tokens));
  }
  void finish(PeerId peer, uint64_t tag) {
    effect::Finish finish;
    finish.connection = peer;
    finish.client_tag = tag;
    finish.reason = FinishReason::kLength;
    finish.last_choice = true;
    door_->on_effect(finish);
  }

  FakeSender sender_;
  ClientCodec codec_;
  std::unique_ptr<FrontDoor> door_;
  DoorOutput output_;
  TimeUs now_us_ = 1'000'000;
};

}  // namespace trireme
