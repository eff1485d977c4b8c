// Variants of a stored checkpoint for tests: its tensors as a map, to be renamed, altered, added or
// removed, and written to a temporary folder.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace trireme {

struct EditedTensor {
  std::string dtype;  // the word of the format: "BF16"
  std::vector<int64_t> shape;
  std::string bytes;
};

using EditedTensors = std::map<std::string, EditedTensor>;

// A tensor of zeros. `bits` is the size of an element.
EditedTensor zeros(const std::string& dtype, const std::vector<int64_t>& shape, int bits);

EditedTensors read_tensors(const std::string& path);
void write_tensors(const std::string& path, const EditedTensors& tensors);

struct EditedCheckpoint {
  // Reads config.json and all shards of a folder. expected.safetensors, if it is there, is copied
  // by write().
  explicit EditedCheckpoint(const std::string& model_dir);

  void rename_all(const std::function<std::string(const std::string&)>& new_name);
  // Writes config.json and model.safetensors to the test's temporary folder; returns the folder.
  std::string write(const std::string& name) const;

  nlohmann::json config;
  EditedTensors tensors;

 private:
  std::string model_dir_;
};

}  // namespace trireme
