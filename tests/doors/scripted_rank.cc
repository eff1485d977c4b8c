// trireme-scripted-rank: a group of one rank without a model for tests of the doors. It speaks the
// worker door and answers with a script (tests/doors/answer_script.h), at the pace of the script.
//
//   trireme-scripted-rank --model FOLDER --coordinator tcp://... [--script FILE]
//
// Commands on standard input, each answered by {"event": "done", "command": ...} on standard
// output:
//   say LINE    adds a line to the script       clear     empties it
//   step-us N   shortest time of a step         stall     no more results, until go
//   silent      no more heartbeats and results  die       exit at once
//   leave       a Goodbye, then exit            report    {"event": "report", ...}
//   drawn N     one more event, "drawn", after N more tokens
//   trace on|off  an event "opened" or "closed" per request, with its prompt if the script reads it
// Its end of standard input ends it. Other events: started, fence, lost.
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>
#include <zmq.hpp>

#include "base/flags.h"
#include "model/checkpoint/model_source.h"
#include "proto/step_codec.h"
#include "proto/zmq_options.h"
#include "tests/doors/scripted_group.h"

namespace trireme {
namespace {

using Json = nlohmann::json;

struct RankOptions {
  std::string model;
  std::string coordinator;
  std::string script;
  int64_t step_us = 1'000;
  int max_slots = 64;
  int pages = 4096;
  int page_tokens = 32;
  int max_batched_tokens = 2048;
};

class ScriptedRank {
 public:
  ScriptedRank(const RankOptions& options, ModelSource& source, const Tokenizer& tokenizer)
      : options_(options),
        source_(source),
        script_(tokenizer, source.eos_ids.empty() ? -1 : source.eos_ids.front()),
        tokenizer_(tokenizer),
        step_us_(options.step_us) {}

  Status load_script();
  int run();

 private:
  void connect();
  RankHello hello() const;
  template <class Message>
  void send(const Message& message);
  void heartbeat(TimeUs now_us);
  void read_door();
  void handle(const CoordinatorMessage& message);
  void run_steps(TimeUs now_us);
  void send_result(ScriptedStep& step);
  void act(Act act);
  void read_commands();
  void obey(const std::string& line);
  void watch();
  void trace(const ScriptedStep& step);
  void set_timer();
  TimeUs now_us() { return clock_.now_us(); }
  static void say(const Json& event);
  void leave(const char* cause, int signal);

