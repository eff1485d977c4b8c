// Folders of safetensors in the published layouts, and broken ones.
#include "model/checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/text.h"
#include "model/checkpoint/model_source.h"
#include "model/checkpoint/safetensors.h"
#include "model/checkpoint/tensor_check.h"
#include "model/shard_spec.h"

namespace trireme {
namespace checkpoint_test {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kGolden = TRIREME_TEST_DATA "/golden/models/";

// A copy of a golden model in a temporary folder.
std::string copy_of(const std::string& model, const std::string& name) {
  const std::string folder = testing::TempDir() + "/checkpoint_test_" + name;
  fs::remove_all(folder);
  fs::copy(kGolden + model, folder);
  return folder;
}

// A safetensors file of `header` and zeros.
void write_safetensors(const std::string& path, const std::string& header, size_t data_bytes) {
  std::ofstream file(path, std::ios::binary);
  const uint64_t length = header.size();
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  file << header << std::string(data_bytes, '\0');
}

Status open_status(const std::string& folder) {
  std::vector<std::string> notes;
  return open_checkpoint(folder, notes).status();
}

TEST(Checkpoint, OneFileAndShardsGiveTheSameTensors) {
  for (const char* name : {"llama-gqa", "llama-rope-llama3-sharded", "llama-tied-fp32"}) {
    const auto source = open_model(kGolden + name);
    ASSERT_TRUE(source.ok()) << message_of(source.status());
    const auto unexpected = check_tensors(TensorTable(source->config), *source->checkpoint);
    ASSERT_TRUE(unexpected.ok()) << message_of(unexpected.status());
    EXPECT_TRUE(unexpected->empty()) << join(*unexpected);
  }
}

TEST(Checkpoint, ARectangleIsReadAndNothingElse) {
  const auto source = open_model(kGolden + "llama-tied-fp32");
  ASSERT_TRUE(source.ok());
  Checkpoint& checkpoint = *source->checkpoint;
  const StoredTensor* tensor = checkpoint.find("model.embed_tokens.weight");
  ASSERT_NE(tensor, nullptr);
  const int64_t width = tensor->shape[1];
  std::vector<float> whole(static_cast<size_t>(tensor->shape[0] * width));
  ASSERT_TRUE(
      checkpoint
          .read(
              *tensor, {0, tensor->shape[0]}, {0, width}, std::as_writable_bytes(std::span(whole)))
          .ok());
  const int64_t before = checkpoint.bytes_read();
  std::vector<float> part(3 * 5);
  ASSERT_TRUE(
      checkpoint.read(*tensor, {7, 10}, {2, 7}, std::as_writable_bytes(std::span(part))).ok());
  EXPECT_EQ(checkpoint.bytes_read() - before, 3 * 5 * 4);
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 5; ++column) {
      EXPECT_EQ(part[row * 5 + column], whole[(7 + row) * width + 2 + column]);
    }
  }
}

TEST(Checkpoint, UnexpectedTensorsAreNamed) {
  const std::string folder = copy_of("llama-rope-llama3-sharded", "unexpected");
  write_safetensors(
      folder + "/extra.safetensors",
      R"({"rotary.inv_freq": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})",
      8);
  std::string index;
  std::getline(std::ifstream(folder + "/model.safetensors.index.json") >> std::ws, index, '\0');
  const size_t at = index.find("\"weight_map\"");
  const size_t brace = index.find('{', at);
  index.insert(brace + 1, "\"rotary.inv_freq\": \"extra.safetensors\", ");
  std::ofstream(folder + "/model.safetensors.index.json") << index;
  const auto source = open_model(folder);
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  const auto unexpected = check_tensors(TensorTable(source->config), *source->checkpoint);
  ASSERT_TRUE(unexpected.ok());
  EXPECT_THAT(*unexpected, ElementsAre("rotary.inv_freq"));
}

struct HeaderCase {
  const char* name;
  const char* header;
  size_t data_bytes;
  const char* id;
  const char* words;
};

class BadHeader : public testing::TestWithParam<HeaderCase> {};

TEST_P(BadHeader, IsRefusedByName) {
  const std::string path = testing::TempDir() + "/checkpoint_test_header.safetensors";
  write_safetensors(path, GetParam().header, GetParam().data_bytes);
  const Status status = SafetensorsFile::open(path).status();
  EXPECT_EQ(error_id(status), GetParam().id) << message_of(status);
  EXPECT_THAT(message_of(status), HasSubstr(GetParam().words));
}

