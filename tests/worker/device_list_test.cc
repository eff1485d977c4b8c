// The line of `trireme-worker --list-devices`, as in docs/formats.md.
#include "worker/device_list.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace trireme {
namespace device_list_test {

using nlohmann::json;

TEST(DeviceList, OfAMachineWithGpusHasOneEntryPerGpu) {
  CudaDeviceQuery survey;
  survey.driver = 13020;
  survey.runtime = 13000;
  survey.devices = {{"GPU A", 9, 0, int64_t{80} << 30, {1}}, {"GPU B", 8, 6, 1000, {0}}};
  const json list = json::parse(device_list(survey, NcclLibrary{"2.28.3", "/lib/libnccl.so.2"}));
  EXPECT_EQ(list["cuda"], json::parse(R"({"driver": "13.2", "runtime": "13.0", "devices": [
                {"name": "GPU A", "compute_capability": "9.0", "memory_bytes": 85899345920,
                 "peers": [1]},
                {"name": "GPU B", "compute_capability": "8.6", "memory_bytes": 1000,
                 "peers": [0]}]})"));
  EXPECT_EQ(list["nccl"], json::parse(R"({"version": "2.28.3", "path": "/lib/libnccl.so.2"})"));
}

TEST(DeviceList, OfThisBuildIsOneLineWithItsBackends) {
  const std::string line = device_list(query_cuda_devices(), nccl_library());
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const json list = json::parse(line);
  EXPECT_EQ(list["backends"][0], "cpu");
  EXPECT_EQ(list["backends"].size(), is_built_with_cuda() ? 2u : 1u);
  if (!is_built_with_cuda()) {
    EXPECT_EQ(list["cuda"]["error"].get<std::string>().rfind("TRI-CUDA-002: ", 0), 0u);
    EXPECT_EQ(list["nccl"]["error"].get<std::string>().rfind("TRI-CUDA-010: ", 0), 0u);
  }
}

}  // namespace device_list_test
}  // namespace trireme
