// The answer to one HTTP request for ids or a text: one Tokenize or Detokenize of the door. Loop's
// thread.
#pragma once

#include "clients/gateway/generation.h"

namespace trireme::gateway {

class Question final : public Answer {
 public:
  // The table owns it and outlives it.
  Question(const Generation::Surroundings& around,
           RequestFacts facts,
           ApiCall call,
           HttpExchange& exchange);

  void start() override;
  void on_door_event(int index, ClientEvent event) override;
  void on_sent() override {}
  void on_gone(std::string_view reason) override;
  void tick(TimeUs now_us) override;
  void fail(const ApiError& error) override;

 private:
  void respond(std::string body);
  void finish();

  const Generation::Surroundings around_;
  const RequestFacts facts_;
  ApiCall call_;
  HttpExchange* exchange_;
  const TimeUs began_us_;
  uint64_t tag_ = 0;
  bool is_over_ = false;  // nothing more comes for the tag
};

}  // namespace trireme::gateway
