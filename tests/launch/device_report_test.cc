#include "launch/checks/device_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "launch/checks/preflight.h"

namespace trireme {
namespace device_report_test {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kTwoGpus[] =
    R"({"version": "0.1.0", "backends": ["cpu", "cuda"], "cuda": {"driver": "13.2",)"
    R"( "runtime": "13.0", "devices": [)"
    R"({"name": "H", "compute_capability": "9.0", "memory_bytes": 1000000, "peers": [1]},)"
    R"({"name": "A", "compute_capability": "8.0", "memory_bytes": 900000, "peers": [0]}]},)"
    R"( "nccl": {"version": "2.28.3", "path": "/lib/libnccl.so.2"}})";
constexpr char kNoCuda[] = R"({"version": "0.1.0", "backends": ["cpu"],)"
                           R"( "cuda": {"error": "TRI-CUDA-002: this build has no CUDA"},)"
                           R"( "nccl": {"error": "TRI-CUDA-010: why"}})";

DeviceReport report_of(const char* line) { return parse_device_report(line).value(); }

// A program in place of trireme-worker.
class FakeWorker : public testing::Test {
 protected:
  ~FakeWorker() override { std::filesystem::remove(path_); }
  StatusOr<DeviceReport> ask(const std::string& script) {
    std::ofstream(path_) << "#!/bin/sh\n" << script << "\n";
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all);
    return ask_for_devices({path_});
  }
  const std::string path_ = testing::TempDir() + "fake_worker";
};

TEST(DeviceReport, IsParsedFromTheLineOfAWorker) {
  const DeviceReport report = report_of(kTwoGpus);
  EXPECT_TRUE(report.builds("cuda"));
  EXPECT_EQ(report.driver, "13.2");
  EXPECT_EQ(report.runtime, "13.0");
  EXPECT_EQ(report.nccl_version, "2.28.3");
  EXPECT_EQ(report.nccl_path, "/lib/libnccl.so.2");
  EXPECT_EQ(report.nccl_error, "");
  EXPECT_EQ(report_of(kNoCuda).nccl_error, "TRI-CUDA-010: why");
  ASSERT_EQ(report.gpus.size(), 2u);
  EXPECT_EQ(report.gpus[0].name, "H");
  EXPECT_EQ(report.gpus[1].compute_capability, "8.0");
  EXPECT_EQ(report.gpus[1].memory_bytes, 900000);
  EXPECT_THAT(report.gpus[1].peers, ElementsAre(0));
  EXPECT_FALSE(report_of(kNoCuda).builds("cuda"));
  EXPECT_EQ(report_of(kNoCuda).cuda_error, "TRI-CUDA-002: this build has no CUDA");
}

TEST(DeviceReport, OtherLinesAreIgnored) {
  for (const char* line : {"",
                           "hello",
                           "{}",
                           "[1]",
                           R"({"backends": "cpu"})",
                           R"({"backends": ["cpu"], "cuda": {"driver": 13}})"}) {
    EXPECT_FALSE(parse_device_report(line).has_value()) << line;
  }
}

TEST_F(FakeWorker, IsRunWithListDevicesAndItsOtherLinesAreSkipped) {
  const auto report = ask(format_text(
      "test \"$1\" = --list-devices || exit 1\necho noise\ncat <<'X'\n{}\nX", kTwoGpus));
  ASSERT_TRUE(report.ok()) << message_of(report.status());
  EXPECT_EQ(report->gpus.size(), 2u);
}

TEST_F(FakeWorker, ThatFailsIsReportedWithItsLastLine) {
  const Status status = ask("echo 'cannot open libfoo.so' >&2; exit 127").status();
  EXPECT_EQ(error_id(status), "TRI-UP-017");
  EXPECT_THAT(message_of(status), HasSubstr("fake_worker --list-devices"));
  EXPECT_THAT(message_of(status), HasSubstr("cannot open libfoo.so"));
  EXPECT_EQ(error_id(ask_for_devices({"/nowhere/trireme-worker"}).status()), "TRI-UP-017");
}

class Choice : public testing::Test {
 protected:
  Choice() { flags_.tp = 2; }
  ClusterFlags flags_;
};

TEST_F(Choice, AutoSelectsCudaIfThereAreGpus) {
  const BackendChoice choice = choose_backend(flags_, report_of(kTwoGpus)).value();
  EXPECT_EQ(choice.backend, "cuda");
  EXPECT_EQ(choice.num_gpus, 2);
  EXPECT_EQ(choice.gpu_memory_bytes, 900000);
  EXPECT_EQ(choice.local_ranks, 1);
  EXPECT_EQ(choose_backend(flags_, report_of(kNoCuda))->backend, "cpu");
  EXPECT_EQ(choose_backend(flags_, unavailable("TRI-UP-017", "x"))->backend, "cpu");
  flags_.dtype = "float32";
  EXPECT_EQ(choose_backend(flags_, report_of(kTwoGpus))->backend, "cpu");
}

TEST_F(Choice, CudaWithoutGpusIsBadInputWithTheWorkersError) {
  flags_.backend = "cuda";
  const Status status = choose_backend(flags_, report_of(kNoCuda)).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(message_of(status), "TRI-CUDA-002: this build has no CUDA");
  EXPECT_EQ(error_id(choose_backend(flags_, unavailable("TRI-UP-017", "x")).status()),
            "TRI-UP-017");
}

TEST_F(Choice, ADtypeThatTheBackendLacksIsRejectedWithThoseItHas) {
  flags_.dtype = "float16";
  const Status on_cpu = choose_backend(flags_, report_of(kNoCuda)).status();
  EXPECT_EQ(error_id(on_cpu), "TRI-UP-001");
  EXPECT_THAT(message_of(on_cpu), HasSubstr("bfloat16, float32"));
  EXPECT_EQ(choose_backend(flags_, report_of(kTwoGpus))->backend, "cuda");
}

TEST_F(Choice, RanksThatOutnumberTheGpusShareOneProcess) {
  flags_.pp = 2;
  const BackendChoice choice = choose_backend(flags_, report_of(kTwoGpus)).value();
  EXPECT_EQ(choice.local_ranks, 4);
  EXPECT_EQ(choice.ranks_per_gpu(4), 2);
  EXPECT_THAT(choice.note, HasSubstr("4 ranks share 2 GPUs"));
  EXPECT_THAT(choice.note, HasSubstr("--local-ranks 4"));
}

TEST_F(Choice, GroupsThatShareGpusNeedKvMemory) {
  flags_.groups = 2;
  EXPECT_EQ(error_id(choose_backend(flags_, report_of(kTwoGpus)).status()), "TRI-UP-018");
  flags_.kv_memory_bytes = 1000;
  EXPECT_EQ(choose_backend(flags_, report_of(kTwoGpus))->local_ranks, 1);
  flags_.kv_memory_bytes = 0;
  flags_.tp = 1;
  EXPECT_TRUE(choose_backend(flags_, report_of(kTwoGpus)).ok()) << "a GPU each";
}

TEST_F(Choice, HostsOfAHostfileAreNotCheckedAgainstLocalGpus) {
  flags_.backend = "cuda";
  flags_.pp = 2;
  flags_.hostfile = "hosts";
  EXPECT_EQ(choose_backend(flags_, report_of(kNoCuda))->backend, "cuda");
  EXPECT_EQ(choose_backend(flags_, report_of(kTwoGpus))->local_ranks, 1);
}

// A program in place of ssh: HOST WORKER --list-devices.
class Hosts : public FakeWorker {
 protected:
  Hosts() {
    std::ofstream(path_) << "#!/bin/sh\ncase $1 in\ngpu*) cat <<'X'\n"
                         << kTwoGpus << "\nX\n;;\ncpu*) cat <<'X'\n"
                         << kNoCuda << "\nX\n;;\n*) exit 1;;\nesac\n";
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all);
    flags_.tp = 2;
    flags_.launch_agent = path_;
    flags_.hostfile = path_ + "_hosts";
  }
  ~Hosts() override { std::filesystem::remove(flags_.hostfile); }

