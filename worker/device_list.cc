#include "worker/device_list.h"

#include <nlohmann/json.hpp>

namespace trireme {

namespace {

using Json = nlohmann::ordered_json;

std::string version_text(int version) {  // 13020: 13.2
  return format_text("{}.{}", version / 1000, version % 1000 / 10);
}

Json to_json(const CudaDeviceQuery& survey) {
  Json devices = Json::array();
  for (const CudaDevice& device : survey.devices) {
    devices.push_back({{"name", device.name},
                       {"compute_capability", format_text("{}.{}", device.major, device.minor)},
                       {"memory_bytes", device.memory_bytes},
                       {"peers", device.peers}});
  }
  return {{"driver", version_text(survey.driver)},
          {"runtime", version_text(survey.runtime)},
          {"devices", devices}};
}

}  // namespace

std::string device_list(const StatusOr<CudaDeviceQuery>& survey,
                        const StatusOr<NcclLibrary>& nccl) {
  Json list = {{"version", TRIREME_VERSION}, {"backends", {"cpu"}}};
  if (is_built_with_cuda()) list["backends"].push_back("cuda");
  list["cuda"] = survey.ok() ? to_json(*survey) : Json{{"error", message_of(survey.status())}};
  list["nccl"] = nccl.ok() ? Json{{"version", nccl->version}, {"path", nccl->path}}
                           : Json{{"error", message_of(nccl.status())}};
  return list.dump();
}

}  // namespace trireme
