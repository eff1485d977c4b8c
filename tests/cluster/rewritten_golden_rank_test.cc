// Golden models whose config.json is written in another way that means the same: verified in
// float32. Each rank writes the same folder for itself.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cluster/golden_case.h"
#include "tests/cluster/ranked_worker.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Rewriting {
  const char* name;
  const char* golden;
  json (*rewrite)(json config);
  std::string inserted;  // text of further fields that the JSON library cannot write
};

// The rope fields of an older config, with the theta inside.
json take_rope(json& config) {
  json rope =
      config["rope_scaling"].is_object() ? config["rope_scaling"] : json{{"rope_type", "default"}};
  rope["rope_theta"] = config["rope_theta"];
  config.erase("rope_theta");
  config.erase("rope_scaling");
  return rope;
}

const json kOtherRope = {{"rope_type", "default"}, {"rope_theta", 77.0}};

json nested(json config) {
  const json rope = take_rope(config);
  config["rope_parameters"] = {{"full_attention", rope}, {"sliding_attention", kOtherRope}};
  return config;
}

json nested_sliding(json config) {
  const json rope = take_rope(config);
  config["rope_parameters"] = {{"full_attention", kOtherRope}, {"sliding_attention", rope}};
  return config;
}

json flat_beside_empty_scaling(json config) {
  config["rope_parameters"] = take_rope(config);
  config["rope_scaling"] = json::object();
  return config;
}

json scaling_added_to_parameters(json config) {
  const json scaling = config["rope_scaling"];
  const json theta = take_rope(config)["rope_theta"];
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", theta}};
  config["rope_scaling"] = scaling;
  return config;
}

json dynamic(json config) {
  config["rope_scaling"] = {{"type", "dynamic"}, {"factor", 4.0}};
  return config;
}

json inside_text_config(json config) {
  return {{"model_type", "llava"},
          {"architectures", {"LlavaForConditionalGeneration"}},
          {"vision_config", {{"model_type", "clip_vision_model"}}},
          {"text_config", std::move(config)}};
}

json integers_as_floats(json config) {
  for (const char* key : {"hidden_size", "num_hidden_layers", "max_position_embeddings"}) {
    config[key] = config[key].get<double>();
  }
  config.erase("torch_dtype");
  config["dtype"] = {{"", "bfloat16"}, {"vision_config", "float32"}};
  return config;
}

const std::vector<Rewriting>& rewritings() {
  static const std::vector<Rewriting> kRewritings = {
      {"llama3_nested", "llama-rope-llama3-sharded", nested, ""},
      {"llama3_beside_empty_scaling", "llama-rope-llama3-sharded", flat_beside_empty_scaling, ""},
      {"llama3_added", "llama-rope-llama3-sharded", scaling_added_to_parameters, ""},
      {"mistral_nested", "mistral-window", nested_sliding, ""},
      {"qwen2_nested", "qwen2-tied", nested, ""},
      {"qwen2_inside", "qwen2-tied", inside_text_config, ""},
      {"mistral_inside", "mistral-window", inside_text_config, ""},
      {"qwen3_dynamic", "qwen3-qk-norm", dynamic, ""},
      {"llama_numbers",
       "llama-gqa",
       integers_as_floats,
       "\"time_step_limit\": [0.0, Infinity], \"x\": NaN, "}};
  return kRewritings;
}

// A folder with links to the files of the golden and the rewritten config.json.
class RewrittenFolder {
 public:
  explicit RewrittenFolder(const Rewriting& rewriting)
      : path_(fs::temp_directory_path() /
              format_text("rewritten-{}-{}", rewriting.name, getpid())) {
    const fs::path golden = fs::path(TRIREME_TEST_DATA "/golden/models") / rewriting.golden;
    fs::create_directories(path_);
    for (const auto& entry : fs::directory_iterator(golden)) {
      if (entry.path().filename() == "config.json") continue;
      fs::create_symlink(entry.path(), path_ / entry.path().filename());
    }
    std::ifstream file(golden / "config.json");
    std::string text = rewriting.rewrite(json::parse(file)).dump();
    text.insert(1, rewriting.inserted);
    std::ofstream(path_ / "config.json") << text;
  }
  ~RewrittenFolder() { fs::remove_all(path_); }
  RewrittenFolder(const RewrittenFolder&) = delete;
  RewrittenFolder& operator=(const RewrittenFolder&) = delete;
  std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

class RewrittenGolden : public testing::TestWithParam<Rewriting> {};

TEST_P(RewrittenGolden, LogitsHiddenStatesAndGreedyTokensAreTheReferences) {
  const RewrittenFolder folder(GetParam());
  auto source = open_model(folder.path());
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  const GoldenCase golden(folder.path(), DType::kFloat32);
  for (const Partition partition : {Partition{1, 1}, Partition{1, 2}}) {
    WorkerOptions options;
    options.dtype = DType::kFloat32;
    options.threads = 1;
    options.max_slots = 8;
    RankedWorker worker(test_world(), *source, partition, options);
    const Outcome outcome = worker.run(golden.requests(), partition.pp);
    golden.check(outcome);
    golden.check_hidden(source->config, outcome);
  }
}

INSTANTIATE_TEST_SUITE_P(Models,
                         RewrittenGolden,
                         testing::ValuesIn(rewritings()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) { return trireme::run_rank_tests(argc, argv); }