  const RankOptions& options_;
  ModelSource& source_;
  AnswerScript script_;
  const Tokenizer& tokenizer_;
  TimeUs step_us_;
  SteadyClock clock_;
  zmq::context_t context_{1};
  zmq::socket_t dealer_{context_, zmq::socket_type::dealer};
  const int timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  StepCodec codec_;
  std::string frame_;
  CoordinatorMessage incoming_;
  std::unique_ptr<ScriptedGroup> group_;
  Epochs epochs_;
  std::deque<StepPlan> plans_;
  std::optional<ScriptedStep> running_;
  TimeUs running_until_us_ = 0;
  TimeUs next_beat_us_ = 0;
  uint64_t progress_ = 0;
  int64_t step_ = 0;
  bool is_stalled_ = false;
  bool is_silent_ = false;
  bool is_traced_ = false;
  int64_t waits_for_drawn_ = -1;
  std::string typed_;
  std::optional<int> exit_status_;
};

void ScriptedRank::say(const Json& event) {
  const std::string line = event.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

Status ScriptedRank::load_script() {
  if (options_.script.empty()) return ok_status();
  std::ifstream file(options_.script);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) RETURN_IF_ERROR(script_.add(line));
  }
  return ok_status();
}

void ScriptedRank::connect() {
  dealer_.set(zmq::sockopt::linger, kZmqRankLingerMs);
  dealer_.set(zmq::sockopt::sndhwm, kZmqRankSendHighWater);
  dealer_.connect(options_.coordinator);
}

RankHello ScriptedRank::hello() const {
  RankHello hello;
  hello.host = "scripted";
  hello.pid = ::getpid();
  hello.fingerprint = source_.checkpoint->fingerprint();
  hello.dtype = "bfloat16";
  hello.backend = "cpu";
  hello.isa = "scripted";
  hello.kv_layout.page_tokens = options_.page_tokens;
  hello.kv_layout.dtype = "bfloat16";
  hello.pages = options_.pages;
  hello.max_slots = options_.max_slots;
  hello.max_batched_tokens = options_.max_batched_tokens;
  hello.max_model_len = static_cast<int32_t>(source_.config.max_positions);
  return hello;
}

template <class Message>
void ScriptedRank::send(const Message& message) {
  codec_.encode(message, frame_);
  dealer_.send(zmq::buffer(frame_), zmq::send_flags::none);
}

void ScriptedRank::heartbeat(TimeUs now_us) {
  if (is_silent_ || now_us < next_beat_us_) return;
  next_beat_us_ = now_us + kHeartbeatIntervalUs;
  const bool computes = is_stalled_ || running_.has_value();
  Heartbeat beat;
  beat.epochs = epochs_;
  beat.host = "scripted";
  beat.pid = ::getpid();
  beat.phase = group_ == nullptr ? Phase::kWaitStart : computes ? Phase::kCompute : Phase::kIdle;
  // A long step goes on, a stalled one does not.
  if (!is_stalled_) ++progress_;
  beat.progress = progress_;
  beat.step = step_;
  send(beat);
}

void ScriptedRank::read_door() {
  zmq::message_t message;
  while (dealer_.recv(message, zmq::recv_flags::dontwait)) {
    if (message.size() == 0) continue;
    const Status decoded = codec_.decode(
        std::string_view(static_cast<const char*>(message.data()), message.size()), incoming_);
    if (decoded.ok()) {
      handle(incoming_);
    } else {
      say({{"event", "unreadable"}, {"cause", message_of(decoded)}});
    }
  }
}

void ScriptedRank::handle(const CoordinatorMessage& message) {
  if (const auto* start = std::get_if<Start>(&message)) {
    epochs_ = start->epochs;
    ScriptedShape shape;
    shape.pages = static_cast<int32_t>(start->pages);
    shape.page_tokens = options_.page_tokens;
    shape.max_slots = options_.max_slots;
    shape.vocabulary = static_cast<int32_t>(source_.config.vocabulary_size);
    group_ = std::make_unique<ScriptedGroup>(shape, script_, tokenizer_);
    send(RankStarted{epochs_});
    say({{"event", "started"}, {"epoch", epochs_.group}});
  } else if (const auto* plan = std::get_if<StepPlan>(&message)) {
    if (plan->epochs == epochs_) plans_.push_back(*plan);
  } else if (const auto* fence = std::get_if<Fence>(&message)) {
    say({{"event", "fence"}, {"drained", fence->drained}, {"cause", fence->cause}});
    exit_status_ = fence->drained ? 0 : 1;
  }
}

void ScriptedRank::run_steps(TimeUs now_us) {
  while (!is_stalled_ && !is_silent_) {
    if (running_ && now_us < running_until_us_) return;
    if (running_) {
      send_result(*running_);
      running_.reset();
    }
    if (plans_.empty()) return;
    running_ = group_->execute(plans_.front(), step_us_);
    step_ = plans_.front().step;
    // Back to back while plans wait: the next step begins where this one should have ended.
    const TimeUs begin_us = std::max(running_until_us_, now_us - step_us_);
    running_until_us_ = begin_us + running_->takes_us;
    plans_.pop_front();
    if (is_traced_) trace(*running_);
  }
}

void ScriptedRank::send_result(ScriptedStep& step) {
  step.result.compute_us = step.takes_us;
  if (step.act == Act::kWrongStep) step.result.step += 1'000;
  if (step.act == Act::kStall || step.act == Act::kDie || step.act == Act::kSilent ||
      step.act == Act::kLeave || step.act == Act::kCrash) {
    return act(step.act);
  }
  if (step.act == Act::kGarbage) {
    frame_ = "\x01\x44 these bytes are no message";
    dealer_.send(zmq::buffer(frame_), zmq::send_flags::none);
  }
  send(step.result);
  if (step.act == Act::kTwice) send(step.result);
  watch();
}

void ScriptedRank::act(Act act) {
  if (act == Act::kDie) std::_Exit(9);
  if (act == Act::kLeave) return leave("TRI-GRP-014: the script says so", 0);
  if (act == Act::kCrash) return leave("TRI-GRP-059: the script says so", SIGSEGV);
  (act == Act::kStall ? is_stalled_ : is_silent_) = true;
  say({{"event", act == Act::kStall ? "stalled" : "silent"}});
}

void ScriptedRank::leave(const char* cause, int signal) {
  Goodbye goodbye;
  goodbye.epochs = epochs_;
  goodbye.host = "scripted";
  goodbye.cause = cause;
  goodbye.signal = signal;
  goodbye.step = signal == 0 ? 0 : step_;
  send(goodbye);
  exit_status_ = 1;
}

void ScriptedRank::watch() {
  if (waits_for_drawn_ >= 0 && group_->num_drawn() >= waits_for_drawn_) {
    waits_for_drawn_ = -1;
    say({{"event", "drawn"}, {"drawn", group_->num_drawn()}});
  }
}

void ScriptedRank::trace(const ScriptedStep& step) {
  const auto tell = [&](const char* event, SlotId slot) {
    say({{"event", event},
         {"slot", slot},
         {"drawn", group_->drawn(slot)},
         {"prompt", group_->prompt(slot)},
         {"at_us", now_us()}});
  };
  for (const SlotId slot : step.closed) tell("closed", slot);
  for (const SlotId slot : step.opened) tell("opened", slot);
}

void ScriptedRank::read_commands() {
  std::array<char, 65536> bytes;
  const ssize_t count = ::read(STDIN_FILENO, bytes.data(), bytes.size());
  if (count <= 0) {
    exit_status_ = 0;
    return;
  }
  typed_.append(bytes.data(), static_cast<size_t>(count));
  for (size_t end = typed_.find('\n'); end != std::string::npos; end = typed_.find('\n')) {
    obey(typed_.substr(0, end));
    typed_.erase(0, end + 1);
  }
}

void ScriptedRank::obey(const std::string& line) {
  const std::string command = line.substr(0, line.find(' '));
  const std::string rest = command.size() < line.size() ? line.substr(command.size() + 1) : "";
  Json done = {{"event", "done"}, {"command", command}};
  if (command == "say") {
    const Status added = script_.add(rest);
    if (!added.ok()) done["error"] = std::string(added.message());
  } else if (command == "clear") {
    script_.clear();
  } else if (command == "step-us") {
    step_us_ = std::stoll(rest);
  } else if (command == "stall" || command == "go") {
    is_stalled_ = command == "stall";
  } else if (command == "silent") {
    is_silent_ = true;
  } else if (command == "die") {
    std::_Exit(9);
  } else if (command == "leave") {
    act(Act::kLeave);
  } else if (command == "drawn") {
    waits_for_drawn_ = (group_ ? group_->num_drawn() : 0) + std::stoll(rest);
  } else if (command == "trace") {
    is_traced_ = rest == "on";
  } else if (command == "report") {
    done["open"] = group_ ? group_->num_open() : 0;
    done["drawn"] = group_ ? group_->num_drawn() : 0;
    done["step"] = step_;
  } else {
    done["error"] = "no command is called " + command;
  }
  say(done);
  if (group_ != nullptr) watch();
}

void ScriptedRank::set_timer() {
  TimeUs next_us = is_silent_ ? now_us() + kHeartbeatIntervalUs : next_beat_us_;
  if (running_ && !is_stalled_ && !is_silent_) next_us = std::min(next_us, running_until_us_);
  itimerspec spec{};
  next_us = std::max<TimeUs>(next_us, 1);
  spec.it_value = {next_us / 1'000'000, next_us % 1'000'000 * 1'000};
  ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &spec, nullptr);
}

int ScriptedRank::run() {
  connect();
  heartbeat(now_us());
  send(hello());
  while (!exit_status_) {
    set_timer();
    std::array<zmq::pollitem_t, 3> items = {{{dealer_.handle(), 0, ZMQ_POLLIN, 0},
                                             {nullptr, STDIN_FILENO, ZMQ_POLLIN, 0},
                                             {nullptr, timer_, ZMQ_POLLIN, 0}}};
    zmq_poll(items.data(), static_cast<int>(items.size()), -1);
    uint64_t expirations = 0;
    [[maybe_unused]] const ssize_t taken = ::read(timer_, &expirations, sizeof expirations);
    read_door();
    if (items[1].revents != 0) read_commands();
    run_steps(now_us());
    heartbeat(now_us());
  }
  dealer_.close();
  return *exit_status_;
}

int run(const std::vector<std::string>& arguments) {
  RankOptions options;
  FlagSet flags("trireme-scripted-rank", "a rank without a model, for tests");
  flags.add("model", &options.model, "folder of the model whose tokenizer is used");
  flags.add("coordinator", &options.coordinator, "the worker door");
  flags.add("script", &options.script, "file of answers");
  flags.add("step-us", &options.step_us, "shortest time of a step");
  flags.add("max-num-seqs", &options.max_slots, "slots");
  flags.add("pages", &options.pages, "KV pages");
  flags.add("page-tokens", &options.page_tokens, "tokens of a page");
  flags.add("max-num-batched-tokens", &options.max_batched_tokens, "tokens of a step");
  const auto fail = [](const Status& status) {
    std::fprintf(stderr, "%s\n", message_of(status).c_str());
    return 2;
  };
  if (const auto rest = flags.parse(arguments); !rest.ok()) return fail(rest.status());
  auto source = open_model(options.model);
  if (!source.ok()) return fail(source.status());
  auto tokenizer = Tokenizer::load_folder(source->dir);
  if (!tokenizer.ok()) return fail(tokenizer.status());
  ScriptedRank rank(options, *source, **tokenizer);
  if (const Status loaded = rank.load_script(); !loaded.ok()) return fail(loaded);
  return rank.run();
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) {
  return trireme::run(std::vector<std::string>(argv + 1, argv + argc));
}
