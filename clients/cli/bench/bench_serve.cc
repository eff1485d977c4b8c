#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "base/text.h"
#include "clients/cli/bench/bench_parts.h"
#include "clients/cli/bench/load_figures.h"
#include "clients/cli/bench/saved_results.h"
#include "clients/cli/client_session.h"
#include "clients/cli/json_text.h"
#include "clients/cli/prompts.h"

namespace trireme {

namespace {

using Json = nlohmann::ordered_json;

struct ServeBenchOptions {
  ClusterFlags cluster_flags;
  std::string endpoint;
  int64_t input_len = 128;
  int64_t output_len = 64;
  int64_t requests = 0;  // per point; 0: 8 per concurrent request, or 10 s of --rate, at least 16
  std::vector<int64_t> concurrency;
  std::vector<double> rates;
  std::string dataset;
  Goodput goodput;
  uint64_t seed = 0;
  std::string save;
  bool json = false;
};

// One point of the sweep: a number of concurrent requests, or a rate of arrivals.
struct LoadPoint {
  int64_t concurrency = 0;
  double rate = 0;  // requests per second; 0: closed loop at `concurrency`
};

class Collector final : public AnswerListener {
 public:
  void on_text(const Answer& /*answer*/, int /*choice*/, const std::string& /*text*/) override {}
  void on_done(Answer answer) override { answers_.push_back(std::move(answer)); }
  const std::vector<Answer>& answers() const { return answers_; }

 private:
  std::vector<Answer> answers_;
};

class ServeBench {
 public:
  ServeBench(const ServeBenchOptions& options,
             ClientSession& session,
             const std::vector<Prompt>& dataset,
             Terminal& terminal)
      : options_(options),
        session_(session),
        dataset_(dataset),
        terminal_(terminal),
        random_(options.seed) {}

  Status warm_up();
  StatusOr<LoadFigures> measure(const LoadPoint& point);

 private:
  door::Submit next_request();
  int64_t requests_of(const LoadPoint& point) const;

