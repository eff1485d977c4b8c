#include "tests/model/reader_mutation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json_check.h"
#include "base/text.h"
#include "model/checkpoint/safetensors.h"
#include "model/checkpoint/shard_index.h"
#include "model/config/read_model_config.h"
#include "tests/allocation_peak.h"
#include "tests/json_mutation.h"

namespace trireme {
namespace {

using nlohmann::json;

constexpr size_t kFixedAllowance = 64 * 1024;  // messages, a window for each of 4,096 layers

const std::vector<json>& odd_values() {
  static const std::vector<json> kValues = {nullptr,
                                            true,
                                            false,
                                            -1,
                                            0,
                                            1,
                                            3,
                                            7,
                                            64,
                                            4097,
                                            2147483648,
                                            9223372036854775807,
                                            18446744073709551615u,
                                            1e308,
                                            1e-308,
                                            0.5,
                                            -0.0,
                                            "",
                                            "a",
                                            "BF16",
                                            "F64",
                                            "llama",
                                            "mistral",
                                            "qwen3",
                                            "yarn",
                                            "sliding_attention",
                                            4096.0,
                                            {{"__float__", "Infinity"}},
                                            {{"full_attention", {{"rope_theta", 1e6}}}},
                                            {{"text_config", "float32"}},
                                            json::array(),
                                            json::object(),
                                            json::array({0, 0}),
                                            json::array({1, 2, 3, 4, 5, 6, 7, 8, 9}),
                                            json::array({json::array()}),
                                            {{"rope_type", "llama3"}, {"factor", 8.0}},
                                            std::string(5000, 'x')};
  return kValues;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string header_of(const std::string& path, int64_t* file_bytes) {
  const std::string bytes = read_file(path);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  *file_bytes = static_cast<int64_t>(bytes.size());
  return bytes.substr(8, length);
}

// The value of a key; null if it is absent.
json value_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? json() : *found;
}

void expect_same_number(const json& object, const char* key, int64_t read) {
  const json value = value_of(object, key);
  if (!value.is_null()) {
    EXPECT_EQ(value.get<int64_t>(), read) << key;
  }
}

// The rope object of layers with full attention under a key; null if the key says nothing.
json rope_fields(const json& object, const char* key) {
  const json fields = value_of(object, key);
  if (!fields.is_object() || fields.empty()) return {};
  if (!fields.contains("full_attention")) return fields;
  json member = value_of(fields, "full_attention");
  if (member.is_object() && value_of(member, "rope_theta").is_null())
    member["rope_theta"] = value_of(fields, "rope_theta");
  return member;
}

void expect_same_rope(const json& object, const RopeConfig& rope) {
  const json parameters = rope_fields(object, "rope_parameters");
  const json scaling = rope_fields(object, "rope_scaling");
  const json fields = scaling.is_null() ? parameters : scaling;
  const auto field = [&](const char* key) {
    return fields.is_object() ? value_of(fields, key) : json();
  };
  json theta = field("rope_theta");
  if (theta.is_null() && parameters.is_object()) theta = value_of(parameters, "rope_theta");
  if (theta.is_null()) theta = value_of(object, "rope_theta");
  if (!theta.is_null()) {
    EXPECT_EQ(theta.get<double>(), rope.theta);
  }
  json type = field("rope_type");
  if (type.is_null()) type = field("type");
  EXPECT_EQ(rope.scaling == RopeScaling::kLinear, type == "linear");
  EXPECT_EQ(rope.scaling == RopeScaling::kLlama3, type == "llama3");
  EXPECT_EQ(rope.scaling == RopeScaling::kYarn, type == "yarn");
  if (rope.scaling == RopeScaling::kNone) return;
  const json factor = field("factor");
  if (!factor.is_null()) {
    EXPECT_EQ(rope.factor, factor.get<double>());
  } else {
    EXPECT_EQ(rope.scaling, RopeScaling::kYarn);
  }
  json original = value_of(object, "original_max_position_embeddings");
  if (original.is_null()) original = field("original_max_position_embeddings");
  if (rope.scaling != RopeScaling::kLinear && !original.is_null()) {
    EXPECT_EQ(rope.original_max_positions, original.get<int64_t>());
  }
}

// A name, or that of the text model in an object of names.
json stated_dtype(const json& object, const char* key) {
  const json value = value_of(object, key);
  if (!value.is_object()) return value;
  json name = "";
  for (const char* part : {"", "text_config"}) {
    const json found = value_of(value, part);
    if (found.is_string()) name = found;
  }
  return name;
}

void expect_same_config(const json& object, const ModelConfig& config) {
  EXPECT_EQ(object["model_type"].get<std::string>(), config.model_type);
  expect_same_number(object, "vocab_size", config.vocabulary_size);
  expect_same_number(object, "hidden_size", config.hidden_size);
  expect_same_number(object, "intermediate_size", config.intermediate_size);
  expect_same_number(object, "num_hidden_layers", config.num_layers);
  expect_same_number(object, "num_attention_heads", config.num_heads);
  expect_same_number(object, "num_key_value_heads", config.num_kv_heads);
  expect_same_number(object, "head_dim", config.head_dim);
  const json positions = value_of(object, "max_position_embeddings");
  if (!positions.is_null()) {
    EXPECT_GE(config.max_positions, positions.get<int64_t>());  // a scaling may extend them
  }
  const json epsilon = value_of(object, "rms_norm_eps");
  if (!epsilon.is_null()) {
    EXPECT_EQ(epsilon.get<double>(), config.norm_epsilon);
  }
  const json tied = value_of(object, "tie_word_embeddings");
  EXPECT_EQ(!tied.is_null() && tied.get<bool>(), config.tied_embeddings);
  const json eos = value_of(object, "eos_token_id");
  json list = eos.is_array() ? eos : eos.is_null() ? json::array() : json::array({eos});
  const bool has_end = config.model_type == "llama" || config.model_type == "mistral";
  if (has_end && !object.contains("eos_token_id")) list = {2};
  std::vector<TokenId> ids;
  for (const json& id : list) {
    const double number = id.is_number() ? id.get<double>() : -1;
    const bool usable = number >= 0 && number <= 1 << 24 && number == std::trunc(number);
    if (usable) ids.push_back(static_cast<TokenId>(number));
  }
  EXPECT_EQ(ids, config.eos_ids);
  EXPECT_EQ(ids.size() == list.size(), config.notes.empty());
  const json types = value_of(object, "layer_types");
  if (types.is_array() && value_of(object, "use_sliding_window") == true) {
    for (size_t i = 0; i < types.size(); ++i) {
      EXPECT_EQ(types[i] == "sliding_attention", config.layer_window[i] > 0) << i;
    }
  }
  expect_same_rope(object, config.ropes.at(0));
  const json window = value_of(object, "sliding_window");
  if (config.model_type == "mistral" && window.is_number() && !types.is_array()) {
    EXPECT_THAT(config.layer_window, testing::Each(window.get<int32_t>()));
  }
  json stored = stated_dtype(object, "dtype");
  if (stored.is_null()) stored = stated_dtype(object, "torch_dtype");
  EXPECT_EQ(config.stored_dtype == DType::kFloat32, stored == "float32");
  EXPECT_EQ(config.stored_dtype == DType::kFloat16, stored == "float16");
  const auto flag = [&](const char* key) { return value_of(object, key) == true; };
  if (config.model_type == "llama") {
    EXPECT_EQ(config.qkv_bias, flag("attention_bias"));
    EXPECT_EQ(config.mlp_bias, flag("mlp_bias"));
  }
}

void expect_same_entries(const json& header, const std::vector<SafetensorsEntry>& entries) {
  const std::map<std::string, DType> kTypes = {{"F32", DType::kFloat32},
                                               {"BF16", DType::kBFloat16},
                                               {"F16", DType::kFloat16},
                                               {"I32", DType::kInt32},
                                               {"I64", DType::kInt64},
                                               {"I8", DType::kInt8},
                                               {"U8", DType::kUint8},
                                               {"BOOL", DType::kBool},
                                               {"F64", DType::kFloat64}};
  EXPECT_EQ(header.size() - header.count("__metadata__"), entries.size());
  int64_t first = entries.empty() ? 0 : entries[0].begin;
  for (const SafetensorsEntry& entry : entries) first = std::min(first, entry.begin);
  for (const SafetensorsEntry& entry : entries) {
    ASSERT_TRUE(header.contains(entry.tensor.name)) << entry.tensor.name;
    const json& wanted = header[entry.tensor.name];
    EXPECT_EQ(kTypes.at(wanted["dtype"]), entry.tensor.dtype);
    EXPECT_EQ(wanted["shape"].get<std::vector<int64_t>>(), entry.tensor.shape);
    EXPECT_EQ(wanted["data_offsets"][0].get<int64_t>(), entry.begin - first);
    EXPECT_EQ(wanted["data_offsets"][1].get<int64_t>(), entry.begin - first + entry.tensor.bytes);
  }
}

void expect_same_index(const json& object, const ShardIndex& index) {
  std::set<std::string> shards;
  std::set<std::string> tensors;
  for (const auto& [tensor, shard] : object["weight_map"].items()) {
    tensors.insert(tensor);
    shards.insert(shard.get<std::string>());
  }
  EXPECT_THAT(index.shards(), testing::ElementsAreArray(shards));
  const auto found = index.shards_of(tensors);
  EXPECT_EQ(json(found), object["weight_map"]);
}

bool is_id_of(const Status& status, const std::string& area) {
  return error_id(status).starts_with(area) && !message_of(status).empty();
}

}  // namespace

bool check_config(const std::string& text) {
  const AllocationPeak peak;
  const auto config = parse_model_config(text, "config.json");
  EXPECT_LE(peak.bytes() + text.size(), 4 * text.size() + kFixedAllowance) << text.substr(0, 200);
  if (!config.ok()) {
    EXPECT_TRUE(is_id_of(config.status(), "TRI-CONF-")) << message_of(config.status());
    return false;
  }
  const json object = json::parse(text, nullptr, false);
  // The independent parser knows neither the words nor the range of Python's numbers.
  const bool standard = check_json(text, "TRI-CONF-002", "config.json").ok();
  EXPECT_EQ(object.is_discarded(), !standard) << "read what is no JSON";
  if (standard && !object.contains("text_config")) expect_same_config(object, *config);
  return true;
}

bool check_header(const std::string& header, int64_t file_bytes) {
  const AllocationPeak peak;
  const auto entries = parse_safetensors_header(header, file_bytes, "model.safetensors");
  EXPECT_LE(peak.bytes() + header.size(), 4 * header.size() + kFixedAllowance)
      << header.substr(0, 200);
  if (!entries.ok()) {
    EXPECT_TRUE(is_id_of(entries.status(), "TRI-LOAD-")) << message_of(entries.status());
    return false;
  }
  const json object = json::parse(header, nullptr, false);
  EXPECT_FALSE(object.is_discarded()) << "read what is no JSON";
  if (!object.is_discarded()) expect_same_entries(object, *entries);
  return true;
}

bool check_index(const std::string& text) {
  const AllocationPeak peak;
  const auto index = ShardIndex::parse(text, "model.safetensors.index.json");
  EXPECT_LE(peak.bytes() + text.size(), 4 * text.size() + kFixedAllowance) << text.substr(0, 200);
  if (!index.ok()) {
    EXPECT_TRUE(is_id_of(index.status(), "TRI-LOAD-006")) << message_of(index.status());
    return false;
  }
  const json object = json::parse(text, nullptr, false);
  EXPECT_FALSE(object.is_discarded()) << "read what is no JSON";
  if (!object.is_discarded()) expect_same_index(object, *index);
  return true;
}

ReaderCounts mutate_configs(int64_t count, uint64_t seed) {
  const std::vector<std::string> cases = {"llama-gqa",
                                          "llama-nested-rope",
                                          "llama-rope-llama3-sharded",
                                          "mistral-window",
                                          "mistral3-wrapped",
                                          "qwen2-tied",
                                          "qwen3-qk-norm"};
  std::vector<std::string> texts;
  for (const std::string& name : cases) {
    texts.push_back(
        read_file(format_text("{}/golden/models/{}/config.json", TRIREME_TEST_DATA, name)));
    EXPECT_TRUE(check_config(texts.back())) << name;
  }
  ReaderCounts counts;
  for (int64_t i = 0; i < count && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", mutation " << i);
    Random random(seed * 1'000'003 + static_cast<uint64_t>(i));
    const std::string& whole = texts[below(random, texts.size())];
    const std::string text = mutate_text(whole, odd_values(), random);
    ++(check_config(text) ? counts.read : counts.refused);
  }
  return counts;
}

