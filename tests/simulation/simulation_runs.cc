#include "tests/simulation/simulation_runs.h"

#include <algorithm>
#include <random>

#include "base/text.h"
#include "model/chat/answer/answer_format.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/simulation/simulated_cluster.h"

namespace trireme {

namespace {

constexpr int32_t kVocabulary = 200;
constexpr TokenId kEos = 7;
constexpr uint64_t kPoison = 77;  // the seed of requests that crash ranks

const Tokenizer& tokenizer() {
  static const std::unique_ptr<const Tokenizer> demo =
      Tokenizer::load(std::string(TRIREME_SOURCE_DIR) + "/models/demo/tokenizer.json").value();
  return *demo;
}

// Without markers: the whole answer is content.
std::shared_ptr<const AnswerFormat> plain_format() {
  auto format = std::make_shared<AnswerFormat>();
  format->dialect = std::make_shared<const Dialect>();
  return format;
}

class Run {
 public:
  explicit Run(uint64_t seed) : random_(seed), cluster_(options(), seed + 1) {}

  RunReport play() {
    cluster_.poison(kPoison);
    const int groups = pick(1, 3);
    for (GroupId group = 0; group < groups; ++group) start(group);
    const int requests = pick(1, 24);
    for (int i = 0; i < requests; ++i) {
      cluster_.submit(random_request());
      run(pick(0, 6));
      if (pick(0, 3) == 0) fault();
    }
    for (GroupId group = 0; group < groups; ++group) {
      if (!alive_.contains(group)) start(group);
    }
    for (int round = 0; round < 2000 && !all_over(); ++round) {
      run(200);
      for (int i = 0; i < cluster_.num_requests(); ++i) cluster_.credit(i, 10'000);
    }
    run(1'000'000);
    cluster_.advance(2 * EngineOptions().answer_ttl_us);  // requests without a reader are given up
    RunReport report;
    report.failure = check();
    report.trace_hash = cluster_.trace_hash();
    report.faults = faults_;
    report.requests = cluster_.num_requests();
    report.preemptions = cluster_.engine().status().preemptions;
    report.cached_tokens = cluster_.engine().status().cached_tokens;
    return report;
  }

 private:
  int pick(int low, int high) {
    return low + static_cast<int>(random_() % static_cast<uint64_t>(high - low + 1));
  }

  // A group that has crashed comes back at once.
  void run(int steps) {
    while (steps-- > 0 && cluster_.run_one()) {
      for (const GroupShape& crashed : cluster_.take_crashed()) start(crashed.group);
    }
  }

  EngineOptions options() {
    EngineOptions options;
    options.vocabulary_size = kVocabulary;
    options.eos_ids = {kEos};
    options.prefix_caching = pick(0, 2) > 0;
    options.max_slots = pick(1, 8);
    options.max_batched_tokens = pick(4, 64);
    for (uint8_t& byte : options.random_key) byte = static_cast<uint8_t>(random_());
    options.tokenizer = &tokenizer();
    options.journals = true;
    return options;
  }

  void start(GroupId group) {
    GroupShape shape;
    shape.group = group;
    shape.epoch = next_epoch_++;
    shape.page_tokens = 4;
    shape.num_pages = small_pages_ ? pick(10, 16) : pick(16, 64);
    shape.max_slots = pick(1, 8);
    shape.num_stages = stages_;
    shape.max_batched_tokens = 64;
    shape.max_model_len = 40;
    cluster_.add_group(shape, pick(1, 2000));
    alive_[group] = true;
  }

  SubmitRequest random_request() {
    SubmitRequest submit;
    submit.connection = pick(1, 3);
    const int shared = pick(0, 20);  // prompts share beginnings, so that the cache has hits
    for (int i = 0; i < shared; ++i) submit.prompt.push_back(10 + i);
    for (int i = pick(1, 12); i > 0; --i) submit.prompt.push_back(pick(0, kVocabulary - 1));
    submit.params.max_tokens = pick(1, 30);
    submit.params.seed = pick(0, 29) == 0 ? kPoison : random_() % 5;
    submit.params.ignore_eos = pick(0, 1) == 0;
    submit.params.num_choices = pick(0, 4) == 0 ? pick(2, 4) : 1;
    submit.credit_bytes = pick(0, 3) == 0 ? pick(1, 200) : 1 << 20;
    submit.on_disconnect = pick(0, 1) == 0 ? OnDisconnect::kCancel : OnDisconnect::kContinue;
    if (pick(0, 5) == 0) submit.deadline_us = cluster_.now_us() + pick(1, 30'000);
    if (pick(0, 9) == 0) submit.params.stop_token_ids = {pick(0, kVocabulary - 1)};
    if (pick(0, 9) == 0) submit.params.num_prompt_logprobs = 1;
    if (pick(0, 1) == 0) submit.format = plain_format();
    if (pick(0, 2) == 0) submit.progress_interval_us = 1;
    if (pick(0, 9) == 0) {
      submit.kind = RequestKind::kProbe;
      submit.params.num_choices = 1;
      const auto last = static_cast<int32_t>(submit.prompt.size()) - 1;
      submit.probes = {{0, last, -1}, {0, 0, 1}};
    }
    return submit;
  }

  void fault() {
    ++faults_;
    switch (pick(0, 6)) {
      case 0:
        return cluster_.cancel(pick(0, cluster_.num_requests() - 1));
      case 1:
        return disconnect(pick(1, 3));
      case 2:
      case 3: {
        const GroupId group = pick(0, 2);
        if (alive_.erase(group) > 0) return cluster_.lose_group(group);
        if (group < static_cast<GroupId>(alive_.size())) start(group);
        return;
      }
      case 4:
        return restart();
      case 5:
        return block(pick(1, 3));
      default:
        return cluster_.credit(pick(0, cluster_.num_requests() - 1), pick(1, 500));
    }
  }

  // Groups of the earlier coordinator end with it.
  void restart() {
    cluster_.restart();
    alive_.clear();
    if (pick(0, 1) == 0) start(0);
  }

  void block(ConnectionId connection) {
    cluster_.feed(event::Blocked{connection});
    run(pick(0, 20));
    cluster_.feed(event::Writable{connection});
  }

  void disconnect(ConnectionId connection) {
    for (int i = 0; i < cluster_.num_requests(); ++i) {
      SimulatedRequest& request = cluster_.request(i);
      if (request.submit.connection == connection && !request.is_over()) gone_[i] = true;
    }
    cluster_.disconnect(connection);
  }

  bool all_over() {
    for (int i = 0; i < cluster_.num_requests(); ++i) {
      if (!cluster_.request(i).is_over() && !gone_.contains(i)) return false;
    }
    return true;
  }

  std::string check_answer(const SimulatedRequest& request, int choice) {
    const SimulatedAnswer& answer = request.answers[choice];
    const bool is_poison = request.seed == kPoison;
    if (is_poison && !answer.ids.empty()) return "a step that crashed gave tokens";
    if (!is_poison && error_id(answer.ending.error) == "TRI-REQ-099") {
      return "ended for the crashes of another request";
    }
    if (answer.finishes != 1)
      return format_text("choice {} ended {} times", choice, answer.finishes);
    const std::vector<TokenId> ideal = expected_tokens(request.submit.prompt,
                                                       request.seed,
                                                       static_cast<uint32_t>(choice),
                                                       static_cast<int32_t>(answer.ids.size()),
                                                       kVocabulary);
    if (answer.ids != ideal) return format_text("choice {} differs from what it is alone", choice);
    const auto length = static_cast<int32_t>(answer.ids.size());
    if (length > request.submit.params.max_tokens) return "longer than max_tokens";
    const bool eos = length > 0 && answer.ids.back() == kEos && !request.submit.params.ignore_eos;
    if (answer.ending.reason == FinishReason::kStop &&
        request.submit.kind == RequestKind::kGenerate && !eos && !answer.ending.stop_token) {
      return "stopped without a reason";
    }
    for (int32_t i = 0; i + 1 < length; ++i) {
      if (answer.ids[i] == kEos && !request.submit.params.ignore_eos)
        return "went on after its end";
    }
    return check_text(request, answer, eos);
  }

  // The text, or the content of a chat, is that of the ids, whatever happened on the way.
  static std::string check_text(const SimulatedRequest& request,
                                const SimulatedAnswer& answer,
                                bool eos) {
    const FinishReason reason = answer.ending.reason;
    if (reason != FinishReason::kStop && reason != FinishReason::kLength) return "";
    std::vector<TokenId> shown = answer.ids;
    if (eos || answer.ending.stop_token) shown.pop_back();
    std::string text = answer.text;
    if (request.submit.format != nullptr) {
      if (!text.empty()) return "text beside parts";
      for (const AnswerPart& part : answer.parts) text += part.text;
      if (answer.parts.size() > 1) return "content in several parts";
    }
    return text == tokenizer().decode(shown, true) ? "" : "the text is not that of the ids";
  }

  // Every score and probe is answered exactly once, unless the request ended before.
  static std::string check_prompt(const SimulatedRequest& request) {
    const FinishReason reason = request.answers[0].ending.reason;
    const bool whole = reason == FinishReason::kStop || reason == FinishReason::kLength;
    const SubmitRequest& submit = request.submit;
    const auto length = static_cast<int32_t>(submit.prompt.size());
    const int32_t scores = submit.params.num_prompt_logprobs >= 0 ? length - 1 : 0;
    const int32_t said = request.prompt_logprobs;
    if (said > scores || (whole && said != scores)) {
      return format_text("{} of {} log-probabilities of the prompt were said", said, scores);
    }
    const size_t probes = request.probes.size();
    if (probes > submit.probes.size() || (whole && probes != submit.probes.size())) {
      return format_text("{} of {} probes were answered", probes, submit.probes.size());
    }
    return "";
  }

  std::string check() {
    for (const std::string& problem : cluster_.problems()) return problem;
    for (int i = 0; i < cluster_.num_requests(); ++i) {
      const SimulatedRequest& request = cluster_.request(i);
      if (gone_.contains(i) || request.refused) continue;
      if (request.last_choices != 1) {
        return format_text("request {} was declared over {} times; accepted {}, kind {}, {} ids",
                           i,
                           request.last_choices,
                           request.accepted ? 1 : 0,
                           static_cast<int>(request.submit.kind),
                           request.answers[0].ids.size());
      }
      for (int choice = 0; choice < request.submit.params.num_choices; ++choice) {
        const std::string failure = check_answer(request, choice);
        if (!failure.empty()) return format_text("request {}: {}", i, failure);
      }
      if (const std::string failure = check_prompt(request); !failure.empty()) {
        return format_text("request {}: {}", i, failure);
      }
    }
    const EngineStatus status = cluster_.engine().status();
    if (status.waiting != 0) return format_text("{} still wait", status.waiting);
    for (const EngineStatus::Group& group : status.groups) {
      if (group.pages_held != 0 || group.slots_used != 0) {
        return format_text("group {} holds {} pages and {} slots after the end",
                           group.group,
                           group.pages_held,
                           group.slots_used);
      }
    }
    return "";
  }

  std::mt19937_64 random_;
  SimulatedCluster cluster_;
  const int stages_ = pick(1, 3);
  const bool small_pages_ = pick(0, 2) == 0;
  uint64_t next_epoch_ = 1;
  std::map<GroupId, bool> alive_;
  std::map<int, bool> gone_;  // requests whose client went away
  int64_t faults_ = 0;
};

}  // namespace

RunReport run_seed(uint64_t seed) { return Run(seed).play(); }

}  // namespace trireme
