#include "tests/model/checkpoint_editor.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace trireme {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

EditedTensor zeros(const std::string& dtype, const std::vector<int64_t>& shape, int bits) {
  int64_t elements = 1;
  for (const int64_t extent : shape) elements *= extent;
  return {dtype, shape, std::string(static_cast<size_t>(elements * bits / 8), '\0')};
}

EditedTensors read_tensors(const std::string& path) {
  const std::string bytes = read_file(path);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const json header = json::parse(bytes.substr(8, length));
  EditedTensors tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const auto begin = entry["data_offsets"][0].get<size_t>();
    const auto end = entry["data_offsets"][1].get<size_t>();
    tensors[name] = {entry["dtype"].get<std::string>(),
                     entry["shape"].get<std::vector<int64_t>>(),
                     bytes.substr(8 + length + begin, end - begin)};
  }
  return tensors;
}

void write_tensors(const std::string& path, const EditedTensors& tensors) {
  json header = json::object();
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", tensor.dtype},
                    {"shape", tensor.shape},
                    {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  const std::string text = header.dump();
  const uint64_t length = text.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  file << text << data;
  EXPECT_TRUE(file.flush()) << path;
}

EditedCheckpoint::EditedCheckpoint(const std::string& model_dir) : model_dir_(model_dir) {
  config = json::parse(read_file(model_dir + "/config.json"));
  for (const fs::directory_entry& entry : fs::directory_iterator(model_dir)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("model") && name.ends_with(".safetensors")) {
      tensors.merge(read_tensors(entry.path()));
    }
  }
}

void EditedCheckpoint::rename_all(const std::function<std::string(const std::string&)>& new_name) {
  EditedTensors renamed;
  for (auto& [name, tensor] : tensors) renamed[new_name(name)] = std::move(tensor);
  tensors = std::move(renamed);
}

std::string EditedCheckpoint::write(const std::string& name) const {
  const std::string folder = testing::TempDir() + "/edited_" + name;
  fs::remove_all(folder);
  fs::create_directories(folder);
  std::ofstream(folder + "/config.json") << config.dump();
  write_tensors(folder + "/model.safetensors", tensors);
  const std::string expected = model_dir_ + "/expected.safetensors";
  if (fs::exists(expected)) fs::copy_file(expected, folder + "/expected.safetensors");
  return folder;
}

}  // namespace trireme
