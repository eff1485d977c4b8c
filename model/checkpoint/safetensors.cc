#include "model/checkpoint/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/json_value.h"
#include "model/checkpoint/checked_math.h"
#include "model/checkpoint/foreign_file.h"
#include "model/checkpoint/tensor_names.h"
#include "model/file_text.h"

namespace trireme {

namespace {

constexpr int64_t kMaxHeaderBytes = 100 << 20;  // the limit of the format
constexpr int kMaxDimensions = 32;              // as in NumPy; the format has no limit

struct DTypeName {
  const char* name;
  DType dtype;
};
// All types of the format.
constexpr DTypeName kDTypes[] = {{"BOOL", DType::kBool},
                                 {"U8", DType::kUint8},
                                 {"I8", DType::kInt8},
                                 {"U16", DType::kUint16},
                                 {"I16", DType::kInt16},
                                 {"U32", DType::kUint32},
                                 {"I32", DType::kInt32},
                                 {"U64", DType::kUint64},
                                 {"I64", DType::kInt64},
                                 {"F16", DType::kFloat16},
                                 {"BF16", DType::kBFloat16},
                                 {"F32", DType::kFloat32},
                                 {"F64", DType::kFloat64},
                                 {"C64", DType::kComplex64},
                                 {"F8_E4M3", DType::kF8E4M3},
                                 {"F8_E5M2", DType::kF8E5M2},
                                 {"F8_E8M0", DType::kF8E8M0},
                                 {"F8_E4M3FNUZ", DType::kF8E4M3FNUZ},
                                 {"F8_E5M2FNUZ", DType::kF8E5M2FNUZ},
                                 {"F6_E2M3", DType::kF6E2M3},
                                 {"F6_E3M2", DType::kF6E3M2},
                                 {"F4", DType::kF4}};

std::optional<DType> find_dtype(std::string_view name) {
  for (const DTypeName& row : kDTypes) {
    if (name == row.name) return row.dtype;
  }
  return std::nullopt;
}

Status bad_tensor(const std::string& path, const std::string& name, const std::string& what) {
  return invalid("TRI-LOAD-004",
                 "{}: tensor \"{}\" {}; the file is damaged, fetch it again",
                 path,
                 shown_name(name),
                 what);
}

Status unknown_dtype(const std::string& path, const std::string& name, const std::string& word) {
  return invalid("TRI-LOAD-004",
                 "{}: tensor \"{}\" has the dtype \"{}\", which is not a safetensors type; "
                 "fetch the file again, or use a checkpoint in bf16",
                 path,
                 shown_name(name),
                 shown_name(word));
}

// The bytes of a tensor; empty if they overflow. Types of fewer than eight bits are packed; the
// last byte has to be full.
std::optional<int64_t> bytes_of(DType dtype, const std::vector<int64_t>& shape) {
  std::optional<int64_t> bits = bits_of(dtype);
  for (const int64_t extent : shape) bits = bits ? checked_product(*bits, extent) : std::nullopt;
  if (!bits || *bits % 8 != 0) return std::nullopt;
  return *bits / 8;
}

// {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}
struct EntryFields {
  std::optional<JsonValue> dtype, shape, offsets;
};

StatusOr<EntryFields> read_fields(JsonValue value,
                                  const std::string& name,
                                  const std::string& path) {
  using Kind = JsonValue::Kind;
  EntryFields fields;
  if (!value.is(Kind::kObject)) return bad_tensor(path, name, "is no object in the header");
  if (value.duplicate_name()) return bad_tensor(path, name, "has a field twice");
  fields.dtype = value.find("dtype");
  fields.shape = value.find("shape");
  fields.offsets = value.find("data_offsets");
  if (!fields.dtype || !fields.shape || !fields.offsets || !fields.dtype->is(Kind::kString) ||
      !fields.shape->is(Kind::kArray) || !fields.offsets->is(Kind::kArray)) {
    return bad_tensor(path, name, "lacks dtype, shape or data_offsets");
  }
  return fields;
}

// An array of at most `max_count` integers >= 0; empty for anything else.
std::optional<std::vector<int64_t>> read_integers(JsonValue array, size_t max_count) {
  std::vector<int64_t> integers;
  const Status status = array.each([&](JsonValue value) -> Status {
    int64_t integer = -1;
    const bool fits = value.is(JsonValue::Kind::kNumber) && value.integer(integer) &&
                      integer >= 0 && integers.size() < max_count;
    if (!fits) return absl::CancelledError("no such list");
    integers.push_back(integer);
    return ok_status();
  });
  if (!status.ok()) return std::nullopt;
  integers.shrink_to_fit();
  return integers;
}

// One member of the header object.
StatusOr<SafetensorsEntry> parse_entry(const std::string& name,
                                       JsonValue value,
                                       int64_t data_begin,
                                       int64_t data_bytes,
                                       const std::string& path) {
  ASSIGN_OR_RETURN(const EntryFields fields, read_fields(value, name, path));
  const std::string dtype_name = fields.dtype->string();
  const std::optional<DType> dtype = find_dtype(dtype_name);
  if (!dtype) return unknown_dtype(path, name, dtype_name);
  auto shape = read_integers(*fields.shape, kMaxDimensions);
  if (!shape) {
    return bad_tensor(
        path,
        name,
        format_text("has a shape that is not a list of at most {} lengths", kMaxDimensions));
  }
  const std::optional<int64_t> bytes = bytes_of(*dtype, *shape);
  const auto offsets = read_integers(*fields.offsets, 2);
  if (!offsets || offsets->size() != 2 || (*offsets)[1] < (*offsets)[0] ||
      (*offsets)[1] > data_bytes) {
    return bad_tensor(path,
                      name,
                      format_text("lies at bytes {} of {}, outside the file",
                                  fields.offsets->text().substr(0, 60),
                                  data_bytes));
  }
  const int64_t length = (*offsets)[1] - (*offsets)[0];
  if (!bytes || *bytes != length) {
    return bad_tensor(path,
                      name,
                      format_text("has {} bytes, its shape needs {}",
                                  length,
                                  bytes ? format_text("{}", *bytes)
                                        : "more than any file holds, or a part of a byte"));
  }
  SafetensorsEntry entry;
  entry.tensor.name = name;
  entry.tensor.dtype = *dtype;
  entry.tensor.shape = std::move(*shape);
  entry.tensor.bytes = *bytes;
  entry.begin = data_begin + (*offsets)[0];
  return entry;
}

// The format requires that the tensors cover the data part without gap or overlap.
Status check_layout(const std::vector<SafetensorsEntry>& entries,
                    int64_t data_begin,
                    int64_t file_bytes,
                    const std::string& path) {
  std::vector<const SafetensorsEntry*> order;
  order.reserve(entries.size());
  for (const SafetensorsEntry& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->begin, a->tensor.bytes) < std::pair(b->begin, b->tensor.bytes);
  });
  int64_t at = data_begin;
  for (const SafetensorsEntry* entry : order) {
    if (entry->begin < at) return bad_tensor(path, entry->tensor.name, "overlaps its neighbour");
    if (entry->begin > at) {
      return bad_tensor(path,
                        entry->tensor.name,
                        format_text("leaves a hole of {} bytes before it", entry->begin - at));
    }
    at += entry->tensor.bytes;
  }
  if (at != file_bytes) {
    return invalid("TRI-LOAD-004",
                   "{}: the tensors end at byte {} of {}; the file is truncated or has bytes too "
                   "many, fetch it again",
                   path,
                   at,
                   file_bytes);
  }
  return ok_status();
}

}  // namespace

