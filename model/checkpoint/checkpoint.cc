#include "model/checkpoint/checkpoint.h"

#include <sodium.h>

#include <cstring>
#include <filesystem>
#include <set>
#include <unordered_map>

#include "model/checkpoint/safetensors.h"
#include "model/file_text.h"
#include "model/json_reader.h"

namespace trireme {

namespace {

constexpr size_t kMaxShards = 4096;
constexpr int64_t kMaxIndexBytes = 64 << 20;

class FileCheckpoint final : public Checkpoint {
 public:
  FileCheckpoint(std::vector<SafetensorsFile> files, std::string config_text)
      : files_(std::move(files)), config_text_(std::move(config_text)) {}

  // TRI-LOAD-005: a name that occurs in two files.
  Status index_tensors() {
    for (size_t file = 0; file < files_.size(); ++file) {
      for (const SafetensorsEntry& entry : files_[file].entries()) {
        const auto [at, is_new] = places_.emplace(entry.tensor.name, Place{file, &entry});
        if (!is_new) {
          return invalid(
              "TRI-LOAD-005",
              "tensor \"{}\" is both in {} and in {}; remove the shard that does not belong",
              entry.tensor.name.substr(0, 80),
              files_[at->second.file].path(),
              files_[file].path());
        }
      }
    }
    return ok_status();
  }

  const StoredTensor* find(const std::string& name) const override {
    const auto place = places_.find(name);
    return place == places_.end() ? nullptr : &place->second.entry->tensor;
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const SafetensorsFile& file : files_) {
      for (const SafetensorsEntry& entry : file.entries()) names.push_back(entry.tensor.name);
    }
    return names;
  }

  Status read(const StoredTensor& tensor,
              IndexRange rows,
              IndexRange columns,
              std::span<std::byte> out) override {
    const Place& place = places_.at(tensor.name);
    const int64_t unit = size_of(tensor.dtype);
    const int64_t width = tensor.shape.size() >= 2 ? tensor.shape.back() : 1;
    const int64_t row_bytes = columns.size() * unit;
    const SafetensorsFile& file = files_[place.file];
    bytes_read_ += row_bytes * rows.size();
    if (columns.size() == width) {
      return file.read(place.entry->begin + rows.begin * width * unit, out);
    }
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      const int64_t offset = place.entry->begin + (row * width + columns.begin) * unit;
      RETURN_IF_ERROR(file.read(offset, out.subspan((row - rows.begin) * row_bytes, row_bytes)));
    }
    return ok_status();
  }

  int64_t bytes_read() const override { return bytes_read_; }

  std::string fingerprint() const override {
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    const auto add = [&](const std::string& text) {
      const uint64_t length = text.size();
      crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(&length), 8);
      crypto_hash_sha256_update(
          &state, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    };
    add(config_text_);
    for (const SafetensorsFile& file : files_) {
      add(file.header());
      add(std::to_string(file.file_bytes()));
    }
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(&state, digest);
    char hex[2 * sizeof digest + 1];
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    return hex;
  }

 private:
  struct Place {
    size_t file;
    const SafetensorsEntry* entry;
  };

  std::vector<SafetensorsFile> files_;
  std::string config_text_;
  std::unordered_map<std::string, Place> places_;
  int64_t bytes_read_ = 0;
};

// The distinct shard names of an index, in order. A name with a slash is refused: it could point
// outside of the folder.
StatusOr<std::vector<std::string>> read_index(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMaxIndexBytes, "TRI-LOAD-001"));
  const auto bad_index = [&](const std::string& what) {
    return invalid("TRI-LOAD-006", "{} {}; fetch the file again", path, what);
  };
  ASSIGN_OR_RETURN(const JsonValue index, JsonValue::parse(text, "TRI-LOAD-006", path));
  std::optional<JsonValue> map;
  if (index.is(JsonValue::Kind::kObject)) map = index.find("weight_map");
  if (!map || !map->is(JsonValue::Kind::kObject)) return bad_index("has no \"weight_map\" object");
  std::set<std::string> names;
  RETURN_IF_ERROR(map->each_member([&](std::string_view tensor, JsonValue shard) -> Status {
    const std::string name = shard.is(JsonValue::Kind::kString) ? shard.string() : "";
    if (name.empty() || name.find('/') != std::string::npos || name.starts_with(".")) {
      return invalid(
          "TRI-LOAD-006",
          "{}: tensor \"{}\" names the shard {}, allowed are file names in the same folder",
          path,
          tensor.substr(0, 80),
          shown(shard));
    }
    names.insert(name);
    if (names.size() <= kMaxShards) return ok_status();
    return bad_index(format_text("names more than {} shards", kMaxShards));
  }));
  return std::vector<std::string>(names.begin(), names.end());
}

StatusOr<std::vector<std::string>> find_weight_files(const std::string& dir) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(dir, error)) {
    return invalid("TRI-LOAD-001", "there is no folder {}; give --model a model's folder", dir);
  }
  if (fs::exists(dir + "/model.safetensors.index.json", error)) {
    return read_index(dir + "/model.safetensors.index.json");
  }
  if (fs::exists(dir + "/model.safetensors", error)) {
    return std::vector<std::string>{"model.safetensors"};
  }
  return invalid("TRI-LOAD-001",
                 "{} holds neither model.safetensors nor model.safetensors.index.json; weights in "
                 "other formats must be converted by their publisher's tools",
                 dir);
}

}  // namespace

StatusOr<std::unique_ptr<Checkpoint>> open_checkpoint(const std::string& model_dir) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, find_weight_files(model_dir));
  std::vector<SafetensorsFile> files;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(SafetensorsFile file,
                     SafetensorsFile::open(format_text("{}/{}", model_dir, name)));
    files.push_back(std::move(file));
  }
  ASSIGN_OR_RETURN(std::string config,
                   read_text_file(model_dir + "/config.json", 4 << 20, "TRI-CONF-001"));
  auto checkpoint = std::make_unique<FileCheckpoint>(std::move(files), std::move(config));
  RETURN_IF_ERROR(checkpoint->index_tensors());
  return checkpoint;
}

}  // namespace trireme
