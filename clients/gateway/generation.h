// The answer to one HTTP request for generated text: a stream of the door per prompt, an
// AnswerWriter, and the HTTP exchange. The text is new, or that of an earlier request whose answer
// is resumed. States: waiting until every prompt is accepted, so that a refusal is a status; then
// answering; or running on without a client. Loop's thread.
// Invariant: what it holds of a stream is bounded by the stream's credit, which it gives back only
// when the socket has taken the answer so far.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "clients/gateway/answer_events.h"
#include "clients/gateway/answer_table.h"
#include "clients/gateway/api/api_call.h"
#include "clients/gateway/door_link.h"
#include "clients/gateway/http/http_exchange.h"
#include "clients/gateway/resume_request.h"

namespace trireme::gateway {

// Of one HTTP request, beside its body.
struct RequestFacts {
  Api api = Api::kChatCompletions;  // of a resumed answer: when its form is known
  ApiHeaders headers;
  std::string request_id;  // of the client, or made here; the public id goes before the latter
  std::vector<HttpHeader> cors_headers;
};

class Generation final : public Answer {
 public:
  struct Surroundings {
    DoorLink& door;
    AnswerTable& table;
    Clock& clock;
    TimeUs keep_alive_us;
    size_t num_running_on;  // streams without a client that there may be
  };

  // The table owns it and outlives it.
  Generation(const Surroundings& around, RequestFacts facts, ApiCall call, HttpExchange& exchange);
  Generation(const Surroundings& around,
             RequestFacts facts,
             ResumeRequest resume,
             HttpExchange& exchange);

  void start() override;
  void on_door_event(int prompt, ClientEvent event) override;
  void on_sent() override;
  void on_gone(std::string_view reason) override;
  void tick(TimeUs now_us) override;
  void fail(const ApiError& error) override;

 private:
  Generation(const Surroundings& around,
             RequestFacts facts,
             HttpExchange& exchange,
             size_t num_prompts,
             std::unique_ptr<AnswerWriter> writer);

  enum class State : uint8_t { kWaiting, kAnswering, kRunningOn, kOver };
  struct Prompt {
    uint64_t tag = 0;
    bool accepted = false;
    bool over = false;       // nothing more comes for its tag
    bool was_late = false;   // another stream had a greater nonce, and it has asked again
    int64_t owed_bytes = 0;  // credit to give back
  };

  void ask_for_rest(int prompt, uint64_t nonce = 0);
  bool asks_again(int prompt, const door::Error& error);
  void on_accepted(int prompt, door::Accepted accepted);
  void begin_answer();
  Status choose_form();
  void begin_head();
  void write_event(int prompt, ClientEvent event);
  void send_output();
  void give_back_credit();
  void complete();
  bool may_be_resumed() const;  // somebody may have the token
  bool outlives_client() const;
  bool has_room() const;   // to run on
  void leave();            // the client has got all that it gets
  void run_on();           // without a client
  void finish();           // the exchange has its answer
  void release_streams();  // those that are not over
  std::vector<HttpHeader> answer_headers() const;
  std::string public_id() const;  // the id that the client sees

  const Surroundings around_;
  RequestFacts facts_;
  ApiCall call_;
  std::optional<ResumeRequest> resume_;
  HttpExchange* exchange_;  // null: the client is gone
  const TimeUs began_us_;
  State state_ = State::kWaiting;
  bool head_is_sent_ = false;
  std::vector<Prompt> prompts_;
  std::vector<door::Accepted> accepted_;  // per prompt, until the answer begins
  AnswerEvents events_;
  std::string token_;  // of an answer that can be resumed
  std::string output_;
  std::optional<door::Progress> progress_;
  TimeUs last_sent_us_;
  std::string public_id_;  // of the first prompt
  std::string version_;
};

}  // namespace trireme::gateway
