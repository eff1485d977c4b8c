#include "model/checkpoint/random_checkpoint.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "model/checkpoint/dummy_checkpoint.h"
#include "model/config/read_model_config.h"

namespace trireme {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int64_t kMaxShardBytes = int64_t{4} << 30;
constexpr int64_t kPieceBytes = int64_t{4} << 20;  // of fp32 values generated at a time

struct Shard {
  std::vector<const StoredTensor*> tensors;
  int64_t bytes = 0;
};

int64_t elements_of(const StoredTensor& tensor) {
  int64_t elements = 1;
  for (const int64_t length : tensor.shape) elements *= length;
  return elements;
}

const char* stored_name(DType dtype) {
  if (dtype == DType::kFloat32) return "F32";
  return dtype == DType::kFloat16 ? "F16" : "BF16";
}

class Writer {
 public:
  Writer(const RandomCheckpointOptions& options, Checkpoint& source)
      : options_(options), source_(source) {}

  Status prepare(const std::string& config_text);
  Status write(const std::function<void(int64_t, int64_t)>& progress);
  WrittenCheckpoint written() const {
    return {total_bytes_, num_tensors_, static_cast<int>(shards_.size())};
  }

 private:
  void divide_into_shards();
  std::string file_name(size_t shard) const;
  std::string header_of(const Shard& shard) const;
  Status write_shard(size_t index, const std::function<void(int64_t, int64_t)>& progress);
  Status write_tensor(std::ofstream& file, const StoredTensor& tensor);
  Status write_index() const;
  Status check(const std::ofstream& file, const std::string& name) const;

