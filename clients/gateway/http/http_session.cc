#include "clients/gateway/http/http_session.h"

#include <ctime>
#include <utility>

#include "base/text.h"

namespace trireme::gateway {

namespace {

// Answers wait here for the socket before the next pipelined request is handled.
constexpr int64_t kUnsentBytes = 64 << 10;
constexpr size_t kKeptInputBytes = 4 << 10;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

HttpSession::HttpSession(const Surroundings& around, std::function<void()> on_output)
    : around_(around),
      on_output_(std::move(on_output)),
      reader_(std::make_unique<RequestReader>(around.limits)),
      since_us_(around.clock.now_us()),
      last_taken_us_(since_us_) {}

void HttpSession::enter(State state) {
  state_ = state;
  since_us_ = around_.clock.now_us();
}

void HttpSession::receive(std::string_view bytes) {
  if (state_ == State::kLingering || state_ == State::kOver) return;
  input_ += bytes;
  process();
}

void HttpSession::receive_end() {
  if (state_ == State::kOver) return;
  if (state_ == State::kLingering && unsent_bytes() > 0) return;  // it may still read the answer
  if (state_ == State::kIdle && unsent_bytes() > 0) return enter(State::kLingering);
  abort("closed");
}

void HttpSession::abort(std::string_view reason) {
  if (state_ == State::kOver) return;
  const bool was_answering = state_ == State::kAnswering;
  enter(State::kOver);
  around_.all_bodies_bytes -= std::exchange(counted_bytes_, 0);
  output_.clear();
  if (was_answering && user_ != nullptr) std::exchange(user_, nullptr)->on_gone(reason);
  on_output_();
}

void HttpSession::sent(size_t bytes) {
  in_flight_bytes_ -= static_cast<int64_t>(bytes);
  last_taken_us_ = around_.clock.now_us();
  if (state_ == State::kLingering && unsent_bytes() == 0) enter(State::kLingering);
  if (state_ == State::kAnswering && user_ != nullptr) user_->on_sent();
  process();
}

std::string HttpSession::take_output() {
  in_flight_bytes_ += static_cast<int64_t>(output_.size());
  return std::exchange(output_, {});
}

bool HttpSession::wants_input() const {
  if (state_ == State::kOver) return false;
  return static_cast<int64_t>(input_.size() - input_used_) < around_.limits.pipelined_bytes;
}

void HttpSession::write(std::string_view bytes) {
  if (unsent_bytes() == 0) last_taken_us_ = around_.clock.now_us();
  output_ += bytes;
}

void HttpSession::process() {
  if (is_processing_) return;
  is_processing_ = true;
  while (step()) {
  }
  is_processing_ = false;
  // Nothing more would be read, and nobody would notice that the client leaves.
  if (state_ == State::kAnswering && !wants_input()) return abort("flooded");
  if (input_used_ == input_.size()) {
    input_.clear();
    if (input_.capacity() > kKeptInputBytes) input_.shrink_to_fit();
  } else {
    input_.erase(0, input_used_);
  }
  input_used_ = 0;
  if (!output_.empty() || is_over()) on_output_();
}

bool HttpSession::step() {
  const std::string_view input = std::string_view(input_).substr(input_used_);
  switch (state_) {
    case State::kIdle:
    case State::kHead:
      if (input.empty() || unsent_bytes() > kUnsentBytes) return false;
      input_used_ += reader_->take(input);
      if (state_ == State::kIdle && reader_->has_started()) enter(State::kHead);
      if (reader_->state() == RequestReader::State::kHeadDone) on_head_done();
      break;
    case State::kBody: {
      if (reader_->state() == RequestReader::State::kDone) break;
      const size_t used = reader_->take(input);
      input_used_ += used;
      count_bodies();
      if (state_ != State::kBody) return true;
      if (used == 0 && reader_->state() == RequestReader::State::kBody) return false;
      break;
    }
    default:
      return false;
  }
  if (reader_->state() == RequestReader::State::kRefused) {
    refuse(reader_->refusal());
  } else if (state_ == State::kBody && reader_->state() == RequestReader::State::kDone) {
    enter(State::kAnswering);
    around_.handler.on_request(*this);
  }
  return true;
}

void HttpSession::on_head_done() {
  HttpRequest& request = reader_->request();
  request.is_encrypted = around_.is_encrypted;
  request.client = around_.client;
  if (auto refusal = around_.handler.on_head(request)) {
    enter(State::kAnswering);
    return write_response(*refusal, /*keeps_alive=*/!request.has_body);
  }
  if (request.expects_100 && request.has_body) write(kContinue);
  reader_->read_body();
  enter(State::kBody);
}

void HttpSession::count_bodies() {
  const int64_t bytes = reader_->body_bytes();
  around_.all_bodies_bytes += bytes - std::exchange(counted_bytes_, bytes);
  if (around_.all_bodies_bytes <= around_.limits.all_bodies_bytes) return;
  refuse({429,
          "TRI-HTTP-008",
          format_text("TRI-HTTP-008: the bodies that are being read have more than {}; try again",
                      format_bytes(static_cast<double>(around_.limits.all_bodies_bytes)))});
}

void HttpSession::refuse(const HttpRefusal& refusal) {
  const HttpResponse response = around_.handler.on_refusal(reader_->request(), refusal);
  enter(State::kAnswering);
  write_response(response, /*keeps_alive=*/false);
}

HttpRequest HttpSession::take_request() {
  around_.all_bodies_bytes -= std::exchange(counted_bytes_, 0);
  HttpRequest& request = reader_->request();
  HttpRequest taken = std::move(request);
  request = {};
  // The rest of the answer depends on these.
  request.method = taken.method;
  request.minor_version = taken.minor_version;
  request.keeps_alive = taken.keeps_alive;
  return taken;
}

void HttpSession::respond(HttpResponse response) { write_response(response, /*keeps_alive=*/true); }

void HttpSession::write_response(const HttpResponse& response, bool keeps_alive) {
  const HttpRequest& request = reader_->request();
  keeps_alive = keeps_alive && request.keeps_alive;
  ResponseHead head{response.status, response.headers, response.content_type};
  head.content_length = response.status == 204 ? -1 : static_cast<int64_t>(response.body.size());
  head.keeps_alive = keeps_alive;
  head.minor_version = request.minor_version;
  head.date_s = std::time(nullptr);
  write(write_head(head));
  if (request.method != "HEAD" && response.status != 204) write(response.body);
  finish_answer(keeps_alive);
}

void HttpSession::begin(HttpResponse response) {
  const HttpRequest& request = reader_->request();
  is_chunked_ = request.minor_version > 0;
  ResponseHead head{response.status, response.headers, response.content_type};
  head.is_chunked = is_chunked_;
  head.keeps_alive = is_chunked_ && request.keeps_alive;
  head.minor_version = request.minor_version;
  head.date_s = std::time(nullptr);
  write(write_head(head));
  on_output_();
}

void HttpSession::send(std::string_view bytes) {
  if (state_ != State::kAnswering || bytes.empty()) return;
  if (unsent_bytes() == 0) last_taken_us_ = around_.clock.now_us();
  if (is_chunked_) {
    append_chunk(bytes, output_);
  } else {
    output_ += bytes;
  }
  on_output_();
}

void HttpSession::end() {
  if (is_chunked_) write(kLastChunk);
  finish_answer(is_chunked_ && reader_->request().keeps_alive);
}

void HttpSession::finish_answer(bool keeps_alive) {
  user_ = nullptr;
  is_chunked_ = false;
  is_first_ = false;
  around_.all_bodies_bytes -= std::exchange(counted_bytes_, 0);
  if (keeps_alive) {
    reader_ = std::make_unique<RequestReader>(around_.limits);
    enter(State::kIdle);
  } else {
    input_used_ = input_.size();
    enter(State::kLingering);
  }
  process();
  if (!output_.empty()) on_output_();
}

void HttpSession::check_body_rate(TimeUs now_us) {
  const TimeUs counted_us = now_us - since_us_ - around_.limits.body_grace_us;
  if (counted_us <= 0) return;
  const double needed =
      static_cast<double>(around_.limits.body_bytes_per_s) * static_cast<double>(counted_us) * 1e-6;
  if (static_cast<double>(reader_->body_bytes()) >= needed) return;
  refuse({408,
          "TRI-HTTP-007",
          format_text("TRI-HTTP-007: {} bytes of the body arrived in {}; send at least {} B/s",
                      reader_->body_bytes(),
                      format_seconds(static_cast<double>(now_us - since_us_) * 1e-6),
                      around_.limits.body_bytes_per_s)});
  on_output_();
}

void HttpSession::tick() {
  const HttpLimits& limits = around_.limits;
  const TimeUs now_us = around_.clock.now_us();
  const TimeUs in_state_us = now_us - since_us_;
  if (unsent_bytes() > 0 && now_us - last_taken_us_ > limits.stall_us) return abort("stalled");
  switch (state_) {
    case State::kIdle:
      if (unsent_bytes() > 0) break;
      if (in_state_us > (is_first_ ? limits.head_us : limits.idle_us)) abort("idle");
      break;
    case State::kHead:
      if (in_state_us <= limits.head_us) break;
      refuse({408,
              "TRI-HTTP-007",
              format_text("TRI-HTTP-007: the head of the request did not arrive within {}",
                          format_seconds(static_cast<double>(limits.head_us) * 1e-6))});
      on_output_();
      break;
    case State::kBody:
      check_body_rate(now_us);
      break;
    case State::kLingering:
      if (unsent_bytes() == 0 && in_state_us > limits.linger_us) abort("lingered");
      break;
    default:
      break;
  }
}

}  // namespace trireme::gateway
