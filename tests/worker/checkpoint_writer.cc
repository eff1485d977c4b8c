#include "tests/worker/checkpoint_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/philox.h"
#include "model/config/read_model_config.h"
#include "model/tensor_table.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

// For magnitudes below 2^16 that are not subnormal, like all values here.
fp16_t float_to_fp16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const int32_t exponent = static_cast<int32_t>((bits >> 23) & 0xff) - 112;
  if (exponent <= 0) return static_cast<fp16_t>(sign);
  const uint32_t mantissa = bits & 0x7fffff;
  return static_cast<fp16_t>(sign + (static_cast<uint32_t>(exponent) << 10) + (mantissa >> 13));
}

void append_value(std::string& bytes, DType dtype, float value) {
  const auto put = [&](const auto stored) {
    bytes.append(reinterpret_cast<const char*>(&stored), sizeof stored);
  };
  if (dtype == DType::kBFloat16) put(float_to_bf16(value));
  if (dtype == DType::kFloat16) put(float_to_fp16(value));
  if (dtype == DType::kFloat32) put(value);
}

// The sum of four uniform values, with standard deviation 1: roughly normal.
float random_value(uint32_t tensor, uint32_t index) {
  float sum = -2;
  for (const uint32_t word : philox4x32({index, tensor, 0, 0}, 77)) {
    sum += static_cast<float>(word) * 0x1p-32f;
  }
  return sum * 1.7320508f;
}

std::string tensor_bytes(const TensorEntry& entry, uint32_t number, DType dtype) {
  std::string bytes;
  const bool is_norm = entry.is_vector && entry.partition == TensorPartition::kReplicate &&
                       entry.names.front().find("norm") != std::string::npos;
  const float scale = entry.role == TensorRole::kEmbedding ? 1.0f
                      : entry.is_vector                    ? 0.2f
                                        : 1.5f / std::sqrt(static_cast<float>(entry.columns));
  for (int64_t i = 0; i < entry.rows * entry.columns; ++i) {
    const float value = random_value(number, static_cast<uint32_t>(i));
    append_value(bytes, dtype, is_norm ? 1 + 0.1f * value : scale * value);
  }
  return bytes;
}

const char* stored_name(DType dtype) {
  return dtype == DType::kBFloat16 ? "BF16" : dtype == DType::kFloat16 ? "F16" : "F32";
}

void write_file(const fs::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(file.flush()) << path;
}

}  // namespace

std::string write_random_checkpoint(const std::string& name,
                                    const std::string& config_json,
                                    DType stored,
                                    int num_files) {
  std::string pattern = (fs::temp_directory_path() / (name + "_XXXXXX")).string();
  EXPECT_NE(mkdtemp(pattern.data()), nullptr);
  const fs::path dir = pattern;
  write_file(dir / "config.json", config_json);
  const auto config = parse_model_config(config_json, name);
  EXPECT_TRUE(config.ok()) << message_of(config.status());
  if (!config.ok()) return dir;

  const TensorTable table(*config);
  std::string index;
  for (int file = 0; file < num_files; ++file) {
    const std::string file_name =
        num_files == 1 ? "model.safetensors"
                       : format_text("model-0000{}-of-0000{}.safetensors", file + 1, num_files);
    std::string header;
    std::string data;
    for (size_t i = file; i < table.entries().size(); i += num_files) {
      const TensorEntry& entry = table.entries()[i];
      const std::string bytes = tensor_bytes(entry, static_cast<uint32_t>(i), stored);
      const std::string shape = entry.is_vector ? format_text("{}", entry.rows)
                                                : format_text("{},{}", entry.rows, entry.columns);
      header += format_text("{}\"{}\":{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                            header.empty() ? "{" : ",",
                            entry.names.front(),
                            stored_name(stored),
                            shape,
                            data.size(),
                            data.size() + bytes.size());
      index +=
          format_text("{}\"{}\":\"{}\"", index.empty() ? "" : ",", entry.names.front(), file_name);
      data += bytes;
    }
    header += "}";
    const uint64_t length = header.size();
    write_file(dir / file_name,
               std::string(reinterpret_cast<const char*>(&length), 8) + header + data);
  }
  if (num_files > 1) {
    write_file(dir / "model.safetensors.index.json",
               format_text("{{\"weight_map\":{{{}}}}}", index));
  }
  return dir;
}

}  // namespace trireme
