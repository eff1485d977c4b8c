#include "model/checkpoint/shard_index.h"

#include <optional>

#include "base/json_value.h"
#include "model/checkpoint/tensor_names.h"
#include "model/file_text.h"
#include "model/json_reader.h"

namespace trireme {

namespace {

constexpr size_t kMaxShards = 4096;
constexpr char kId[] = "TRI-LOAD-006";

StatusOr<JsonValue> weight_map_of(const std::string& text, const std::string& path) {
  ASSIGN_OR_RETURN(const JsonValue index, JsonValue::parse(text, kId, path));
  std::optional<JsonValue> map;
  if (index.is(JsonValue::Kind::kObject)) map = index.find("weight_map");
  if (map && map->is(JsonValue::Kind::kObject)) return *map;
  return invalid(kId, "{} has no \"weight_map\" object; fetch the file again", path);
}

// A name with a slash is refused: it could point outside of the folder.
bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name.find('/') == std::string::npos && !name.starts_with(".") &&
         name.find('\0') == std::string::npos;
}

}  // namespace

StatusOr<ShardIndex> ShardIndex::parse(std::string text, const std::string& path) {
  RETURN_IF_ERROR(check_plain_text(text, path, kId));
  ShardIndex index;
  index.text_ = std::move(text);
  ASSIGN_OR_RETURN(const JsonValue map, weight_map_of(index.text_, path));
  if (const auto twice = map.duplicate_name()) {
    return invalid(
        kId, "{} names tensor \"{}\" twice; fetch the file again", path, shown_name(*twice));
  }
  std::set<std::string> names;
  RETURN_IF_ERROR(map.each_member([&](std::string_view tensor, JsonValue shard) -> Status {
    const std::string name = string_of(shard);
    if (!is_plain_file_name(name)) {
      return invalid(kId,
                     "{}: tensor \"{}\" names the shard {}, allowed are file names in the same "
                     "folder",
                     path,
                     shown_name(tensor),
                     shown(shard));
    }
    names.insert(name);
    if (names.size() <= kMaxShards) return ok_status();
    return invalid(kId, "{} names more than {} shards; fetch the file again", path, kMaxShards);
  }));
  if (names.empty()) {
    return invalid(kId, "{} has an empty \"weight_map\"; fetch the file again", path);
  }
  index.shards_.assign(names.begin(), names.end());
  return index;
}

std::map<std::string, std::string> ShardIndex::shards_of(
    const std::set<std::string>& tensors) const {
  std::map<std::string, std::string> found;
  const auto map = weight_map_of(text_, "");
  if (!map.ok()) return found;
  (void)map->each_member([&](std::string_view tensor, JsonValue shard) -> Status {
    std::string name(tensor);
    if (tensors.contains(name)) found.insert_or_assign(std::move(name), shard.string());
    return ok_status();
  });
  return found;
}

}  // namespace trireme
