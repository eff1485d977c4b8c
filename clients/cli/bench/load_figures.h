// Figures of a load run: percentiles over requests, tokens per second, and arrival times of
// requests. Pure functions. TTFT: from sending a request to its first token; TPOT: (time of the
// last token - time of the first) / (tokens - 1); ITL: time between two frames of one answer.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <vector>

#include "clients/cli/answers.h"

namespace trireme {

struct Distribution {
  double mean = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
};

// Percentiles by linear interpolation between ranks; zeros if there is no value.
Distribution distribution_of(std::vector<double> values);

struct Goodput {  // limits that a good request meets; 0: no limit
  double ttft_ms = 0;
  double tpot_ms = 0;
  bool wanted() const { return ttft_ms > 0 || tpot_ms > 0; }
};

struct LoadFigures {
  int64_t requests = 0;
  int64_t failed = 0;
  double duration_s = 0;
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
  Distribution ttft_ms;
  Distribution tpot_ms;
  Distribution itl_ms;
  Distribution e2e_ms;
  std::optional<double> goodput_requests_per_second;

  double output_tokens_per_second() const;
  // The fields of `bench serve --json` but concurrency and rate.
  nlohmann::ordered_json to_json() const;
};

LoadFigures figures_of(const std::vector<Answer>& answers,
                       TimeUs duration_us,
                       const Goodput& goodput);

// Arrival times of a Poisson process, microseconds after its start.
std::vector<TimeUs> poisson_arrivals(int64_t requests, double rate_per_second, uint64_t seed);

}  // namespace trireme
