#include "model/checkpoint/checkpoint.h"

#include <sodium.h>

#include <set>
#include <unordered_map>

#include "base/check.h"
#include "model/checkpoint/safetensors.h"
#include "model/checkpoint/tensor_names.h"
#include "model/checkpoint/weight_files.h"
#include "model/file_text.h"

namespace trireme {

namespace {

class FileCheckpoint final : public Checkpoint {
 public:
  FileCheckpoint(std::vector<SafetensorsFile> files,
                 std::string config_text,
                 std::string choice_of_files)
      : files_(std::move(files)),
        config_text_(std::move(config_text)),
        choice_of_files_(std::move(choice_of_files)) {}

  // Finds the place of every tensor. The index decides about a name that occurs in several files.
  // TRI-LOAD-005: it names none of them, and the tensor matters.
  Status index_tensors(const WeightFiles& found) {
    std::set<std::string> doubled;
    for (size_t file = 0; file < files_.size(); ++file) {
      for (const SafetensorsEntry& entry : files_[file].entries()) {
        const bool is_new = places_.emplace(entry.tensor.name, Place{file, &entry}).second;
        if (!is_new) doubled.insert(entry.tensor.name);
      }
    }
    if (doubled.empty()) return ok_status();
    const auto chosen = found.index->shards_of(doubled);
    for (size_t file = 0; file < files_.size(); ++file) {
      for (const SafetensorsEntry& entry : files_[file].entries()) {
        const auto choice = chosen.find(entry.tensor.name);
        if (choice == chosen.end() || choice->second != found.names[file]) continue;
        places_[entry.tensor.name] = Place{file, &entry};
        doubled.erase(entry.tensor.name);
        chosen_ += format_text("{} {}\n", entry.tensor.name, choice->second);
      }
    }
    std::erase_if(doubled, [&](const std::string& name) { return is_harmless(*find(name)); });
    if (doubled.empty()) return ok_status();
    return invalid("TRI-LOAD-005",
                   "tensor \"{}\" is in {} and in another shard, and the index assigns it to "
                   "neither; remove the shard that does not belong",
                   shown_name(*doubled.begin()),
                   files_[places_.at(*doubled.begin()).file].path());
  }

  const StoredTensor* find(const std::string& name) const override {
    const auto place = places_.find(name);
    return place == places_.end() ? nullptr : &place->second.entry->tensor;
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const SafetensorsFile& file : files_) {
      for (const SafetensorsEntry& entry : file.entries()) {
        const bool counts = places_.at(entry.tensor.name).entry == &entry;
        if (counts) names.push_back(entry.tensor.name);
      }
    }
    return names;
  }

  Status read(const StoredTensor& tensor,
              IndexRange rows,
              IndexRange columns,
              std::span<std::byte> out) override {
    CHECK_THAT(bits_of(tensor.dtype) % 8 == 0, "values of a packed type have no address");
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
    if (!chosen_.empty()) add(chosen_);
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(&state, digest);
    char hex[2 * sizeof digest + 1];
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    return hex;
  }

  std::string choice_of_files() const override { return choice_of_files_; }

 private:
  struct Place {
    size_t file;
    const SafetensorsEntry* entry;
  };

  std::vector<SafetensorsFile> files_;
  std::string config_text_;
  std::string choice_of_files_;
  std::unordered_map<std::string, Place> places_;
  std::string chosen_;  // tensors of several shards, each with the shard that counts
  int64_t bytes_read_ = 0;
};

}  // namespace

StatusOr<std::unique_ptr<Checkpoint>> open_checkpoint(const std::string& model_dir,
                                                      std::vector<std::string>& notes) {
  ASSIGN_OR_RETURN(const WeightFiles found, find_weight_files(model_dir, notes));
  std::vector<SafetensorsFile> files;
  for (const std::string& name : found.names) {
    ASSIGN_OR_RETURN(SafetensorsFile file,
                     SafetensorsFile::open(format_text("{}/{}", model_dir, name)));
    files.push_back(std::move(file));
  }
  ASSIGN_OR_RETURN(std::string config,
                   read_text_file(model_dir + "/config.json", 4 << 20, "TRI-CONF-001"));
  auto checkpoint =
      std::make_unique<FileCheckpoint>(std::move(files), std::move(config), found.choice);
  RETURN_IF_ERROR(checkpoint->index_tensors(found));
  return checkpoint;
}

}  // namespace trireme