constexpr HeaderCase kHeaders[] = {
    {"NotJson", "{\"a\": ", 0, "TRI-LOAD-003", "not JSON"},
    {"NoObject", "[]", 0, "TRI-LOAD-003", "not a JSON object"},
    {"UnknownType",
     R"({"a": {"dtype": "F9", "shape": [1], "data_offsets": [0, 4]}})",
     4,
     "TRI-LOAD-004",
     "has the dtype \"F9\", which is not a safetensors type"},
    {"LowerCaseType",
     R"({"a": {"dtype": "bf16", "shape": [2], "data_offsets": [0, 4]}})",
     4,
     "TRI-LOAD-004",
     "bf16"},
    {"PartOfAByte",
     R"({"a": {"dtype": "F4", "shape": [3], "data_offsets": [0, 2]}})",
     2,
     "TRI-LOAD-004",
     "a part of a byte"},
    {"PackedShapeAndBytes",
     R"({"a": {"dtype": "F6_E2M3", "shape": [8], "data_offsets": [0, 8]}})",
     8,
     "TRI-LOAD-004",
     "its shape needs 6"},
    {"ShapeAndBytes",
     R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})",
     4,
     "TRI-LOAD-004",
     "its shape needs 8"},
    {"OutsideTheFile",
     R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})",
     4,
     "TRI-LOAD-004",
     "outside the file"},
    {"Overflow",
     R"({"a": {"dtype": "F32", "shape": [4611686018427387904, 4], "data_offsets": [0, 0]}})",
     0,
     "TRI-LOAD-004",
     "more than any file holds"},
    {"Overlap",
     R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
         "b": {"dtype": "U8", "shape": [4], "data_offsets": [2, 6]}})",
     6,
     "TRI-LOAD-004",
     "overlaps"},
    {"Hole",
     R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
         "b": {"dtype": "U8", "shape": [2], "data_offsets": [4, 6]}})",
     6,
     "TRI-LOAD-004",
     "hole of 2 bytes"},
    {"BytesTooMany",
     R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}})",
     5,
     "TRI-LOAD-004",
     "bytes too many"},
    {"TwiceTheName",
     R"({"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]},
         "a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}})",
     0,
     "TRI-LOAD-004",
     "twice"},
    {"NegativeOffset",
     R"({"a": {"dtype": "U8", "shape": [0], "data_offsets": [-1, -1]}})",
     0,
     "TRI-LOAD-004",
     "-1"},
};

INSTANTIATE_TEST_SUITE_P(Headers, BadHeader, testing::ValuesIn(kHeaders), [](const auto& info) {
  return std::string(info.param.name);
});

// Every type of the format, with the bytes of eight elements.
TEST(Safetensors, KnowsAllTypesOfTheFormat) {
  constexpr std::pair<const char*, int> kTypes[] = {
      {"BOOL", 8},    {"U8", 8},      {"I8", 8},      {"U16", 16},        {"I16", 16},
      {"U32", 32},    {"I32", 32},    {"U64", 64},    {"I64", 64},        {"F16", 16},
      {"BF16", 16},   {"F32", 32},    {"F64", 64},    {"C64", 64},        {"F8_E4M3", 8},
      {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
      {"F6_E3M2", 6}, {"F4", 4}};
  const std::string path = testing::TempDir() + "/checkpoint_test_types.safetensors";
  std::set<std::string_view> names;
  for (const auto& [word, bits] : kTypes) {
    write_safetensors(
        path,
        format_text(
            R"({{"a": {{"dtype": "{}", "shape": [2, 4], "data_offsets": [0, {}]}}}})", word, bits),
        bits);
    const auto file = SafetensorsFile::open(path);
    ASSERT_TRUE(file.ok()) << message_of(file.status());
    const StoredTensor& tensor = file->entries().at(0).tensor;
    EXPECT_EQ(tensor.bytes, bits) << word;
    EXPECT_EQ(bits_of(tensor.dtype), bits) << word;
    names.insert(name_of(tensor.dtype));
  }
  EXPECT_EQ(names.size(), std::size(kTypes));
}

TEST(Safetensors, AcceptsScalarsEmptyTensorsAndAnyMetadata) {
  const std::string path = testing::TempDir() + "/checkpoint_test_odd.safetensors";
  for (const char* metadata : {R"({"format": "pt"})", "{}", "null", R"({"a": {"b": [1]}})"}) {
    write_safetensors(path,
                      format_text(R"({{"__metadata__": {},
                          "scalar": {{"dtype": "F32", "shape": [], "data_offsets": [0, 4]}},
                          "empty": {{"dtype": "F4", "shape": [0, 3], "data_offsets": [4, 4]}}}})",
                                  metadata),
                      4);
    const auto file = SafetensorsFile::open(path);
    ASSERT_TRUE(file.ok()) << message_of(file.status());
    EXPECT_EQ(file->entries().size(), 2u);
  }
}

