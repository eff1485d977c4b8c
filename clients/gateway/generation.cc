#include "clients/gateway/generation.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "clients/gateway/replies.h"

namespace trireme::gateway {

namespace {

// 2,048 streams of 24 KiB are 48 MiB, less than what the coordinator holds for a connection. A
// stream has a twelfth of it: a token costs about 24 bytes and takes about 250 as an event of
// JSON, so that a reader that stops leaves less than 24 KiB here.
constexpr int64_t kStreamCreditBytes = 2 << 10;
constexpr int64_t kWholeCreditBytes = 24 << 10;  // not streamed: nothing waits for a socket
constexpr int64_t kUnsentBytes = 4 << 10;        // below it credit is given back
constexpr TimeUs kDeadlineGraceUs = 2'000'000;   // for the coordinator's own answer
constexpr size_t kWarningBytes = 2 << 10;

}  // namespace

Generation::Generation(const Surroundings& around,
                       RequestFacts facts,
                       HttpExchange& exchange,
                       size_t num_prompts,
                       std::unique_ptr<AnswerWriter> writer)
    : around_(around),
      facts_(std::move(facts)),
      exchange_(&exchange),
      began_us_(around.clock.now_us()),
      prompts_(num_prompts),
      accepted_(num_prompts),
      events_(num_prompts, std::move(writer)),
      last_sent_us_(began_us_) {}

Generation::Generation(const Surroundings& around,
                       RequestFacts facts,
                       ApiCall call,
                       HttpExchange& exchange)
    : Generation(around,
                 std::move(facts),
                 exchange,
                 std::get<std::vector<door::Submit>>(call.questions).size(),
                 std::move(call.writer)) {
  call_ = std::move(call);
}

Generation::Generation(const Surroundings& around,
                       RequestFacts facts,
                       ResumeRequest resume,
                       HttpExchange& exchange)
    : Generation(around, std::move(facts), exchange, resume.request_ids.size(), nullptr) {
  resume_ = std::move(resume);
  call_.streamed = true;
}

void Generation::start() {
  exchange_->set_user(this);
  if (resume_) {
    const int num_prompts = static_cast<int>(prompts_.size());
    for (int i = 0; i < num_prompts && state_ == State::kWaiting; ++i) ask_for_rest(i);
    return;
  }
  auto& submits = std::get<std::vector<door::Submit>>(call_.questions);
  for (size_t i = 0; i < submits.size(); ++i) {
    door::Submit& submit = submits[i];
    submit.credit_bytes = call_.streamed ? kStreamCreditBytes : kWholeCreditBytes;
    if (call_.streamed) {
      submit.progress_interval_ms = static_cast<int32_t>(around_.keep_alive_us / 1000);
    }
    const auto tag = around_.door.submit(std::move(submit));
    if (!tag.ok()) return fail(from_status(tag.status()));
    prompts_[i].tag = *tag;
    around_.table.claim(*tag, this, static_cast<int>(i));
  }
  submits.clear();
}

// The answer comes from its beginning, because its events are made anew.
void Generation::ask_for_rest(int prompt, uint64_t nonce) {
  door::Resume resume;
  resume.request_id = resume_->request_ids[static_cast<size_t>(prompt)];
  resume.nonce = nonce;
  resume.credit_bytes = kStreamCreditBytes;
  if (resume_->after) {
    const auto num_prompts = static_cast<int32_t>(prompts_.size());
    resume.points = points_of(*resume_->after, prompt, num_prompts);
  }
  const auto tag = around_.door.resume(std::move(resume));
  if (!tag.ok()) return fail(from_status(tag.status()));
  prompts_[prompt].tag = *tag;
  prompts_[prompt].over = false;
  around_.table.claim(*tag, this, prompt);
}

// A nonce was too small because a clock went back: once more, with a greater one.
bool Generation::asks_again(int prompt, const door::Error& error) {
  const bool is_late = resume_ && !prompts_[prompt].accepted && error.error_id == "TRI-REQ-039";
  if (!is_late || std::exchange(prompts_[prompt].was_late, true)) return false;
  ask_for_rest(prompt, error.nonce + 1);
  return true;
}

void Generation::on_door_event(int prompt, ClientEvent event) {
  prompts_[prompt].owed_bytes += credit_cost(event);
  if (is_end(event)) {
    prompts_[prompt].over = true;
    around_.table.release(prompts_[prompt].tag);
  }
  if (state_ == State::kRunningOn) {
    give_back_credit();
    if (std::ranges::all_of(prompts_, &Prompt::over)) finish();
    return;
  }
  if (auto* progress = std::get_if<door::Progress>(&event)) {
    progress_ = *progress;
  } else if (auto* error = std::get_if<door::Error>(&event)) {
    if (asks_again(prompt, *error)) return;
    const bool is_place = resume_ && error->error_id == "TRI-REQ-098";
    fail(is_place ? from_status(no_such_event()) : from_door(*error));
  } else if (auto* accepted = std::get_if<door::Accepted>(&event)) {
    on_accepted(prompt, std::move(*accepted));
  } else if (state_ == State::kWaiting) {
    events_.hold(prompt, std::move(event));
  } else {
    write_event(prompt, std::move(event));
    send_output();
    complete();
  }
}

void Generation::on_accepted(int prompt, door::Accepted accepted) {
  if (std::exchange(prompts_[prompt].accepted, true)) return;
  if (prompt == 0) {
    public_id_ = accepted.public_id;
    version_ = accepted.version;
  }
  accepted_[static_cast<size_t>(prompt)] = std::move(accepted);
  if (std::ranges::all_of(prompts_, &Prompt::accepted)) begin_answer();
}

// A resumed stream begins when it has found its place, so that a wrong one is a status.
void Generation::begin_answer() {
  if (const Status status = choose_form(); !status.ok()) return fail(from_status(status));
  state_ = State::kAnswering;
  if (call_.streamed && events_.has_caught_up()) begin_head();
  if (state_ != State::kAnswering) return;
  events_.write_start(std::exchange(accepted_, {}), output_);
  if (const auto error = events_.write_held(output_)) return fail(*error);
  send_output();
  complete();
}

// An earlier request decides the form of the answer where it is resumed or repeated.
Status Generation::choose_form() {
  if (resume_) {
    ASSIGN_OR_RETURN(const SavedForm form, form_of(*resume_, accepted_[0].client_state));
    facts_.api = form.api;
    events_.trace(form, resume_->after);
  } else if (!call_.saved_form.empty()) {
    const auto form = common_form(call_.saved_form, accepted_);
    if (!form) return ok_status();
    events_.trace(*form, std::nullopt);
  } else {
    return ok_status();
  }
  std::vector<std::string> ids;
  for (const door::Accepted& accepted : accepted_) ids.push_back(accepted.request_id);
  token_ = resume_token(ids);
  return ok_status();
}

void Generation::begin_head() {
  if (std::exchange(head_is_sent_, true)) return;
  HttpResponse head;
  head.content_type = "text/event-stream";
  head.headers = answer_headers();
  head.headers.push_back({"Cache-Control", "no-cache"});
  head.headers.push_back({"X-Accel-Buffering", "no"});
  exchange_->begin(std::move(head));
  last_sent_us_ = around_.clock.now_us();
}

std::vector<HttpHeader> Generation::answer_headers() const {
  std::vector<HttpHeader> headers = facts_.cors_headers;
  add_request_id(public_id(), headers);
  std::string warnings = join(call_.warnings);
  if (warnings.size() > kWarningBytes) warnings.resize(kWarningBytes);
  if (!warnings.empty()) headers.push_back({"trireme-warnings", std::move(warnings)});
  if (!version_.empty()) headers.push_back({"trireme-model-version", version_});
  if (!token_.empty()) headers.push_back({"Trireme-Resume", token_});
  return headers;
}

void Generation::write_event(int prompt, ClientEvent event) {
  auto error = events_.write(prompt, std::move(event), output_);
  if (!error) error = events_.write_held(output_);
  if (error) fail(*error);
}

void Generation::send_output() {
  if (state_ != State::kAnswering) return;
  if (call_.streamed && !output_.empty()) {
    begin_head();
    if (state_ != State::kAnswering) return;
    last_sent_us_ = around_.clock.now_us();
    exchange_->send(std::exchange(output_, {}));
    // The send itself may find the client gone.
    if (state_ != State::kAnswering) return;
  }
  give_back_credit();
}

void Generation::give_back_credit() {
  const bool is_drained = exchange_ == nullptr || exchange_->unsent_bytes() <= kUnsentBytes;
  if (call_.streamed && !is_drained) return;
  for (size_t i = 0; i < prompts_.size(); ++i) {
    Prompt& prompt = prompts_[i];
    const int64_t held = state_ == State::kAnswering ? events_.held_bytes(static_cast<int>(i)) : 0;
    const int64_t bytes = std::exchange(prompt.owed_bytes, held) - held;
    if (bytes > 0 && !prompt.over) around_.door.grant(prompt.tag, bytes);
  }
}

void Generation::on_sent() {
  if (state_ == State::kAnswering) give_back_credit();
}

void Generation::complete() {
  if (state_ != State::kAnswering || !events_.writer().finished()) return;
  if (call_.streamed) {
    begin_head();
    if (state_ != State::kAnswering) return;
    exchange_->end();
  } else {
    HttpResponse response;
    response.headers = answer_headers();
    response.body = events_.writer().body();
    exchange_->respond(std::move(response));
  }
  finish();
}

void Generation::fail(const ApiError& error) {
  if (state_ != State::kWaiting && state_ != State::kAnswering) return;
  if (head_is_sent_) {
    events_.writer().on_failure(error, output_);
    exchange_->send(std::exchange(output_, {}));
    if (state_ == State::kAnswering) exchange_->end();
  } else {
    HttpResponse response = error_response(facts_.api, error, public_id());
    response.headers.insert(
        response.headers.end(), facts_.cors_headers.begin(), facts_.cors_headers.end());
    exchange_->respond(std::move(response));
  }
  if (state_ == State::kOver || state_ == State::kRunningOn) return;
  if (may_be_resumed()) return leave();
  finish();
}

bool Generation::may_be_resumed() const {
  return resume_ || (events_.is_traced() && head_is_sent_);
}

bool Generation::outlives_client() const {
  return may_be_resumed() || (!facts_.headers.idempotency_key.empty() && has_room());
}

bool Generation::has_room() const {
  const auto open = static_cast<size_t>(std::ranges::count(prompts_, false, &Prompt::over));
  return around_.table.num_running_on() + open <= around_.num_running_on;
}

void Generation::finish() {
  state_ = State::kOver;
  exchange_ = nullptr;
  release_streams();
  around_.table.remove(this);
}

// An answer that may be resumed is kept by the coordinator, whether it is read or not.
void Generation::release_streams() {
  for (Prompt& prompt : prompts_) {
    if (prompt.over || prompt.tag == 0) continue;
    prompt.over = true;
    if (may_be_resumed()) {
      around_.door.leave(prompt.tag);
    } else {
      around_.door.cancel(prompt.tag);
    }
    around_.table.release(prompt.tag);
  }
}

void Generation::on_gone(std::string_view reason) {
  if (state_ == State::kOver) return;
  log_event(LogLevel::kInfo,
            "client_gone",
            {{"request", public_id()},
             {"reason", std::string(reason)},
             {"tokens", events_.num_tokens()},
             {"runs_on", outlives_client()}});
  leave();
}

void Generation::leave() {
  exchange_ = nullptr;
  if (outlives_client() && has_room()) return run_on();
  finish();
}

// Read to the end, its streams take no place in the coordinator's table of requests. After a loss
// of the connection they would take the answer from whoever reads it by then.
void Generation::run_on() {
  state_ = State::kRunningOn;
  for (const Prompt& prompt : prompts_) {
    if (prompt.over) continue;
    around_.table.let_run_on(this, prompt.tag);
    around_.door.end_with_connection(prompt.tag);
  }
  output_ = {};
  give_back_credit();
  if (std::ranges::all_of(prompts_, &Prompt::over)) finish();
}

void Generation::tick(TimeUs now_us) {
  if (state_ != State::kWaiting && state_ != State::kAnswering) return;
  const auto timeout_ms = facts_.headers.timeout_ms;
  if (timeout_ms && now_us - began_us_ > *timeout_ms * 1000 + kDeadlineGraceUs) {
    return fail(make_error(504,
                           "TRI-HTTP-018",
                           format_text("the deadline of {} ms has passed and the coordinator has "
                                       "not said so; try again",
                                       *timeout_ms)));
  }
  if (state_ != State::kAnswering || !call_.streamed) return;
  if (now_us - last_sent_us_ < around_.keep_alive_us) return;
  events_.writer().on_silence(progress_ ? &*progress_ : nullptr, output_);
  last_sent_us_ = now_us;
  send_output();
}

std::string Generation::public_id() const {
  if (!facts_.headers.client_request_id.empty() || public_id_.empty()) return facts_.request_id;
  return public_id_;
}

}  // namespace trireme::gateway