StatusOr<std::vector<SafetensorsEntry>> parse_safetensors_header(const std::string& header,
                                                                 int64_t file_bytes,
                                                                 const std::string& path) {
  const int64_t data_begin = 8 + static_cast<int64_t>(header.size());
  ASSIGN_OR_RETURN(
      const JsonValue object,
      JsonValue::parse(
          header,
          "TRI-LOAD-003",
          format_text("{}: the header (is this a safetensors file? is it whole?)", path)));
  if (!object.is(JsonValue::Kind::kObject)) {
    return invalid(
        "TRI-LOAD-003", "{}: the header is not a JSON object; fetch the file again", path);
  }
  if (const auto name = object.duplicate_name()) {
    return bad_tensor(path, *name, "occurs twice in the header");
  }
  std::vector<SafetensorsEntry> entries;
  entries.reserve(object.count());
  RETURN_IF_ERROR(object.each_member([&](std::string_view key, JsonValue value) -> Status {
    if (key == "__metadata__") return ok_status();
    ASSIGN_OR_RETURN(
        SafetensorsEntry entry,
        parse_entry(std::string(key), value, data_begin, file_bytes - data_begin, path));
    entries.push_back(std::move(entry));
    return ok_status();
  }));
  RETURN_IF_ERROR(check_layout(entries, data_begin, file_bytes, path));
  return entries;
}

