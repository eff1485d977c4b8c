#include "model/checkpoint/weight_files.h"

#include <algorithm>
#include <filesystem>

#include "model/checkpoint/tensor_names.h"
#include "model/file_text.h"

namespace trireme {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxIndexBytes = 64 << 20;
constexpr char kSingleName[] = "model.safetensors";
constexpr char kIndexName[] = "model.safetensors.index.json";

bool is_file(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

StatusOr<ShardIndex> read_index(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, read_text_file(path, kMaxIndexBytes, "TRI-LOAD-001"));
  return ShardIndex::parse(std::move(text), path);
}

// Files that look like weights, for the message about a folder without usable ones.
std::vector<std::string> other_weights(const std::string& dir) {
  constexpr std::string_view kEndings[] = {
      ".safetensors", ".bin", ".pt", ".pth", ".gguf", ".ckpt", ".h5", ".msgpack", ".onnx"};
  std::vector<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir, error)) {
    const std::string name = entry.path().filename().string();
    const auto fits = [&](std::string_view ending) { return name.ends_with(ending); };
    if (std::ranges::any_of(kEndings, fits)) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

std::vector<std::string> only_with(std::string_view beginning, std::vector<std::string> names) {
  std::erase_if(names, [&](const std::string& name) { return !name.starts_with(beginning); });
  return names;
}

const char* advice_for(const std::vector<std::string>& others, bool has_shards) {
  if (has_shards) return "fetch the index as well";
  const bool other_formats = std::ranges::any_of(
      others, [](const std::string& name) { return !name.ends_with(".safetensors"); });
  if (other_formats) return "weights in other formats must be converted by their publisher's tools";
  return "fetch or rename the weights so that one of these is there";
}

Status no_weights(const std::string& dir) {
  for (const char* name : {kSingleName, kIndexName}) {
    const std::string path = dir + "/" + name;
    if (is_broken_link(path)) return broken_link(path, "TRI-LOAD-001");
  }
  const std::vector<std::string> others = other_weights(dir);
  const std::vector<std::string> adapters = only_with("adapter_", others);
  if (!adapters.empty() && adapters.size() == others.size()) {
    return invalid("TRI-LOAD-001",
                   "{} holds an adapter ({}) without its model; merge it into its base model first",
                   dir,
                   shown_names(adapters));
  }
  const bool has_shards = std::ranges::any_of(others, [](const std::string& name) {
    return name.starts_with("model-") && name.ends_with(".safetensors");
  });
  const std::vector<std::string> consolidated = only_with("consolidated", others);
  if (!consolidated.empty() && !has_shards) {
    return invalid("TRI-LOAD-001",
                   "{} holds weights in the format of their publisher's programs ({}); use the "
                   "model in the transformers format, with config.json and {}",
                   dir,
                   shown_names(consolidated),
                   kSingleName);
  }
  return invalid("TRI-LOAD-001",
                 "{} holds neither {} nor {}{}; {}",
                 dir,
                 kSingleName,
                 kIndexName,
                 others.empty() ? "" : format_text(", but {}", shown_names(others)),
                 advice_for(others, has_shards));
}

// The single file. A line, and words for a later error, if an index beside it names other files or
// cannot be read.
WeightFiles single_file(const std::string& dir, std::vector<std::string>& notes) {
  WeightFiles found{{kSingleName}, std::nullopt, ""};
  const std::string path = format_text("{}/{}", dir, kIndexName);
  if (!is_file(path)) return found;
  const auto index = read_index(path);
  if (index.ok() && index->shards() == std::vector<std::string>{kSingleName}) return found;
  notes.push_back(format_text(
      "{} holds {} and {}: the single file is loaded, the index is not used; remove the one that "
      "does not belong",
      dir,
      kSingleName,
      kIndexName));
  found.choice =
      format_text("{} is read although {} is there, too; remove the one that does not belong",
                  kSingleName,
                  kIndexName);
  return found;
}

}  // namespace

StatusOr<WeightFiles> find_weight_files(const std::string& dir, std::vector<std::string>& notes) {
  std::error_code error;
  if (!fs::is_directory(dir, error)) {
    return invalid("TRI-LOAD-001", "there is no folder {}; give --model a model's folder", dir);
  }
  const std::string single = format_text("{}/{}", dir, kSingleName);
  if (is_file(single)) return single_file(dir, notes);
  const std::string index_path = format_text("{}/{}", dir, kIndexName);
  if (!is_file(index_path)) return no_weights(dir);
  ASSIGN_OR_RETURN(ShardIndex index, read_index(index_path));
  if (is_broken_link(single)) {
    notes.push_back(
        format_text("{} is a link to a file that is not there: the shards of {} are "
                    "loaded; remove the link",
                    single,
                    kIndexName));
  }
  for (const std::string& name : index.shards()) {
    const std::string path = format_text("{}/{}", dir, name);
    if (fs::exists(path, error)) continue;
    if (is_broken_link(path)) return broken_link(path, "TRI-LOAD-001");
    return invalid(
        "TRI-LOAD-002",
        "{} is not there, {} names it; fetch the missing file{}",
        path,
        kIndexName,
        index.shards().size() > 1 ? format_text(" ({} shards)", index.shards().size()) : "");
  }
  std::vector<std::string> names = index.shards();
  return WeightFiles{std::move(names), std::move(index), ""};
}

Status check_weight_format(const std::string& dir) {
  for (const char* name : {kSingleName, kIndexName}) {
    if (is_file(format_text("{}/{}", dir, name))) return ok_status();
  }
  return other_weights(dir).empty() ? ok_status() : no_weights(dir);
}

}  // namespace trireme
