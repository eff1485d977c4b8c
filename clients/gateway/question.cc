#include "clients/gateway/question.h"

#include <utility>

#include "base/text.h"
#include "clients/gateway/replies.h"

namespace trireme::gateway {

namespace {

constexpr TimeUs kLongestUs = 60'000'000;  // the tokenizer's queue included

}  // namespace

Question::Question(const Generation::Surroundings& around,
                   RequestFacts facts,
                   ApiCall call,
                   HttpExchange& exchange)
    : around_(around),
      facts_(std::move(facts)),
      call_(std::move(call)),
      exchange_(&exchange),
      began_us_(around.clock.now_us()) {}

void Question::start() {
  exchange_->set_user(this);
  auto* tokenize = std::get_if<door::Tokenize>(&call_.questions);
  const auto tag = tokenize != nullptr
                       ? around_.door.tokenize(std::move(*tokenize))
                       : around_.door.detokenize(std::get<door::Detokenize>(call_.questions));
  if (!tag.ok()) return fail(from_status(tag.status()));
  tag_ = *tag;
  around_.table.claim(tag_, this, 0);
}

void Question::on_door_event(int /*index*/, ClientEvent event) {
  is_over_ = true;  // a question has one answer
  if (const auto* error = std::get_if<door::Error>(&event)) {
    fail(from_door(*error));
  } else if (const auto* tokenized = std::get_if<door::Tokenized>(&event)) {
    respond(write_tokenized(facts_.api, *tokenized, call_));
  } else if (const auto* detokenized = std::get_if<door::Detokenized>(&event)) {
    respond(write_detokenized(*detokenized));
  }
}

void Question::respond(std::string body) {
  if (exchange_ == nullptr) return;
  HttpResponse response;
  response.headers = facts_.cors_headers;
  add_request_id(facts_.request_id, response.headers);
  if (!call_.warnings.empty()) {
    response.headers.push_back({"trireme-warnings", join(call_.warnings)});
  }
  response.body = std::move(body);
  std::exchange(exchange_, nullptr)->respond(std::move(response));
  finish();
}

void Question::fail(const ApiError& error) {
  if (exchange_ == nullptr) return;
  HttpResponse response = error_response(facts_.api, error, facts_.request_id);
  response.headers.insert(
      response.headers.end(), facts_.cors_headers.begin(), facts_.cors_headers.end());
  std::exchange(exchange_, nullptr)->respond(std::move(response));
  finish();
}

void Question::finish() {
  if (tag_ != 0) {
    if (!is_over_) around_.door.cancel(tag_);
    around_.table.release(tag_);
  }
  around_.table.remove(this);
}

void Question::on_gone(std::string_view /*reason*/) {
  exchange_ = nullptr;
  finish();
}

void Question::tick(TimeUs now_us) {
  const TimeUs longest_us =
      facts_.headers.timeout_ms ? *facts_.headers.timeout_ms * 1000 : kLongestUs;
  if (now_us - began_us_ <= longest_us) return;
  fail(make_error(504,
                  "TRI-HTTP-018",
                  format_text("no answer within {}; try again",
                              format_seconds(static_cast<double>(longest_us) * 1e-6))));
}

}  // namespace trireme::gateway
