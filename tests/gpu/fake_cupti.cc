// The part of CUPTI that benchmarks/kernel_trace.cc uses, without a GPU: at each flush it delivers
// three records, and says that two were dropped.
#include <cupti.h>

#include <array>
#include <cstring>

namespace {

CUpti_BuffersCallbackRequestFunc request = nullptr;
CUpti_BuffersCallbackCompleteFunc complete = nullptr;
CUpti_TimestampCallbackFunc now_ns = nullptr;

struct Records {
  CUpti_ActivityKernel10 kernel;
  CUpti_ActivityMemcpy6 copy;
  CUpti_ActivityMemset4 set;
};

template <class Record>
void place(Record& record, CUpti_ActivityKind kind, uint64_t start) {
  record.kind = kind;
  record.start = start;
  record.end = start + 500;
  record.deviceId = 1;
  record.streamId = 13;
}

void fill(Records& records) {
  std::memset(static_cast<void*>(&records), 0, sizeof records);
  const uint64_t start = now_ns();
  place(records.kernel, CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, start);
  records.kernel.graphId = 7;
  records.kernel.graphNodeId = 77;
  records.kernel.gridX = 4;
  records.kernel.gridY = 2;
  records.kernel.gridZ = records.kernel.blockY = records.kernel.blockZ = 1;
  records.kernel.blockX = 128;
  records.kernel.registersPerThread = 96;
  records.kernel.staticSharedMemory = 1000;
  records.kernel.dynamicSharedMemory = 24;
  records.kernel.name = "_ZN7trireme4takeIiEEvPKT_i";
  place(records.copy, CUPTI_ACTIVITY_KIND_MEMCPY, start + 1000);
  records.copy.bytes = 64;
  records.copy.copyKind = CUPTI_ACTIVITY_MEMCPY_KIND_HTOD;
  place(records.set, CUPTI_ACTIVITY_KIND_MEMSET, start + 2000);
  records.set.bytes = 32;
}

}  // namespace

extern "C" {

CUptiResult cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc on_request,
                                           CUpti_BuffersCallbackCompleteFunc on_complete) {
  request = on_request;
  complete = on_complete;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityRegisterTimestampCallback(CUpti_TimestampCallbackFunc clock) {
  now_ns = clock;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityEnable(CUpti_ActivityKind) { return CUPTI_SUCCESS; }

CUptiResult cuptiActivityFlushPeriod(uint32_t) { return CUPTI_SUCCESS; }

CUptiResult cuptiActivityFlushAll(uint32_t) {
  uint8_t* buffer = nullptr;
  size_t bytes = 0;
  size_t max_records = 0;
  request(&buffer, &bytes, &max_records);
  if (bytes < sizeof(Records)) return CUPTI_ERROR_UNKNOWN;
  fill(*reinterpret_cast<Records*>(buffer));
  complete(nullptr, 0, buffer, bytes, sizeof(Records));
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityGetNextRecord(uint8_t* buffer, size_t, CUpti_Activity** record) {
  auto& records = *reinterpret_cast<Records*>(buffer);
  const std::array<void*, 4> order = {nullptr, &records.kernel, &records.copy, &records.set};
  for (size_t i = 0; i + 1 < order.size(); ++i) {
    if (*record != order[i]) continue;
    *record = static_cast<CUpti_Activity*>(order[i + 1]);
    return CUPTI_SUCCESS;
  }
  return CUPTI_ERROR_MAX_LIMIT_REACHED;
}

CUptiResult cuptiActivityGetNumDroppedRecords(CUcontext, uint32_t, size_t* count) {
  *count = 2;
  return CUPTI_SUCCESS;
}

}  // extern "C"
