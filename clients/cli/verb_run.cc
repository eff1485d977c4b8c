#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/utf8.h"
#include "clients/cli/client_session.h"
#include "clients/cli/json_lines.h"
#include "clients/cli/json_text.h"
#include "clients/cli/prompts.h"
#include "clients/cli/sampling_flags.h"
#include "clients/cli/verbs.h"

namespace trireme {

namespace {

constexpr int32_t kDefaultMaxTokens = 256;

struct RunOptions {
  ClusterFlags cluster_flags;
  std::string endpoint;
  std::string prompt;
  bool prompt_given = false;
  std::string prompts_file;
  bool from_stdin = false;
  bool special = true;
  bool json = false;
  bool as_completed = false;
  door::Submit defaults;
};

// Prints answers: the text of a single answer as it arrives, several answers whole and in the order
// of their prompts (--as-completed: of their ends).
class AnswerPrinter final : public AnswerListener {
 public:
  AnswerPrinter(Terminal& terminal,
                const RunOptions& options,
                const std::vector<Prompt>& prompts,
                size_t num_answers)
      : terminal_(terminal), options_(options), prompts_(prompts), single_(num_answers == 1) {}

  void on_text(const Answer& /*answer*/, int choice, const std::string& text) override {
    if (!single_ || options_.json || choice != 0) return;
    terminal_.answer(text);
    line_open_ = text.back() != '\n';
  }
  void on_done(Answer answer) override {
    const int64_t line = prompts_[answer.index].line_number;
    answer.refusal = at_line(options_.prompts_file, line, answer.refusal);
    end(std::move(answer));
  }
  // An answer is complete, refused or, when the work stops, abandoned.
  void end(Answer answer) {
    note_figures(answer);
    if (options_.as_completed) return print(answer);
    const size_t index = answer.index;
    waiting_.emplace(index, std::move(answer));
    while (!waiting_.empty() && waiting_.begin()->first == next_) {
      print(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
      ++next_;
    }
  }
  // "37 tokens in 0.1 s, 312 tokens/s, the first after 9 ms" on stderr.
  void print_figures(TimeUs duration_us);
  bool any_failed() const { return num_failed_ > 0; }
  size_t num_done() const { return num_done_; }

 private:
  void note_figures(const Answer& answer);
  void print(const Answer& answer);
  void print_choice(const Answer& answer, int choice);

  Terminal& terminal_;
  const RunOptions& options_;
  const std::vector<Prompt>& prompts_;
  const bool single_;  // there is one answer in all
  bool line_open_ = false;
  size_t next_ = 0;
  std::map<size_t, Answer> waiting_;  // complete, but an earlier answer is not
  size_t num_done_ = 0;
  size_t num_failed_ = 0;
  int64_t output_tokens_ = 0;
  TimeUs first_token_us_ = 0;  // of the single answer, since its request was sent
  TimeUs last_token_us_ = 0;
};

void AnswerPrinter::note_figures(const Answer& answer) {
  ++num_done_;
  if (answer.failed()) ++num_failed_;
  output_tokens_ += answer.output_tokens();
  if (single_ && answer.first_token_us() > 0) {
    first_token_us_ = answer.first_token_us() - answer.sent_us;
    last_token_us_ = answer.choices.front().frame_us.back() - answer.sent_us;
  }
}

void AnswerPrinter::print(const Answer& answer) {
  for (size_t i = 0; i < answer.choices.size(); ++i) print_choice(answer, static_cast<int>(i));
}

void AnswerPrinter::print_choice(const Answer& answer, int choice) {
  if (options_.json) {
    return terminal_.answer_line(json_text(answer_json(answer, choice)));
  }
  const std::string& text = answer.choices[choice].text;
  if (single_) {
    if (line_open_) terminal_.answer_line("");
    if (text.empty() && !answer.choices[choice].token_ids.empty()) {
      terminal_.answer_line(join(answer.choices[choice].token_ids, " "));
    }
  } else {
    const std::string label =
        answer.choices.size() > 1 ? format_text("{} ({})", answer.id, choice + 1) : answer.id;
    terminal_.answer_line(terminal_.paint_out(Style::kBold, format_text("=== {}", label)));
    terminal_.answer_line(text);
  }
  const Status failure = failure_of(answer, choice);
  if (failure.ok()) return;
  if (!single_) terminal_.note(format_text("prompt {}:", answer.id));
  (void)terminal_.fail(failure);
}

void AnswerPrinter::print_figures(TimeUs duration_us) {
  const double seconds = static_cast<double>(duration_us) * 1e-6;
  char text[160];
  if (single_ && first_token_us_ > 0) {
    const double decode_s = static_cast<double>(last_token_us_ - first_token_us_) * 1e-6;
    const double rate = decode_s > 0 ? static_cast<double>(output_tokens_ - 1) / decode_s : 0.0;
    std::snprintf(text,
                  sizeof text,
                  "%lld tokens, the first after %.1f ms, then %.0f tokens/s",
                  static_cast<long long>(output_tokens_),
                  static_cast<double>(first_token_us_) * 1e-3,
                  rate);
  } else {
    std::snprintf(text,
                  sizeof text,
                  "%zu %s, %lld tokens in %s, %.0f tokens/s",
                  num_done_,
                  num_done_ == 1 ? "answer" : "answers",
                  static_cast<long long>(output_tokens_),
                  format_seconds(seconds).c_str(),
                  static_cast<double>(output_tokens_) / std::max(seconds, 1e-6));
  }
  terminal_.note(terminal_.paint_err(Style::kDim, text));
}

StatusOr<std::vector<Prompt>> gather_prompts(const RunOptions& options) {
  const int sources = static_cast<int>(options.prompt_given) +
                      static_cast<int>(!options.prompts_file.empty()) +
                      static_cast<int>(options.from_stdin);
  if (sources != 1) {
    return invalid("TRI-RUN-003",
                   "give exactly one of --prompt TEXT, --prompts FILE.jsonl and - (the text on "
                   "standard input); given are {}",
                   sources);
  }
  for (const std::string& stop : options.defaults.sampling.stop) {
    RETURN_IF_ERROR(check_utf8(stop, "the stop string"));
  }
  if (!options.prompts_file.empty()) return read_prompts(options.prompts_file, options.defaults);
  Prompt prompt;
  prompt.id = "1";
  prompt.submit = options.defaults;
  prompt.submit.prompt = options.prompt;
  if (options.from_stdin) {
    ASSIGN_OR_RETURN(std::string text, read_all("-"));
    if (text.ends_with('\n')) text.pop_back();
    prompt.submit.prompt = std::move(text);
  }
  RETURN_IF_ERROR(check_utf8(std::get<std::string>(prompt.submit.prompt), "the prompt"));
  RETURN_IF_ERROR(check_sampling(prompt.submit.sampling, 0));
  return std::vector<Prompt>{std::move(prompt)};
}

Status answer_all(ClientSession& session,
                  const std::vector<Prompt>& prompts,
                  AnswerPrinter& printer) {
  RequestRunner runner(session);
  size_t next = 0;
  Status status;
  while (status.ok() && printer.num_done() < prompts.size()) {
    while (status.ok() && next < prompts.size() && runner.has_room()) {
      status = runner.submit(prompts[next].submit, next, prompts[next].id);
      if (status.ok()) ++next;
    }
    if (status.ok()) status = runner.poll(kPollMs, printer);
  }
  if (status.ok() || error_id(status) == kOutputLostId) return status;  // nobody would read them
  for (Answer& answer : runner.abandon(status)) printer.end(std::move(answer));
  return status;
}

StatusOr<int> run_prompts(const RunOptions& options, Terminal& terminal, Interrupts& interrupts) {
  RETURN_IF_ERROR(check_one_cluster(options.cluster_flags, options.endpoint));
  ASSIGN_OR_RETURN(const std::vector<Prompt> prompts, gather_prompts(options));
  std::unique_ptr<ClientSession> session;
  Preflight preflight;
  if (options.endpoint.empty()) {
    ASSIGN_OR_RETURN(preflight, check_before_launch(options.cluster_flags));
    RETURN_IF_ERROR(check_prompts(prompts,
                                  options.prompts_file,
                                  {.source = preflight.source,
                                   .tokenizer = preflight.tokenizer.get(),
                                   .chat = preflight.chat.get(),
                                   .no_chat = preflight.no_chat},
                                  options.cluster_flags.max_model_len));
    for (const std::string& warning : preflight.warnings) terminal.warn(warning);
    ClusterOptions cluster;
    cluster.flags = options.cluster_flags;
    ASSIGN_OR_RETURN(session, ClientSession::bring_up(cluster, preflight, terminal, interrupts));
  } else {
    ASSIGN_OR_RETURN(session, ClientSession::connect(options.endpoint, terminal, interrupts));
  }
  size_t num_answers = 0;
  for (const Prompt& prompt : prompts) {
    num_answers += static_cast<size_t>(std::max(1, prompt.submit.sampling.n.value_or(1)));
  }
  AnswerPrinter printer(terminal, options, prompts, num_answers);
  SteadyClock clock;
  const TimeUs start_us = clock.now_us();
  const Status answered = answer_all(*session, prompts, printer);
  // Nothing has failed but the output: the cluster ends in order, and its trace is written.
  if (error_id(answered) == kOutputLostId) RETURN_IF_ERROR(session->close());
  RETURN_IF_ERROR(answered);
  printer.print_figures(clock.now_us() - start_us);
  RETURN_IF_ERROR(session->close());
  return printer.any_failed() ? kAnswerIsNo : kDone;
}

}  // namespace

int verb_run(Terminal& terminal, const Arguments& arguments) {
  RunOptions options;
  options.defaults.on_disconnect = door::OnDisconnect::kCancel;
  options.defaults.sampling.max_tokens = kDefaultMaxTokens;
  Arguments rest;
  FlagSet flags("trireme run [-]",
                "answers prompts; with --model through a private cluster, with --endpoint through "
                "a running one; - reads the prompt from standard input");
  const char* group = "Prompts";
  flags.add("prompt", &options.prompt, "text to continue", group);
  flags.add("prompts", &options.prompts_file, "JSON lines: {\"prompt\": ...}; - is stdin", group);
  flags.add("endpoint", &options.endpoint, "tcp://HOST:PORT of a running cluster", group);
  flags.add("json", &options.json, "one JSON line per answer", group);
  flags.add("as-completed", &options.as_completed, "print answers as they complete", group);
  flags.add("special", &options.special, "begin with the model's own tokens (BOS)", group);
  add_sampling_flags(flags, options.defaults.sampling);
  add_priority_flag(flags, options.defaults);
  add_cluster_flags(flags, options.cluster_flags, /*is_private=*/true);
  if (const auto over = parse_flags(terminal, flags, arguments, &rest)) return *over;
  for (const std::string& word : rest) {
    if (word == "-") {
      options.from_stdin = true;
      continue;
    }
    return terminal.fail(unknown_argument(word));
  }
  options.prompt_given = flags.origin("prompt") != FlagOrigin::kDefault;
  options.defaults.add_special_tokens = options.special;
  return run_interruptible(
      terminal, [&](Interrupts& interrupts) { return run_prompts(options, terminal, interrupts); });
}

}  // namespace trireme
