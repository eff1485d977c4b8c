# The CUDA backend's sources, relative to this folder: compiled by nvcc into trireme_cuda, and by
# the C++ compiler over the emulation into trireme_cuda_emulated.
set(trireme_cuda_sources
  backend.cc
  cuda_queue.cc
  graphs.cc
  memory.cc
  staging.cc
)
# Of trireme_cuda alone (what needs libraries of NVIDIA's), and what stands in for it.
set(trireme_cuda_only_sources
)
set(trireme_cuda_emulated_only_sources
)