  const RandomCheckpointOptions& options_;
  Checkpoint& source_;
  std::vector<Shard> shards_;
  int64_t total_bytes_ = 0;
  int64_t num_tensors_ = 0;
  int64_t done_bytes_ = 0;
};

Status Writer::prepare(const std::string& config_text) {
  std::error_code error;
  if (fs::exists(options_.out, error) &&
      (!fs::is_directory(options_.out, error) || !fs::is_empty(options_.out, error))) {
    return invalid("TRI-MOD-001", "--out {} is there and not an empty folder", options_.out);
  }
  fs::create_directories(options_.out, error);
  if (error) {
    return invalid("TRI-MOD-001", "cannot make the folder {}: {}", options_.out, error.message());
  }
  divide_into_shards();
  const fs::space_info space = fs::space(options_.out, error);
  if (!error && static_cast<int64_t>(space.available) < total_bytes_ + (64 << 20)) {
    return invalid("TRI-MOD-003",
                   "the checkpoint needs {}, the disk of {} has {} left; choose another --out or a "
                   "smaller shape",
                   format_bytes(static_cast<double>(total_bytes_)),
                   options_.out,
                   format_bytes(static_cast<double>(space.available)));
  }
  Json config = Json::parse(config_text);
  config["torch_dtype"] = std::string(name_of(options_.dtype));
  std::ofstream file(options_.out + "/config.json");
  file << config.dump(2) << "\n";
  return check(file, "config.json");
}

void Writer::divide_into_shards() {
  for (const std::string& name : source_.names()) {
    const StoredTensor* tensor = source_.find(name);
    const int64_t bytes = elements_of(*tensor) * size_of(options_.dtype);
    if (shards_.empty() || shards_.back().bytes + bytes > kMaxShardBytes) shards_.emplace_back();
    shards_.back().tensors.push_back(tensor);
    shards_.back().bytes += bytes;
    total_bytes_ += bytes;
    ++num_tensors_;
  }
}

std::string Writer::file_name(size_t shard) const {
  if (shards_.size() == 1) return "model.safetensors";
  char name[64];
  std::snprintf(name,
                sizeof name,
                "model-%05d-of-%05d.safetensors",
                static_cast<int>(shard + 1),
                static_cast<int>(shards_.size()));
  return name;
}

std::string Writer::header_of(const Shard& shard) const {
  Json header = {{"__metadata__", {{"format", "pt"}}}};
  int64_t at = 0;
  for (const StoredTensor* tensor : shard.tensors) {
    const int64_t bytes = elements_of(*tensor) * size_of(options_.dtype);
    header[tensor->name] = {{"dtype", stored_name(options_.dtype)},
                            {"shape", tensor->shape},
                            {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // aligns the tensor data that follows
  return text;
}

Status Writer::check(const std::ofstream& file, const std::string& name) const {
  if (file) return ok_status();
  return unavailable(
      "TRI-MOD-002",
      "cannot write {}/{}: {}; remove the folder and try again with room on the disk",
      options_.out,
      name,
      std::strerror(errno));
}

Status Writer::write_tensor(std::ofstream& file, const StoredTensor& tensor) {
  const bool is_matrix = tensor.shape.size() > 1;
  const int64_t width = is_matrix ? tensor.shape[1] : 1;
  const int64_t rows = tensor.shape[0];
  const int64_t rows_per_piece = std::max<int64_t>(1, kPieceBytes / (4 * width));
  const float scale = is_matrix ? static_cast<float>(options_.scale) : 1.0f;
  std::vector<bf16_t> values;
  std::vector<char> bytes;
  for (int64_t row = 0; row < rows; row += rows_per_piece) {
    const int64_t count = std::min(rows_per_piece, rows - row);
    values.resize(count * width);
    RETURN_IF_ERROR(source_.read(
        tensor, {row, row + count}, {0, width}, std::as_writable_bytes(std::span(values))));
    bytes.resize(values.size() * size_of(options_.dtype));
    for (size_t i = 0; i < values.size(); ++i) {
      const float value = scale * bf16_to_float(values[i]);
      const bf16_t short_value =
          options_.dtype == DType::kFloat16 ? float_to_fp16(value) : float_to_bf16(value);
      if (options_.dtype == DType::kFloat32) {
        std::memcpy(&bytes[4 * i], &value, 4);
      } else {
        std::memcpy(&bytes[2 * i], &short_value, 2);
      }
    }
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  return ok_status();
}

Status Writer::write_shard(size_t index, const std::function<void(int64_t, int64_t)>& progress) {
  const std::string name = file_name(index);
  std::ofstream file(options_.out + "/" + name, std::ios::binary);
  const std::string header = header_of(shards_[index]);
  const uint64_t length = header.size();
  file.write(reinterpret_cast<const char*>(&length), 8);
  file << header;
  for (const StoredTensor* tensor : shards_[index].tensors) {
    RETURN_IF_ERROR(write_tensor(file, *tensor));
    RETURN_IF_ERROR(check(file, name));
    done_bytes_ += elements_of(*tensor) * size_of(options_.dtype);
    progress(done_bytes_, total_bytes_);
  }
  file.flush();
  return check(file, name);
}

Status Writer::write_index() const {
  if (shards_.size() == 1) return ok_status();
  Json map;
  for (size_t shard = 0; shard < shards_.size(); ++shard) {
    for (const StoredTensor* tensor : shards_[shard].tensors) map[tensor->name] = file_name(shard);
  }
  std::ofstream file(options_.out + "/model.safetensors.index.json");
  file << Json({{"metadata", {{"total_size", total_bytes_}}}, {"weight_map", map}}).dump(2) << "\n";
  return check(file, "model.safetensors.index.json");
}

Status Writer::write(const std::function<void(int64_t, int64_t)>& progress) {
  for (size_t shard = 0; shard < shards_.size(); ++shard) {
    RETURN_IF_ERROR(write_shard(shard, progress));
  }
  return write_index();
}

}  // namespace

StatusOr<WrittenCheckpoint> make_checkpoint(
    const RandomCheckpointOptions& options,
    const std::function<void(int64_t done, int64_t total)>& progress) {
  ASSIGN_OR_RETURN(const std::string config_text, dummy_config(options.like));
  ASSIGN_OR_RETURN(const ModelConfig config, parse_model_config(config_text, options.like));
  const auto source = make_dummy_checkpoint(config, config_text, options.seed);
  Writer writer(options, *source);
  RETURN_IF_ERROR(writer.prepare(config_text));
  RETURN_IF_ERROR(writer.write(progress));
  return writer.written();
}

}  // namespace trireme