  StatusOr<BackendChoice> choose(const std::string& hosts) {
    std::ofstream(flags_.hostfile) << hosts;
    return choose_backend(flags_);
  }
  ClusterFlags flags_;
};

TEST_F(Hosts, AutoSelectsCudaIfEveryHostHasGpus) {
  EXPECT_EQ(choose("gpu1\ngpu2\n")->backend, "cuda");
  EXPECT_EQ(choose("gpu1\ngpu2\n")->local_ranks, 1);
  EXPECT_EQ(choose("cpu1\ncpu2\n")->backend, "cpu");
  EXPECT_EQ(choose("cpu1\ncpu2\n")->note, "");
  flags_.backend = "cuda";  // ranks check their own hosts when they start
  EXPECT_EQ(choose("cpu1\ncpu2\n")->backend, "cuda");
}

TEST_F(Hosts, AHostWithoutGpusOrAnswerIsNamedAndAllHostsUseCpus) {
  for (const char* other : {"cpu2", "silent"}) {
    const BackendChoice choice = choose(format_text("gpu1\n{}\n", other)).value();
    EXPECT_EQ(choice.backend, "cpu");
    EXPECT_THAT(choice.note,
                testing::StartsWith(format_text("backend cpu: there is no GPU on {}", other)));
    const bool says_why = choice.note.find("TRI-UP-017") != std::string::npos;
    EXPECT_EQ(says_why, std::string(other) == "silent") << choice.note;
  }
}

TEST_F(Hosts, AMissingHostfileIsRejected) {
  EXPECT_EQ(error_id(choose("").status()), "TRI-UP-004");
}

TEST(ClusterFlagsOfABackend, AValueThatIsNotBuiltIsRejectedWithThoseThatAre) {
  const struct {
    const char* backend;
    const char* dtype;
    const char* built;
  } cases[] = {{"tpu", "bfloat16", "auto, cpu, cuda"},
               {"cuda", "float32", "bfloat16, float16"},
               {"cpu", "float16", "bfloat16, float32"},
               {"auto", "fp8", "bfloat16, float16, float32"}};
  for (const auto& each : cases) {
    ClusterFlags flags;
    flags.model = "m";
    flags.backend = each.backend;
    flags.dtype = each.dtype;
    const Status status = check_cluster_flags(flags);
    EXPECT_EQ(error_id(status), "TRI-UP-001") << each.backend << " " << each.dtype;
    EXPECT_THAT(message_of(status), HasSubstr(format_text("built are: {}", each.built)));
  }
}

TEST(PlanRequestOfClusterFlags, AStepHasMoreTokensOnAGpu) {
  ClusterFlags flags;
  EXPECT_EQ(plan_request(flags, "cpu", 0).max_batched_tokens, 512);
  EXPECT_EQ(plan_request(flags, "cuda", 0).max_batched_tokens, 8192);
  flags.max_batched_tokens = 64;
  flags.dtype = "float16";
  EXPECT_EQ(plan_request(flags, "cuda", 0).max_batched_tokens, 64);
  EXPECT_EQ(plan_request(flags, "cuda", 7).dtype, DType::kFloat16);
  EXPECT_EQ(plan_request(flags, "cuda", 7).rank_memory_bytes, 7);
}

}  // namespace device_report_test
}  // namespace trireme
