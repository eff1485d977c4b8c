// One connection of HTTP/1.x without its socket: bytes in, requests to the handler, bytes out, and
// every limit of time. Used by the loop's thread; pure but for the handler.
// Invariant: input and unsent output are bounded; an answer belongs to the oldest request that has
// none, so pipelined requests are answered in their order.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "clients/gateway/http/http_exchange.h"
#include "clients/gateway/http/http_limits.h"
#include "clients/gateway/http/request_reader.h"

namespace trireme::gateway {

class HttpSession final : public HttpExchange {
 public:
  // Everything outlives the session, or its abort(). `all_bodies_bytes`: sum over the sessions of a
  // server.
  struct Surroundings {
    const HttpLimits& limits;
    HttpHandler& handler;
    Clock& clock;
    int64_t& all_bodies_bytes;
    bool is_encrypted = false;
    std::string client;  // HttpRequest::client
  };

  // `on_output`: there is output to take, or is_over() has become true.
  HttpSession(const Surroundings& around, std::function<void()> on_output);

  // From the socket.
  void receive(std::string_view bytes);
  void receive_end();       // end of stream, or reset
  void sent(size_t bytes);  // of take_output()
  void tick();              // now and then: the limits of time
  void abort(std::string_view reason);

  // For the socket.
  std::string take_output();
  bool wants_input() const;
  bool wants_much_input() const { return state_ == State::kBody; }
  bool ends_output() const { return state_ == State::kLingering && unsent_bytes() == 0; }
  bool is_over() const { return state_ == State::kOver; }  // close the socket
  bool is_answering() const { return state_ == State::kAnswering; }
  bool is_idle() const { return state_ == State::kIdle && unsent_bytes() == 0; }

  // HttpExchange
  const HttpRequest& request() const override { return reader_->request(); }
  HttpRequest take_request() override;
  void set_user(HttpExchangeUser* user) override { user_ = user; }
  void respond(HttpResponse response) override;
  void begin(HttpResponse head) override;
  void send(std::string_view bytes) override;
  void end() override;
  int64_t unsent_bytes() const override {
    return static_cast<int64_t>(output_.size()) + in_flight_bytes_;
  }

 private:
  enum class State : uint8_t {
    kIdle,  // no byte of the next request
    kHead,
    kBody,
    kAnswering,  // the handler has it
    kLingering,  // the last answer is on its way; input is dropped
    kOver,
  };

  void process();
  bool step();  // false: it needs more input or room for output
  void enter(State state);
  void on_head_done();
  void count_bodies();
  void refuse(const HttpRefusal& refusal);
  void write_response(const HttpResponse& response, bool keeps_alive);
  void finish_answer(bool keeps_alive);
  void check_body_rate(TimeUs now_us);
  void write(std::string_view bytes);

  const Surroundings around_;
  const std::function<void()> on_output_;
  std::unique_ptr<RequestReader> reader_;
  HttpExchangeUser* user_ = nullptr;
  State state_ = State::kIdle;
  TimeUs since_us_;       // of the state
  TimeUs last_taken_us_;  // the socket took output, or there was none
  std::string input_;
  size_t input_used_ = 0;
  std::string output_;
  int64_t in_flight_bytes_ = 0;
  int64_t counted_bytes_ = 0;  // in all_bodies_bytes
  bool is_first_ = true;       // no request was answered yet
  bool is_processing_ = false;
  bool is_chunked_ = false;
};

}  // namespace trireme::gateway
