// The reference cases of the draw (tests/data/golden/sampling, written by numpy): logits and
// parameters, the ids kept, their probabilities.
#pragma once

#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/sampling_row.h"
#include "tests/test_data.h"

namespace trireme {

struct GoldenCase {
  std::string name;
  std::vector<float> logits;
  std::vector<double> probabilities;
  std::vector<int32_t> history;
  std::vector<int32_t> bias_ids;
  std::vector<float> bias_values;
  SamplingRow row;
  int64_t kept = 0;
  int32_t argmax = 0;
};

template <class T>
std::vector<T> tensor_values(const std::string& file, const std::string& name) {
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  const auto header = nlohmann::json::parse(file.substr(8, header_bytes));
  const int64_t begin = header[name]["data_offsets"][0], end = header[name]["data_offsets"][1];
  std::vector<T> values((end - begin) / sizeof(T));
  std::memcpy(values.data(), file.data() + 8 + header_bytes + begin, end - begin);
  return values;
}

inline std::vector<GoldenCase> golden_cases() {
  const std::string folder = test_data() + "/golden/sampling/";
  std::ifstream json_file(folder + "sampling.json"), tensor_file(folder + "sampling.safetensors");
  const std::string bytes{std::istreambuf_iterator<char>(tensor_file), {}};
  std::vector<GoldenCase> cases;
  for (const auto& json : nlohmann::json::parse(json_file)) {
    GoldenCase& golden = cases.emplace_back();
    golden.name = json["name"];
    golden.logits = tensor_values<float>(bytes, golden.name + ".logits");
    golden.probabilities = tensor_values<double>(bytes, golden.name + ".probs");
    golden.history = json["prompt_ids"].get<std::vector<int32_t>>();
    golden.row.num_prompt = static_cast<int32_t>(golden.history.size());
    for (const int32_t id : json["output_ids"]) golden.history.push_back(id);
    for (const auto& [id, value] : json["logit_bias"].items()) {
      golden.bias_ids.push_back(std::stoi(id));
      golden.bias_values.push_back(value);
    }
    golden.row.temperature = json["temperature"];
    golden.row.top_k = json["top_k"];
    golden.row.top_p = json["top_p"];
    golden.row.min_p = json["min_p"];
    golden.row.repetition_penalty = json["repetition_penalty"];
    golden.row.presence_penalty = json["presence_penalty"];
    golden.row.frequency_penalty = json["frequency_penalty"];
    golden.kept = json["kept"];
    golden.argmax = json["argmax"];
  }
  for (GoldenCase& golden : cases) {  // set last: the vectors no longer move
    golden.row.history = golden.history.data();
    golden.row.num_history = static_cast<int32_t>(golden.history.size());
    golden.row.bias_ids = golden.bias_ids.data();
    golden.row.bias_values = golden.bias_values.data();
    golden.row.num_bias = static_cast<int32_t>(golden.bias_ids.size());
  }
  return cases;
}

}  // namespace trireme
