# The CUDA backend's sources, relative to this folder: compiled by nvcc into trireme_cuda, and by
# the C++ compiler over the emulation into trireme_cuda_emulated.
set(trireme_cuda_sources
)
