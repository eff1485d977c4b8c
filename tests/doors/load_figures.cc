#include "tests/doors/load_figures.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace trireme {
namespace {

using Json = nlohmann::json;

Json percentiles_ms(std::vector<TimeUs> times) {
  if (times.empty()) return nullptr;
  std::ranges::sort(times);
  const auto at = [&](double share) {
    const auto index = static_cast<size_t>(share * static_cast<double>(times.size() - 1));
    return static_cast<double>(times[index]) / 1'000;
  };
  return {{"p50", at(0.5)}, {"p90", at(0.9)}, {"p99", at(0.99)}, {"max", at(1)}};
}

}  // namespace

std::string prompt_of(int index) { return format_text("client {} asks for words", index); }

double process_cpu_s() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void LoadFigures::text(StreamRecord& stream, const std::string& text, TimeUs now_us) {
  if (text.empty()) return;
  if (!stream.stops) {
    if (stream.last_us == 0) {
      first_us_.push_back(now_us - stream.sent_us);
    } else {
      gaps_us_.push_back(now_us - stream.last_us);
    }
  }
  stream.last_us = now_us;
  stream.text += text;
}

void LoadFigures::end(StreamRecord& stream) { stream.is_over = true; }

std::string LoadFigures::report(const std::vector<StreamRecord>& streams, double cpu_s) const {
  std::ifstream file(options_.expected, std::ios::binary);
  const std::string expected{std::istreambuf_iterator<char>(file), {}};
  int complete = 0;
  int damaged = 0;
  int miscounted = 0;
  int stopped = 0;
  std::map<std::string, int> failures;
  std::string example;
  for (const StreamRecord& stream : streams) {
    stopped += stream.stops;
    if (stream.stops) continue;
    if (!stream.failure.empty()) ++failures[stream.failure];
    if (!stream.is_over || !stream.failure.empty()) continue;
    ++complete;
    miscounted += stream.completion_tokens >= 0 && stream.completion_tokens != options_.max_tokens;
    if (options_.expected.empty() || stream.text == expected) continue;
    ++damaged;
    example = stream.text;
  }
  Json figures = {{"streams", streams.size()},
                  {"complete", complete},
                  {"damaged", damaged},
                  {"miscounted", miscounted},
                  {"stopped", stopped},
                  {"failures", failures},
                  {"first_token_ms", percentiles_ms(first_us_)},
                  {"gap_ms", percentiles_ms(gaps_us_)},
                  {"generator_cpu_s", cpu_s}};
  if (!example.empty()) figures["damaged_text"] = example.substr(0, 400);
  return figures.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace trireme
