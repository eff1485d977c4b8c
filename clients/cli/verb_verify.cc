#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "clients/cli/client_session.h"
#include "clients/cli/json_text.h"
#include "clients/cli/verbs.h"
#include "clients/cli/verdict.h"

namespace trireme {

namespace {

struct VerifyVerb {
  ClusterFlags cluster_flags;
  std::string expected_path;
  bool localize = false;
  bool json = false;
  std::string backend;  // chosen by the preflight check

  StatusOr<int> run(Terminal& terminal, Interrupts& interrupts);
  void report(Terminal& terminal, const std::vector<SequenceVerdict>& verdicts) const;
};

// Collects two answers per sequence: request 2 i is its probes, 2 i + 1 its greedy continuation.
class Collector final : public AnswerListener {
 public:
  explicit Collector(size_t num_sequences) : probes_(num_sequences), greedy_(num_sequences) {}

  void on_text(const Answer& /*answer*/, int /*choice*/, const std::string& /*text*/) override {}
  void on_done(Answer answer) override {
    ++num_done_;
    if (const Status failure = failure_of(answer, 0); !failure.ok() && status_.ok()) {
      status_ = failure;
    }
    const size_t sequence = answer.index / 2;
    if (answer.index % 2 == 0) {
      probes_[sequence] = std::move(answer.probes);
    } else {
      greedy_[sequence] = std::move(answer.choices.front().token_ids);
    }
  }

  size_t num_done() const { return num_done_; }
  const Status& status() const { return status_; }
  const std::vector<door::ProbeValues>& probes(size_t sequence) const { return probes_[sequence]; }
  const std::vector<TokenId>& greedy(size_t sequence) const { return greedy_[sequence]; }