// A file of another kind in its place is named.
TEST(Safetensors, AFileOfAnotherKindIsNamed) {
  const std::string path = testing::TempDir() + "/checkpoint_test_kind.safetensors";
  const std::pair<std::string, const char*> kFiles[] = {
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n", "git lfs pull"},
      {"<!DOCTYPE html><html></html>", "HTML"},
      {"GGUF\x03 and more bytes", "GGUF"},
      {"PK\x03\x04 and more bytes", "zip archive"},
      {"any other text here", "not a safetensors file"},
      {"", "0 bytes"}};
  for (const auto& [bytes, words] : kFiles) {
    std::ofstream(path, std::ios::binary) << bytes;
    const Status status = SafetensorsFile::open(path).status();
    EXPECT_EQ(error_id(status), "TRI-LOAD-003");
    EXPECT_THAT(message_of(status), HasSubstr(words));
  }
}

// Neither is read as one; to open a pipe without a writer would wait for ever.
TEST(Safetensors, AFolderAndAPipeAreRefused) {
  const std::string path = testing::TempDir() + "/checkpoint_test_pipe";
  fs::remove(path);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  for (const std::string& wrong : {path, testing::TempDir()}) {
    const Status status = SafetensorsFile::open(wrong).status();
    EXPECT_EQ(error_id(status), "TRI-LOAD-002");
    EXPECT_THAT(message_of(status), HasSubstr("is not a regular file"));
  }
}

TEST(Checkpoint, ARankReadsOnlyTheBytesOfItsShard) {
  const std::string dir = std::string(TRIREME_TEST_DATA) + "/golden/models/qwen2-tied";
  int64_t sharded = 0;
  int64_t expected = 0;
  ModelSource source = open_model(dir).value();
  const TensorTable table(source.config);
  ASSERT_TRUE(check_tensors(table, *source.checkpoint).value().empty());
  const ParallelPlan plan = ParallelPlan::make(source.config, 2, 2).value();
  for (int rank = 0; rank < 4; ++rank) {
    const ShardSpec spec(source.config, plan, rank);
    for (const TensorEntry& entry : table.entries()) {
      if (!spec.holds(entry)) continue;
      const TensorSlice slice = spec.slice(entry);
      const StoredTensor& stored = *source.checkpoint->find(entry.names[0]);
      std::vector<std::byte> bytes(slice.rows.size() * slice.columns.size() *
                                   size_of(stored.dtype));
      ASSERT_TRUE(source.checkpoint->read(stored, slice.rows, slice.columns, bytes).ok());
      sharded += static_cast<int64_t>(bytes.size());
      expected +=
          entry.partition == TensorPartition::kReplicate ? 2 * stored.bytes / 2 : stored.bytes / 2;
    }
  }
  EXPECT_EQ(source.checkpoint->bytes_read(), sharded);
  EXPECT_EQ(sharded, expected);
}

TEST(Checkpoint, ATruncatedFileIsRefusedWhereverItEnds) {
  const std::string folder = testing::TempDir() + "/checkpoint_test_truncated";
  std::filesystem::remove_all(folder);
  std::filesystem::copy(TRIREME_TEST_DATA "/golden/models/llama-tied-fp32", folder);
  const std::string path = folder + "/model.safetensors";
  const auto whole = std::filesystem::file_size(path);
  for (const auto& [bytes, id] : {std::pair(whole - 1, "TRI-LOAD-004"),
                                  {whole / 2, "TRI-LOAD-004"},
                                  {uintmax_t{100}, "TRI-LOAD-003"},
                                  {uintmax_t{7}, "TRI-LOAD-003"},
                                  {uintmax_t{0}, "TRI-LOAD-003"}}) {
    std::filesystem::resize_file(path, bytes);
    EXPECT_EQ(error_id(open_status(folder)), id) << bytes;
  }
}

}  // namespace checkpoint_test
}  // namespace trireme
