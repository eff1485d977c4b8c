#include "clients/cli/bench/load_figures.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

namespace trireme {

namespace {

using Json = nlohmann::ordered_json;

double percentile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

Json to_json(const Distribution& distribution) {
  return {{"mean", distribution.mean},
          {"p50", distribution.p50},
          {"p90", distribution.p90},
          {"p99", distribution.p99}};
}

struct Samples {
  std::vector<double> ttft_ms, tpot_ms, itl_ms, e2e_ms;
  int64_t good = 0;

  void add(const Answer& answer, const Goodput& goodput) {
    const TimeUs first_us = answer.first_token_us();
    if (first_us == 0) return;
    const double ttft = milliseconds(first_us - answer.sent_us);
    ttft_ms.push_back(ttft);
    e2e_ms.push_back(milliseconds(answer.done_us - answer.sent_us));
    double worst_tpot = 0;
    for (const Choice& choice : answer.choices) {
      for (size_t i = 1; i < choice.frame_us.size(); ++i) {
        itl_ms.push_back(milliseconds(choice.frame_us[i] - choice.frame_us[i - 1]));
      }
      if (choice.token_ids.size() < 2 || choice.frame_us.empty()) continue;
      const double span = milliseconds(choice.frame_us.back() - choice.frame_us.front());
      tpot_ms.push_back(span / static_cast<double>(choice.token_ids.size() - 1));
      worst_tpot = std::max(worst_tpot, tpot_ms.back());
    }
    const bool in_time = goodput.ttft_ms <= 0 || ttft <= goodput.ttft_ms;
    const bool fast = goodput.tpot_ms <= 0 || worst_tpot <= goodput.tpot_ms;
    if (in_time && fast) ++good;
  }
};

}  // namespace

Distribution distribution_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  return {sum / static_cast<double>(values.size()),
          percentile(values, 0.5),
          percentile(values, 0.9),
          percentile(values, 0.99)};
}

double LoadFigures::output_tokens_per_second() const {
  return duration_s > 0 ? static_cast<double>(output_tokens) / duration_s : 0;
}

Json LoadFigures::to_json() const {
  const double seconds = std::max(duration_s, 1e-9);
  Json json = {
      {"requests", requests},
      {"failed", failed},
      {"duration_s", duration_s},
      {"input_tokens", input_tokens},
      {"output_tokens", output_tokens},
      {"output_tokens_per_second", output_tokens_per_second()},
      {"total_tokens_per_second", static_cast<double>(input_tokens + output_tokens) / seconds},
      {"requests_per_second", static_cast<double>(requests - failed) / seconds},
      {"ttft_ms", trireme::to_json(ttft_ms)},
      {"tpot_ms", trireme::to_json(tpot_ms)},
      {"itl_ms", trireme::to_json(itl_ms)},
      {"e2e_ms", trireme::to_json(e2e_ms)}};
  if (goodput_requests_per_second) {
    json["goodput_requests_per_second"] = *goodput_requests_per_second;
  }
  return json;
}

LoadFigures figures_of(const std::vector<Answer>& answers,
                       TimeUs duration_us,
                       const Goodput& goodput) {
  LoadFigures figures;
  Samples samples;
  figures.requests = static_cast<int64_t>(answers.size());
  figures.duration_s = static_cast<double>(duration_us) * 1e-6;
  for (const Answer& answer : answers) {
    if (answer.failed()) {
      ++figures.failed;
      continue;
    }
    figures.input_tokens += answer.prompt_tokens;
    figures.output_tokens += answer.output_tokens();
    samples.add(answer, goodput);
  }
  figures.ttft_ms = distribution_of(std::move(samples.ttft_ms));
  figures.tpot_ms = distribution_of(std::move(samples.tpot_ms));
  figures.itl_ms = distribution_of(std::move(samples.itl_ms));
  figures.e2e_ms = distribution_of(std::move(samples.e2e_ms));
  if (goodput.wanted()) {
    figures.goodput_requests_per_second =
        static_cast<double>(samples.good) / std::max(figures.duration_s, 1e-9);
  }
  return figures;
}

std::vector<TimeUs> poisson_arrivals(int64_t requests, double rate_per_second, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<TimeUs> arrivals;
  double at_s = 0;
  for (int64_t i = 0; i < requests; ++i) {
    arrivals.push_back(static_cast<TimeUs>(at_s * 1e6));
    // Inverse transform; std::exponential_distribution differs between standard libraries.
    const double uniform = (static_cast<double>(random() >> 11) + 0.5) * 0x1p-53;
    at_s += -std::log(uniform) / rate_per_second;
  }
  return arrivals;
}

}  // namespace trireme