 private:
  size_t num_done_ = 0;
  Status status_;
  std::vector<std::vector<door::ProbeValues>> probes_;
  std::vector<std::vector<TokenId>> greedy_;
};

door::Submit probe_request(const ReferenceSequence& sequence, bool localize) {
  door::Submit submit;
  submit.on_disconnect = door::OnDisconnect::kCancel;
  submit.kind = door::Kind::kProbe;
  submit.prompt = sequence.input_ids;
  for (const int32_t position : sequence.positions) submit.probes.push_back({position, -1});
  if (!localize) return submit;
  for (size_t t = 0; t < sequence.input_ids.size(); ++t) {
    for (int64_t layer = 0; layer < sequence.hidden_rows; ++layer) {
      submit.probes.push_back({static_cast<int32_t>(t), static_cast<int32_t>(layer)});
    }
  }
  return submit;
}

// Sets every sampling value, so that defaults of generation_config.json do not apply.
door::Submit greedy_request(const ReferenceSequence& sequence) {
  door::Submit submit;
  submit.on_disconnect = door::OnDisconnect::kCancel;
  submit.prompt = sequence.input_ids;
  door::Sampling& sampling = submit.sampling;
  sampling.temperature = 0;
  sampling.top_k = 0;
  sampling.top_p = 1;
  sampling.min_p = 0;
  sampling.repetition_penalty = 1;
  sampling.presence_penalty = 0;
  sampling.frequency_penalty = 0;
  sampling.ignore_eos = true;
  sampling.max_tokens = static_cast<int32_t>(sequence.greedy.size());
  return submit;
}

Status check_sequences(const std::vector<ReferenceSequence>& sequences,
                       const ModelConfig& config,
                       const std::string& path) {
  for (const ReferenceSequence& sequence : sequences) {
    const bool other_vocabulary =
        !sequence.logits.empty() && sequence.vocabulary != config.vocabulary_size;
    const bool other_layers =
        !sequence.hidden_states.empty() && (sequence.hidden_rows != config.num_layers + 1 ||
                                            sequence.hidden_size != config.hidden_size);
    const auto outside = std::ranges::find_if(
        sequence.input_ids, [&](TokenId id) { return id < 0 || id >= config.vocabulary_size; });
    if (!other_vocabulary && !other_layers && outside == sequence.input_ids.end()) continue;
    return invalid(
        "TRI-VERIFY-002",
        "{}: sequence \"{}\" was made with another model: it has {} logits per row and {} rows of "
        "hidden states of {}, this model has {}, {} and {}{}",
        path,
        sequence.name,
        sequence.vocabulary,
        sequence.hidden_rows,
        sequence.hidden_size,
        config.vocabulary_size,
        config.num_layers + 1,
        config.hidden_size,
        outside == sequence.input_ids.end() ? "" : format_text("; token id {}", *outside));
  }
  return ok_status();
}

// The whole prompt of a sequence is computed, so it has to fit.
Status check_lengths(const std::vector<ReferenceSequence>& sequences,
                     int64_t max_model_len,
                     const std::string& path) {
  for (const ReferenceSequence& sequence : sequences) {
    const auto length = static_cast<int64_t>(sequence.input_ids.size());
    if (length <= max_model_len) continue;
    return invalid(
        "TRI-VERIFY-003",
        "{}: sequence \"{}\" has {} tokens, at most {} are allowed; raise --max-model-len (up "
        "to the positions of the model), or remove the sequence",
        path,
        sequence.name,
        length,
        max_model_len);
  }
  return ok_status();
}

StatusOr<std::vector<SequenceVerdict>> compare(ClientSession& session,
                                               const std::vector<ReferenceSequence>& sequences,
                                               bool localize,
                                               DType compute,
                                               Terminal& terminal) {
  RequestRunner runner(session);
  Collector collector(sequences.size());
  SteadyClock clock;
  ProgressBar bar(terminal, clock, "comparing", ProgressBar::Unit::kCount);
  size_t next = 0;
  size_t expected = 2 * sequences.size();
  std::vector<door::Submit> requests;
  for (const ReferenceSequence& sequence : sequences) {
    requests.push_back(probe_request(sequence, localize));
    requests.push_back(greedy_request(sequence));
  }
  // A reference may lack probes or a continuation; such requests are not sent.
  const auto asks_nothing = [](const door::Submit& request) {
    return request.kind == door::Kind::kProbe ? request.probes.empty()
                                              : request.sampling.max_tokens == 0;
  };
  expected -= static_cast<size_t>(std::ranges::count_if(requests, asks_nothing));
  while (collector.num_done() < expected) {
    for (; next < requests.size() && runner.has_room(); ++next) {
      if (asks_nothing(requests[next])) continue;
      RETURN_IF_ERROR(runner.submit(requests[next], next, format_text("{}", next)));
    }
    RETURN_IF_ERROR(runner.poll(kPollMs, collector));
    RETURN_IF_ERROR(collector.status());
    bar.update(static_cast<int64_t>(collector.num_done()), static_cast<int64_t>(expected));
  }
  std::vector<SequenceVerdict> verdicts;
  for (size_t i = 0; i < sequences.size(); ++i) {
    verdicts.push_back(judge(sequences[i], collector.probes(i), collector.greedy(i), compute));
  }
  return verdicts;
}

void VerifyVerb::report(Terminal& terminal, const std::vector<SequenceVerdict>& verdicts) const {
  nlohmann::ordered_json summary = verdict_json(verdicts);
  if (json) {
    summary["tp"] = cluster_flags.tp;
    summary["pp"] = cluster_flags.pp;
    summary["backend"] = backend;
    summary["dtype"] = name_of(cluster_flags.compute_dtype());
    return terminal.answer_line(json_text(summary));
  }
  terminal.answer_line(terminal.paint_out(
      Style::kBold, "sequence          tokens  positions  largest error  tolerance  greedy"));
  for (const SequenceVerdict& verdict : verdicts) {
    char line[160];
    std::snprintf(line,
                  sizeof line,
                  "%-16s  %6zu  %9zu  %13.3g  %9.3g  %zu/%zu  ",
                  verdict.name.empty() ? "(unnamed)" : verdict.name.substr(0, 16).c_str(),
                  verdict.num_tokens,
                  verdict.num_positions,
                  static_cast<double>(verdict.max_abs_error),
                  static_cast<double>(verdict.tolerance),
                  verdict.greedy_equal,
                  verdict.greedy_compared);
    const bool passed = verdict.passed();
    terminal.answer_line(
        line + terminal.paint_out(passed ? Style::kGood : Style::kBad, passed ? "ok" : "differs"));
    const std::string words = describe_difference(verdict);
    if (!words.empty()) terminal.answer_line("  " + words);
  }
  const bool passed = summary["passed"].get<bool>();
  terminal.answer_line(format_text(
      "{}: -tp {} -pp {}, {} on {}",
      terminal.paint_out(passed ? Style::kGood : Style::kBad, passed ? "passed" : "not passed"),
      cluster_flags.tp,
      cluster_flags.pp,
      name_of(cluster_flags.compute_dtype()),
      backend));
}

StatusOr<int> VerifyVerb::run(Terminal& terminal, Interrupts& interrupts) {
  RETURN_IF_ERROR(check_cluster_flags(cluster_flags));
  if (expected_path.empty()) expected_path = cluster_flags.model + "/expected.safetensors";
  ASSIGN_OR_RETURN(auto sequences, read_reference_outputs(expected_path));
  ASSIGN_OR_RETURN(const Preflight preflight, check_before_launch(cluster_flags));
  backend = preflight.backend.backend;
  RETURN_IF_ERROR(check_sequences(sequences, preflight.source.config, expected_path));
  RETURN_IF_ERROR(
      check_lengths(sequences, preflight.requested_model_len(cluster_flags), expected_path));
  for (const std::string& warning : preflight.warnings) terminal.warn(warning);
  ClusterOptions options;
  options.flags = cluster_flags;
  options.allow_probes = true;
  options.limit_vocabulary = false;
  ASSIGN_OR_RETURN(const auto session,
                   ClientSession::bring_up(options, preflight, terminal, interrupts));
  const int64_t longest = session->model().max_model_len;
  RETURN_IF_ERROR(check_lengths(sequences, longest, expected_path));  // memory may shorten it
  if (const size_t dropped = drop_beyond(sequences, longest); dropped > 0) {
    terminal.warn(format_text(
        "{} greedy tokens are not compared: a sequence has at most {} tokens", dropped, longest));
  }
  ASSIGN_OR_RETURN(const auto verdicts,
                   compare(*session, sequences, localize, cluster_flags.compute_dtype(), terminal));
  RETURN_IF_ERROR(session->close());
  report(terminal, verdicts);
  return std::ranges::all_of(verdicts, &SequenceVerdict::passed) ? kDone : kAnswerIsNo;
}

}  // namespace

int verb_verify(Terminal& terminal, const Arguments& arguments) {
  VerifyVerb verb;
  FlagSet flags(
      "trireme verify",
      "compares logits and greedy tokens with reference outputs: checks that this checkpoint "
      "is computed correctly with this -tp and -pp");
  const char* group = "Verify";
  flags.add("expected", &verb.expected_path, "FILE (MODEL/expected.safetensors)", group);
  flags.add("localize", &verb.localize, "name the first layer that differs", group);
  flags.add("json", &verb.json, "the verdict as JSON", group);
  add_cluster_flags(flags, verb.cluster_flags, /*is_private=*/true);
  if (const auto over = parse_flags(terminal, flags, arguments)) return *over;
  return run_interruptible(terminal,
                           [&](Interrupts& interrupts) { return verb.run(terminal, interrupts); });
}

}  // namespace trireme
