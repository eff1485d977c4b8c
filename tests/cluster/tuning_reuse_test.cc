// Matmul algorithms are measured once per device and library and kept in a file. Runs over the
// emulation, with a fake cuBLASLt whose times are invented.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "kernels/cuda/cublaslt.h"
#include "tests/cluster/local_workers.h"

namespace trireme {
namespace {

std::atomic<int> num_timed = 0;  // shapes, by all ranks
std::atomic<bool> has_rival = true;
std::atomic<int> version = 1;  // of the fake library

}  // namespace

// Replaces cublaslt.cc: claims to be faster for few rows, but is never used, so that tokens stay
// the same.
namespace cuda {

std::unique_ptr<CublasLt> CublasLt::make(bool is_bf16, const std::string& device) {
  if (!has_rival) return nullptr;
  return std::unique_ptr<CublasLt>(
      new CublasLt(nullptr, is_bf16, format_text("{} rival {}", device, version)));
}
CublasLt::~CublasLt() = default;
void CublasLt::choose(CudaQueue&,
                      std::span<const MatmulCall> calls,
                      const EnqueueOwn&,
                      const FinishOf&) {
  ++num_timed;
  const MatmulShape& shape = calls[0].shape;
  table_.note(shape, {{7}, shape.rows < 16 ? 1.0f : 9.0f, 5.0f});
}
MatmulRefusal CublasLt::check(const MatmulCall&) const { return MatmulRefusal::kUnsupported; }
bool CublasLt::accepts(const MatmulCall&) { return false; }
bool CublasLt::run(CudaQueue&, const MatmulCall&, const Finish&) { return false; }
std::vector<RefusedMatmuls> CublasLt::refused() const { return {}; }
std::string CublasLt::describe(const MatmulChoice&) { return {}; }
const char* text_of(MatmulRefusal) { return ""; }

}  // namespace cuda

namespace {

using testing::HasSubstr;

class KeptAlgorithms : public testing::Test {
 protected:
  void SetUp() override {
    has_rival = true;
    version = 1;
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Starts a group and returns the number of shapes that it timed. Errors fail the test.
  int timed_by_start(int32_t max_batched_tokens = 32,
                     Partition partition = {1, 1},
                     const std::string& folder = {}) {
    LocalRun run;
    run.model = TRIREME_SOURCE_DIR "/tests/data/golden/models/llama-gqa";
    run.partition = partition;
    run.options.backend = "cuda";
    run.shares_device = true;  // emulated devices differ in name
    run.options.max_slots = 4;
    run.options.max_batched_tokens = max_batched_tokens;
    run.options.cache_folder = folder.empty() ? folder_ : folder;
    num_timed = 0;
    testing::internal::CaptureStderr();
    run_local_group(run, {});
    said_ = testing::internal::GetCapturedStderr();
    return num_timed;
  }

  std::vector<std::string> files() const {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      paths.push_back(entry.path());
    }
    return paths;
  }
  std::string only_file() const {
    const auto paths = files();
    EXPECT_EQ(paths.size(), 1u);
    return paths.empty() ? "" : paths[0];
  }
  static std::string content(const std::string& path) {
    std::ostringstream bytes;
    bytes << std::ifstream(path, std::ios::binary).rdbuf();
    return bytes.str();
  }
  static void replace(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

  const std::string folder_ = testing::TempDir() + "kept_choices_test";
  std::string said_;
};

TEST_F(KeptAlgorithms, AreMeasuredOnceAndOnlyIfMissing) {
  const int first = timed_by_start();
  EXPECT_GT(first, 0);
  const std::string bytes = content(only_file());
  EXPECT_EQ(timed_by_start(), 0);
  EXPECT_EQ(content(only_file()), bytes);
  EXPECT_EQ(said_, "");
  const int more = timed_by_start(64);
  EXPECT_GT(more, 0);
  EXPECT_LT(more, first);
  EXPECT_EQ(timed_by_start(64), 0);
  EXPECT_EQ(timed_by_start(32), 0);
}

TEST_F(KeptAlgorithms, AreMeasuredByTheFirstRankAlone) {
  const int alone = timed_by_start();
  std::filesystem::remove_all(folder_);
  const int together = timed_by_start(32, {2, 1});  // other shapes, as many
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(together, alone);
  EXPECT_EQ(timed_by_start(32, {2, 1}), 0);
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(KeptAlgorithms, ThatAreDamagedTruncatedOrForeignAreNamedAndReplaced) {
  const int all = timed_by_start();
  const std::string path = only_file();
  const std::string bytes = content(path);
  std::string damaged = bytes;
  damaged[bytes.size() / 2] = static_cast<char>(damaged[bytes.size() / 2] ^ 1);
  std::string foreign = bytes;
  foreign.replace(foreign.find("rival 1"), 7, "rival 2");
  for (const std::string& wrong :
       {damaged, bytes.substr(0, bytes.size() / 2), foreign, std::string("not a table")}) {
    replace(path, wrong);
    EXPECT_EQ(timed_by_start(), all);
    EXPECT_THAT(said_, HasSubstr(path));
    EXPECT_EQ(std::ranges::count(said_, '\n'), 1);
    EXPECT_EQ(content(only_file()), bytes);
  }
}

TEST_F(KeptAlgorithms, OfAnotherLibraryAreInAnotherFile) {
  const int all = timed_by_start();
  version = 2;
  EXPECT_EQ(timed_by_start(), all);
  EXPECT_EQ(files().size(), 2u);
  version = 1;
  EXPECT_EQ(timed_by_start(), 0);
}

TEST_F(KeptAlgorithms, ThatCannotBeWrittenAreMeasuredAtEachStart) {
  std::filesystem::create_directories(folder_);
  const std::string file = folder_ + "/no-folder";
  replace(file, "");
  for (int start = 0; start < 2; ++start) {
    EXPECT_GT(timed_by_start(32, {1, 1}, file), 0);
    EXPECT_THAT(said_, HasSubstr("TRI-CUDA-020"));
    EXPECT_EQ(std::ranges::count(said_, '\n'), 1);
  }
}

TEST_F(KeptAlgorithms, AreAbsentWithoutTheLibrary) {
  has_rival = false;
  EXPECT_EQ(timed_by_start(), 0);
  EXPECT_EQ(said_, "");
  EXPECT_FALSE(std::filesystem::exists(folder_));
}

}  // namespace
}  // namespace trireme
