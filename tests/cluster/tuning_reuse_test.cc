// Matmul algorithms are measured once per device and library and kept in a file. Runs over the
// emulation and its cuBLASLt, with invented times.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "kernels/cuda/stopwatch.h"
#include "kernels/emulation/control.h"
#include "tests/cluster/golden_case.h"
#include "tests/cluster/local_workers.h"

namespace trireme {
namespace {

std::atomic<int> num_times = 0;  // by all ranks: our kernels' and the library's in turn

}  // namespace

// Replaces stopwatch.cc.
namespace cuda {

Stopwatch::Stopwatch() = default;
float Stopwatch::time_us(CudaQueue&, size_t, const Enqueue&) {
  return num_times++ % 2 == 0 ? 5.0f : 1.0f;
}

}  // namespace cuda

namespace {

using testing::HasSubstr;

class KeptAlgorithms : public testing::Test {
 protected:
  void SetUp() override {
    set_version(1);
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override {
    set_version(0);
    std::filesystem::remove_all(folder_);
  }
  static void set_version(size_t version) {  // of the library; 0: it is missing
    emulation::Settings settings = emulation::settings();
    settings.cublaslt.version = version;
    settings.cublaslt.num_algorithms = 1;
    emulation::set_settings(settings);
  }

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
    num_times = 0;
    testing::internal::CaptureStderr();
    run_local_group(run, {});
    said_ = testing::internal::GetCapturedStderr();
    return num_times / 2;
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
  foreign.replace(foreign.find("cublaslt 1"), 10, "cublaslt 2");
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
  set_version(2);
  EXPECT_EQ(timed_by_start(), all);
  EXPECT_EQ(files().size(), 2u);
  set_version(1);
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
  set_version(0);
  EXPECT_EQ(timed_by_start(), 0);
  EXPECT_EQ(said_, "");
  EXPECT_FALSE(std::filesystem::exists(folder_));
}

// Every matmul that may, by the library: gate and up, and those with biases, are staged.
TEST_F(KeptAlgorithms, ComputeTheReferencesLogitsAndTokens) {
  for (const char* model : {"llama-gqa", "qwen2-tied"}) {
    for (const Partition partition : {Partition{1, 1}, {2, 1}, {1, 2}, {2, 2}}) {
      SCOPED_TRACE(format_text("{} {}x{}", model, partition.tp, partition.pp));
      LocalRun run;
      run.model = format_text("{}/tests/data/golden/models/{}", TRIREME_SOURCE_DIR, model);
      run.partition = partition;
      run.options.backend = "cuda";
      run.shares_device = true;
      run.options.max_slots = 8;
      run.options.max_batched_tokens = 64;
      const GoldenCase golden(run.model, run.options.dtype);
      emulation::start_call_trace();
      golden.check(run_local_group(run, golden.requests()));
      const auto calls = emulation::stop_call_trace();
      EXPECT_GT(std::ranges::count(calls, "cublasLtMatmul", &emulation::Call::name), 100);
    }
  }
}

}  // namespace
}  // namespace trireme