  const ServeBenchOptions& options_;
  ClientSession& session_;
  const std::vector<Prompt>& dataset_;
  Terminal& terminal_;
  std::mt19937_64 random_;
  SteadyClock clock_;
  size_t next_line_ = 0;
};

// The data set's lines in turn; without one random ids, so that no prefix is in the cache.
door::Submit ServeBench::next_request() {
  door::Submit submit;
  if (!dataset_.empty()) {
    submit = dataset_[next_line_++ % dataset_.size()].submit;
  } else {
    std::vector<TokenId> ids;
    const auto vocabulary = static_cast<uint64_t>(std::max(1, session_.model().vocabulary_size));
    for (int64_t i = 0; i < options_.input_len; ++i) {
      ids.push_back(static_cast<TokenId>(random_() % vocabulary));
    }
    submit.prompt = std::move(ids);
    submit.sampling.ignore_eos = true;
  }
  submit.on_disconnect = door::OnDisconnect::kCancel;
  if (!submit.sampling.max_tokens) {
    submit.sampling.max_tokens = static_cast<int32_t>(options_.output_len);
  }
  return submit;
}

int64_t ServeBench::requests_of(const LoadPoint& point) const {
  if (options_.requests > 0) return options_.requests;
  return point.rate > 0 ? std::max<int64_t>(16, std::llround(point.rate * 10))
                        : std::max<int64_t>(16, 8 * point.concurrency);
}

Status ServeBench::warm_up() {
  RequestRunner runner(session_);
  Collector collector;
  RETURN_IF_ERROR(runner.submit(next_request(), 0, "warm-up"));
  while (collector.answers().empty()) RETURN_IF_ERROR(runner.poll(kPollMs, collector));
  return failure_of(collector.answers().front(), 0);
}

StatusOr<LoadFigures> ServeBench::measure(const LoadPoint& point) {
  RequestRunner runner(session_);
  if (point.concurrency > 0) runner.set_window(static_cast<size_t>(point.concurrency));
  Collector collector;
  const int64_t total = requests_of(point);
  const std::vector<TimeUs> arrivals = point.rate > 0
                                           ? poisson_arrivals(total, point.rate, options_.seed)
                                           : std::vector<TimeUs>(static_cast<size_t>(total), 0);
  ProgressBar bar(terminal_, clock_, "requests", ProgressBar::Unit::kCount);
  const TimeUs start_us = clock_.now_us();
  int64_t sent = 0;
  while (static_cast<int64_t>(collector.answers().size()) < total) {
    const TimeUs passed_us = clock_.now_us() - start_us;
    while (sent < total && runner.has_room() && arrivals[static_cast<size_t>(sent)] <= passed_us) {
      RETURN_IF_ERROR(
          runner.submit(next_request(), static_cast<size_t>(sent), format_text("{}", sent)));
      ++sent;
    }
    int wait_ms = kPollMs;
    if (sent < total && runner.has_room()) {
      const TimeUs left_us = arrivals[static_cast<size_t>(sent)] - passed_us;
      wait_ms = static_cast<int>(std::clamp<TimeUs>(left_us / 1000, 0, kPollMs));
    }
    RETURN_IF_ERROR(runner.poll(wait_ms, collector));
    bar.update(static_cast<int64_t>(collector.answers().size()), total);
  }
  return figures_of(collector.answers(), clock_.now_us() - start_us, options_.goodput);
}

void print_head(Terminal& terminal, bool by_rate) {
  terminal.answer_line(
      terminal.paint_out(Style::kBold,
                         format_text("{}  requests  failed  output tok/s    TTFT p50   p99 ms   "
                                     "TPOT p50   p99 ms   E2E p50 ms",
                                     by_rate ? "   rate" : "at once")));
}

void print_point(Terminal& terminal, const LoadPoint& point, const LoadFigures& figures) {
  char line[200];
  std::snprintf(line,
                sizeof line,
                "%7s  %8lld  %6lld  %12.1f  %10.1f %8.1f %10.2f %8.2f %12.1f",
                point.rate > 0 ? format_text("{:g}", point.rate).c_str()
                               : format_text("{}", point.concurrency).c_str(),
                static_cast<long long>(figures.requests),
                static_cast<long long>(figures.failed),
                figures.output_tokens_per_second(),
                figures.ttft_ms.p50,
                figures.ttft_ms.p99,
                figures.tpot_ms.p50,
                figures.tpot_ms.p99,
                figures.e2e_ms.p50);
  terminal.answer_line(line);
}

Json to_json(const LoadPoint& point, const LoadFigures& figures) {
  Json json = point.rate > 0 ? Json{{"request_rate", point.rate}}
                             : Json{{"concurrency", point.concurrency}};
  json.update(figures.to_json());
  return json;
}

StatusOr<std::vector<LoadPoint>> points_of(const ServeBenchOptions& options) {
  if (!options.concurrency.empty() && !options.rates.empty()) {
    return invalid("TRI-BENCH-003", "give either --concurrency or --rate, not both");
  }
  std::vector<LoadPoint> points;
  for (const int64_t concurrency : options.concurrency) points.push_back({concurrency, 0});
  for (const double rate : options.rates) points.push_back({0, rate});
  if (points.empty()) points = {{1, 0}, {4, 0}, {16, 0}};
  for (const LoadPoint& point : points) {
    if (point.concurrency > 0 || point.rate > 0) continue;
    return invalid("TRI-BENCH-003", "--concurrency and --rate have to be above 0");
  }
  if (options.input_len < 1 || options.output_len < 1 || options.requests < 0) {
    return invalid("TRI-BENCH-003",
                   "--input-len is {} and --output-len is {}; both have to be at least 1",
                   options.input_len,
                   options.output_len);
  }
  return points;
}

Status check_lengths(const ServeBenchOptions& options, int64_t longest) {
  if (!options.dataset.empty() || options.input_len + options.output_len <= longest) {
    return ok_status();
  }
  return invalid(
      "TRI-BENCH-003",
      "--input-len {} and --output-len {} exceed the maximum sequence length of {} tokens; "
      "lower one of them",
      options.input_len,
      options.output_len,
      longest);
}

StatusOr<std::unique_ptr<ClientSession>> open_session(const ServeBenchOptions& options,
                                                      Preflight& preflight,
                                                      Terminal& terminal,
                                                      Interrupts& interrupts) {
  if (!options.endpoint.empty()) {
    return ClientSession::connect(options.endpoint, terminal, interrupts);
  }
  ASSIGN_OR_RETURN(preflight, check_before_launch(options.cluster_flags));
  RETURN_IF_ERROR(check_lengths(options, preflight.requested_model_len(options.cluster_flags)));
  for (const std::string& warning : preflight.warnings) terminal.warn(warning);
  ClusterOptions cluster;
  cluster.flags = options.cluster_flags;
  return ClientSession::bring_up(cluster, preflight, terminal, interrupts);
}

StatusOr<int> sweep(const ServeBenchOptions& options, Terminal& terminal, Interrupts& interrupts) {
  ASSIGN_OR_RETURN(const std::vector<LoadPoint> points, points_of(options));
  RETURN_IF_ERROR(check_one_cluster(options.cluster_flags, options.endpoint));
  std::vector<Prompt> dataset;
  if (!options.dataset.empty()) {
    ASSIGN_OR_RETURN(dataset, read_prompts(options.dataset, door::Submit()));
  }
  std::optional<ResultsFile> saved;
  if (!options.save.empty()) {
    ASSIGN_OR_RETURN(saved, ResultsFile::create(options.save, "serve", options.cluster_flags));
  }
  Preflight preflight;
  ASSIGN_OR_RETURN(const auto session, open_session(options, preflight, terminal, interrupts));
  RETURN_IF_ERROR(check_lengths(options, session->model().max_model_len));
  ServeBench bench(options, *session, dataset, terminal);
  RETURN_IF_ERROR(bench.warm_up());
  if (!options.json) print_head(terminal, !options.rates.empty());
  Json about = describe_run("serve", options.cluster_flags);
  about["input_len"] = options.input_len;
  about["output_len"] = options.output_len;
  SavedRun run{json_text(about), {}};
  bool failed = false;
  for (const LoadPoint& point : points) {
    ASSIGN_OR_RETURN(const LoadFigures figures, bench.measure(point));
    failed = failed || figures.failed > 0;
    run.results.push_back(to_json(point, figures).dump());
    if (options.json) {
      terminal.answer_line(run.results.back());
    } else {
      print_point(terminal, point, figures);
    }
  }
  RETURN_IF_ERROR(session->close());
  if (saved) RETURN_IF_ERROR(saved->write(run));
  return failed ? kAnswerIsNo : kDone;
}

}  // namespace

int bench_serve(Terminal& terminal, const Arguments& arguments) {
  ServeBenchOptions options;
  FlagSet flags("trireme bench serve", "a load sweep through the client door");
  const char* group = "Bench";
  flags.add_length("input-len", &options.input_len, "tokens per prompt, random ids (128)", group);
  flags.add_length("output-len", &options.output_len, "tokens per answer (64)", group);
  flags.add("requests", &options.requests, "requests per point (8 per concurrent one)", group);
  flags.add_list("concurrency", &options.concurrency, "concurrent requests: 1,4,16", group);
  flags.add_custom("rate",
                   "requests per second, Poisson arrivals: 2,8",
                   group,
                   [&](const std::string& text) -> Status {
                     for (const std::string& part : split(text, ',')) {
                       char* end = nullptr;
                       options.rates.push_back(std::strtod(part.c_str(), &end));
                       if (*end != '\0' || part.empty() || !(options.rates.back() > 0) ||
                           std::isinf(options.rates.back())) {
                         return invalid("TRI-ARGS-003", "\"{}\" is not a rate above 0", part);
                       }
                     }
                     return ok_status();
                   });
  flags.add("endpoint", &options.endpoint, "tcp://HOST:PORT of a running cluster", group);
  flags.add("dataset", &options.dataset, "JSON lines of prompts, used in turn", group);
  flags.add("goodput-ttft-ms",
            &options.goodput.ttft_ms,
            "goodput: limit of the time to the first token",
            group);
  flags.add("goodput-tpot-ms",
            &options.goodput.tpot_ms,
            "goodput: limit of the time per further token",
            group);
  flags.add("seed", &options.seed, "seed of prompts and arrivals", group);
  flags.add("save", &options.save, "folder for the results, read by bench report", group);
  flags.add("json", &options.json, "one JSON line per point", group);
  add_cluster_flags(flags, options.cluster_flags, /*is_private=*/true);
  if (const auto over = parse_flags(terminal, flags, arguments)) return *over;
  return run_interruptible(
      terminal, [&](Interrupts& interrupts) { return sweep(options, terminal, interrupts); });
}

}  // namespace trireme
