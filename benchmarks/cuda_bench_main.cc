// trireme-cuda-bench: benchmarks of the single CUDA ops, one JSON line per shape. Exit status 77
// without a device.
#include <cstdio>

#include "base/flags.h"
#include "benchmarks/cuda_bench.h"

namespace trireme {
namespace {

constexpr int kNoDevice = 77;

int fail(const Status& status) {
  std::fprintf(stderr, "%s\n", message_of(status).c_str());
  return 1;
}

int run(const std::vector<std::string>& arguments) {
  CudaBenchOptions options;
  FlagSet flags("trireme-cuda-bench", "the CUDA ops by themselves, a JSON line a shape");
  flags.add("device", &options.device, "number of the GPU");
  flags.add("rounds", &options.rounds, "over all cases; the median of them is told");
  flags.add("only", &options.only, "cases whose op has this in its name");
  flags.add("exact", &options.exact, "--only is the whole name of an op");
  flags.add("shape", &options.shape, "cases whose shape begins with this");
  flags.add("list", &options.list, "print op and shape of these cases, measure none");
  flags.add("tiny", &options.tiny, "shapes that an emulated device can carry");
  flags.add("bytes-per-second", &options.bytes_per_s, "of the floor");
  flags.add("flops-per-second", &options.flops_per_s, "of the floor");
  const auto rest = flags.parse(arguments);
  if (!rest.ok()) return fail(rest.status());
  if (flags.help_wanted()) {
    std::printf("%s", flags.help(true).c_str());
    return 0;
  }
  if (num_cuda_devices() == 0) {
    std::fprintf(stderr, "skipped: no CUDA device is here\n");
    return kNoDevice;
  }
  const auto bench = CudaBench::make(options);
  if (!bench.ok()) return fail(bench.status());
  add_read_cases(**bench);
  add_linear_cases(**bench);
  add_attention_cases(**bench);
  add_row_cases(**bench);
  const Status status = (*bench)->run();
  return status.ok() ? 0 : fail(status);
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) { return trireme::run({argv + 1, argv + argc}); }
