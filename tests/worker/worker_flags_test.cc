#include "worker/worker_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/environment.h"

namespace trireme {
namespace worker_flags_test {

using testing::HasSubstr;

StatusOr<WorkerFlags> parse(std::vector<std::string> more) {
  std::vector<std::string> arguments = {"--model", "m", "--bench-step", "prefill=1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return parse_worker_flags(arguments);
}

// The choice of a worker with these flags that sees `num_devices` GPUs.
StatusOr<WorkerOptions> chosen(std::vector<std::string> more, const StatusOr<int>& num_devices) {
  ASSIGN_OR_RETURN(WorkerFlags flags, parse(std::move(more)));
  RETURN_IF_ERROR(choose_backend(flags, num_devices).status());
  return flags.worker;
}

TEST(ChooseBackend, AutoTakesAGpuWhereThereIsOne) {
  EXPECT_EQ(chosen({}, 0)->backend, "cpu");
  EXPECT_EQ(chosen({}, 2)->backend, "cuda");
  EXPECT_EQ(chosen({}, unavailable("TRI-CUDA-002", "no driver"))->backend, "cpu");
  EXPECT_EQ(chosen({"--backend", "cpu"}, 2)->backend, "cpu");
}

TEST(ChooseBackend, AutoLeavesFloat32ToTheCpu) {
  EXPECT_EQ(chosen({"--dtype", "float32"}, 2)->backend, "cpu");
}

TEST(ChooseBackend, ReportsTheChoiceAndItsReason) {
  WorkerFlags flags = parse({}).value();
  EXPECT_EQ(choose_backend(flags, 1).value(), "backend cuda (auto: 1 GPU), not invariant");
  flags = parse({"--backend", "cpu"}).value();
  EXPECT_EQ(choose_backend(flags, 0).value(), "backend cpu");
}

TEST(ChooseBackend, UnusableCudaIsRefusedWithTheReason) {
  const Status none = invalid("TRI-CUDA-002", "this build has no CUDA");
  EXPECT_EQ(chosen({"--backend", "cuda"}, none).status(), none);
  EXPECT_EQ(error_id(chosen({"--backend", "cuda"}, 0).status()), "TRI-CUDA-002");
}

TEST(ChooseBackend, ADtypeThatTheBackendLacksNamesThoseItHas) {
  const Status on_gpu = chosen({"--backend", "cuda", "--dtype", "float32"}, 1).status();
  EXPECT_EQ(error_id(on_gpu), "TRI-GRP-024");
  EXPECT_THAT(message_of(on_gpu), HasSubstr("built are: bfloat16, float16"));
  const Status on_cpu = chosen({"--dtype", "float16"}, 0).status();
  EXPECT_EQ(error_id(on_cpu), "TRI-GRP-024");
  EXPECT_THAT(message_of(on_cpu), HasSubstr("built are: bfloat16, float32"));
  EXPECT_EQ(chosen({"--dtype", "float16"}, 1)->dtype, DType::kFloat16);
}

TEST(ChooseBackend, AStepHasMoreTokensOnAGpu) {
  EXPECT_EQ(chosen({}, 0)->max_batched_tokens, 512);
  EXPECT_EQ(chosen({}, 1)->max_batched_tokens, 8192);
  EXPECT_EQ(chosen({"--max-num-batched-tokens", "100"}, 1)->max_batched_tokens, 100);
}

TEST(ChooseBackend, TheCpuIsAlwaysInvariantAndAGpuOnRequest) {
  EXPECT_TRUE(chosen({}, 0)->invariant);
  EXPECT_FALSE(chosen({}, 1)->invariant);
  EXPECT_TRUE(chosen({"--invariant"}, 1)->invariant);
}

TEST(WorkerFlags, AnUnknownBackendOrDtypeIsRefusedWithTheKnownOnes) {
  EXPECT_THAT(message_of(parse({"--backend", "tpu"}).status()), HasSubstr("auto, cpu, cuda"));
  EXPECT_THAT(message_of(parse({"--dtype", "fp8"}).status()),
              HasSubstr("bfloat16, float16, float32"));
}

TEST(WorkerFlags, CountsOutOfRangeAreRefused) {
  for (const auto& [flag, value] : {std::pair("--local-ranks", "-1"),
                                    {"--device", "-2"},
                                    {"--first-device", "-1"},
                                    {"--max-num-batched-tokens", "-1"}}) {
    EXPECT_FALSE(parse({flag, value}).ok()) << flag;
  }
}

TEST(WorkerFlags, DevicesAreListedWithoutAModel) {
  EXPECT_TRUE(parse_worker_flags({"--list-devices"}).value().list_devices);
}

TEST(CudaEnvironment, LoadsKernelsEagerlyForEveryKindOfRank) {
  for (const char* ranks : {"1", "4"}) {
    unsetenv("CUDA_MODULE_LOADING");
    unsetenv("CUDA_DEVICE_MAX_CONNECTIONS");
    set_cuda_environment(parse({"--local-ranks", ranks, "-tp", ranks}).value());
    EXPECT_EQ(environment("CUDA_MODULE_LOADING"), "EAGER");
    EXPECT_EQ(environment("CUDA_DEVICE_MAX_CONNECTIONS").has_value(), std::string(ranks) == "4");
  }
  setenv("CUDA_MODULE_LOADING", "LAZY", 1);
  set_cuda_environment(parse({}).value());
  EXPECT_EQ(environment("CUDA_MODULE_LOADING"), "LAZY") << "the user's";
  unsetenv("CUDA_MODULE_LOADING");
}

TEST(DeviceOfRank, IsTheRanksIndexOnItsHostModuloTheDevices) {
  const WorkerFlags flags = parse({}).value();
  for (int rank = 0; rank < 8; ++rank) {
    EXPECT_EQ(device_of_rank(flags, {rank, true}, 8), rank);
    EXPECT_EQ(device_of_rank(flags, {rank, true}, 3), rank % 3);
  }
}

TEST(DeviceOfRank, GroupsOfOneHostUseItsDevicesInTurn) {
  const WorkerFlags flags = parse({"--first-device", "6"}).value();
  EXPECT_EQ(device_of_rank(flags, {0, true}, 8), 6);
  EXPECT_EQ(device_of_rank(flags, {1, true}, 8), 7);
  EXPECT_EQ(device_of_rank(flags, {1, true}, 7), 0);
  EXPECT_EQ(device_of_rank(flags, {0, false}, 8), 0) << "another host is all the group's";
}

TEST(DeviceOfRank, IsTheOneOfTheFlag) {
  const WorkerFlags flags = parse({"--device", "3", "--first-device", "2"}).value();
  EXPECT_EQ(device_of_rank(flags, {1, true}, 8), 3);
}

}  // namespace worker_flags_test
}  // namespace trireme