ReaderCounts mutate_headers(int64_t count, uint64_t seed) {
  int64_t file_bytes = 0;
  const std::string original = header_of(
      std::string(TRIREME_TEST_DATA) + "/golden/models/qwen2-tied/model.safetensors", &file_bytes);
  EXPECT_TRUE(check_header(original, file_bytes));
  ReaderCounts counts;
  for (int64_t i = 0; i < count && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", mutation " << i);
    Random random(seed * 1'000'003 + static_cast<uint64_t>(i));
    const std::string header = mutate_text(original, odd_values(), random);
    // Half of the files grow with the header, so that the offsets of the tensors stay valid.
    const int64_t grown =
        static_cast<int64_t>(header.size()) - static_cast<int64_t>(original.size());
    ++(check_header(header, file_bytes + (random() % 2 ? grown : 0)) ? counts.read
                                                                     : counts.refused);
  }
  return counts;
}

ReaderCounts mutate_indexes(int64_t count, uint64_t seed) {
  const std::string original = read_file(
      TRIREME_TEST_DATA "/golden/models/llama-rope-llama3-sharded/model.safetensors.index.json");
  EXPECT_TRUE(check_index(original));
  ReaderCounts counts;
  for (int64_t i = 0; i < count && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", mutation " << i);
    Random random(seed * 1'000'003 + static_cast<uint64_t>(i));
    const std::string text = mutate_text(original, odd_values(), random);
    ++(check_index(text) ? counts.read : counts.refused);
  }
  return counts;
}

}  // namespace trireme
