#include "launch/checks/gpu_findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme {
namespace gpu_findings_test {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Gpu gpu_of(const char* capability, std::vector<int> peers) {
  return {"Some GPU", capability, int64_t{80} << 30, std::move(peers)};
}

DeviceReport machine() {
  DeviceReport report;
  report.backends = {"cpu", "cuda"};
  report.driver = "13.1";
  report.runtime = "13.0";
  report.gpus = {gpu_of("9.0", {1}), gpu_of("9.0", {0})};
  report.nccl_version = "2.28.3";
  report.nccl_path = "/lib/libnccl.so.2";
  return report;
}

const Finding& about(const std::vector<Finding>& findings, const std::string& subject) {
  for (const Finding& finding : findings) {
    if (finding.subject == subject) return finding;
  }
  static const Finding kNone{Grade::kBad, "", "nothing was found", ""};
  return kNone;
}

TEST(GpuFindings, ACompleteMachineHasNothingToFix) {
  const auto findings = gpu_findings(machine(), true);
  ASSERT_EQ(findings.size(), 5u);
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.grade, Grade::kGood) << finding.subject;
    EXPECT_THAT(finding.fix, IsEmpty()) << finding.subject;
  }
  EXPECT_EQ(about(findings, "GPU 1").found, "Some GPU, 80.0 GiB, compute capability 9.0");
  EXPECT_EQ(about(findings, "GPU driver").found, "serves CUDA 13.1, built against 13.0");
  EXPECT_THAT(about(findings, "NCCL").found, HasSubstr("2.28.3, /lib/libnccl.so.2; "));
  EXPECT_THAT(about(findings, "NCCL").found, HasSubstr("--nccl-interface"));
  EXPECT_THAT(about(findings, "NCCL").found, HasSubstr("ip_local_port_range"));
}

TEST(GpuFindings, GpusNeedCapabilityEightOrLater) {
  for (const char* capability : {"8.0", "8.6", "8.7", "8.9", "9.0", "12.0"}) {
    DeviceReport report = machine();
    report.gpus = {gpu_of(capability, {})};
    EXPECT_EQ(about(gpu_findings(report, true), "GPU 0").grade, Grade::kGood) << capability;
  }
}

TEST(GpuFindings, EveryMissingPartHasARemedy) {
  DeviceReport report = machine();
  report.driver = "12.4";
  report.gpus = {gpu_of("7.5", {}), gpu_of("9.0", {})};
  report.nccl_error = "TRI-CUDA-010: none is here";
  const auto findings = gpu_findings(report, true);
  EXPECT_EQ(about(findings, "GPU driver").grade, Grade::kBad);
  EXPECT_THAT(about(findings, "GPU driver").fix, HasSubstr("13.0"));
  EXPECT_EQ(about(findings, "GPU 0").grade, Grade::kBad);
  EXPECT_THAT(about(findings, "GPU 0").fix, HasSubstr("8.0 is needed"));
  EXPECT_EQ(about(findings, "GPU 1").grade, Grade::kGood);
  EXPECT_EQ(about(findings, "GPU peer access").grade, Grade::kWarning);
  EXPECT_THAT(about(findings, "GPU peer access").found, HasSubstr("0-1"));
  EXPECT_EQ(about(findings, "NCCL").grade, Grade::kWarning);
  EXPECT_EQ(about(findings, "NCCL").found, "TRI-CUDA-010: none is here");
  for (const Finding& finding : findings) {
    if (finding.grade == Grade::kGood) continue;
    EXPECT_THAT(finding.fix, Not(IsEmpty())) << finding.subject;
  }
}

TEST(GpuFindings, OneGpuDoesNotNeedNccl) {
  DeviceReport report = machine();
  report.gpus.resize(1);
  report.nccl_error = "TRI-CUDA-010: none is here";
  const auto findings = gpu_findings(report, true);
  EXPECT_EQ(about(findings, "NCCL").grade, Grade::kGood);
  EXPECT_EQ(about(findings, "GPU peer access").found, "nothing was found");
}

TEST(GpuFindings, AnOlderDriverOfTheSameMajorVersionIsAWarning) {
  DeviceReport report = machine();
  report.runtime = "13.2";
  EXPECT_EQ(about(gpu_findings(report, true), "GPU driver").grade, Grade::kWarning);
}

TEST(GpuFindings, ABuildWithoutCudaIsGoodOnAMachineWithoutGpus) {
  DeviceReport report;
  report.backends = {"cpu"};
  report.cuda_error = "TRI-CUDA-002: this build has no CUDA";
  EXPECT_EQ(gpu_findings(report, false).at(0).grade, Grade::kGood);
  EXPECT_EQ(gpu_findings(report, true).at(0).grade, Grade::kWarning);
  EXPECT_THAT(gpu_findings(report, true).at(0).fix, HasSubstr("TRIREME_CUDA"));
}

TEST(GpuFindings, ABuildWithCudaReportsWhyItSeesNoGpu) {
  DeviceReport report;
  report.backends = {"cpu", "cuda"};
  report.cuda_error = "TRI-CUDA-002: no driver";
  const auto findings = gpu_findings(report, true);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].grade, Grade::kBad);
  EXPECT_THAT(findings[0].found, HasSubstr("no driver"));
}

TEST(GpuFindings, AWorkerThatDoesNotAnswerIsAWarning) {
  const auto findings = gpu_findings(unavailable("TRI-UP-017", "no worker"), false);
  EXPECT_EQ(findings.at(0).grade, Grade::kWarning);
  EXPECT_THAT(findings.at(0).found, HasSubstr("no worker"));
}

}  // namespace gpu_findings_test
}  // namespace trireme