void close_file(int descriptor) {
  if (descriptor >= 0) ::close(descriptor);
}

// Opens and measures the file. A pipe in its place is refused instead of waited for.
Status SafetensorsFile::open_descriptor() {
  descriptor_ = Descriptor(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (descriptor_.value < 0 || ::fstat(descriptor_.value, &info) != 0) {
    return invalid("TRI-LOAD-002",
                   "cannot open {}: {}; fetch the file, or check its name and permissions",
                   path_,
                   std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) {
    return invalid("TRI-LOAD-002", "{} is not a regular file; fetch the safetensors file", path_);
  }
  file_bytes_ = info.st_size;
  if (file_bytes_ >= 8) return ok_status();
  return invalid("TRI-LOAD-003",
                 "{} has {} bytes, a safetensors file has at least 8; fetch the file again",
                 path_,
                 file_bytes_);
}

// A length that cannot be right, where the file may be of another kind.
Status SafetensorsFile::refuse_header(uint64_t length) const {
  std::string beginning(std::min<int64_t>(file_bytes_, 64), '\0');
  RETURN_IF_ERROR(read(0, std::as_writable_bytes(std::span(beginning))));
  RETURN_IF_ERROR(check_plain_text(beginning, path_, "TRI-LOAD-003"));
  if (const auto foreign = foreign_file(beginning)) {
    return invalid("TRI-LOAD-003", "{} is {}; {}", path_, foreign->what, foreign->remedy);
  }
  return invalid("TRI-LOAD-003",
                 "{}: the header claims {} bytes of a file of {}; it is not a safetensors file, "
                 "or it is truncated",
                 path_,
                 length,
                 file_bytes_);
}

StatusOr<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  SafetensorsFile file;
  file.path_ = path;
  RETURN_IF_ERROR(file.open_descriptor());
  uint64_t length = 0;
  RETURN_IF_ERROR(file.read(0, std::as_writable_bytes(std::span(&length, 1))));
  if (length > static_cast<uint64_t>(std::min(kMaxHeaderBytes, file.file_bytes_ - 8))) {
    return file.refuse_header(length);
  }
  file.header_.resize(length);
  RETURN_IF_ERROR(file.read(8, std::as_writable_bytes(std::span(file.header_))));
  ASSIGN_OR_RETURN(file.entries_, parse_safetensors_header(file.header_, file.file_bytes_, path));
  return file;
}

Status SafetensorsFile::read(int64_t offset, std::span<std::byte> out) const {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t count =
        ::pread(descriptor_.value, out.data() + done, out.size() - done, offset + done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      return invalid("TRI-LOAD-002",
                     "cannot read {} at byte {}: {}",
                     path_,
                     offset + done,
                     count == 0 ? "the file ends there" : std::strerror(errno));
    }
    done += count;
  }
  return ok_status();
}

}  // namespace trireme
