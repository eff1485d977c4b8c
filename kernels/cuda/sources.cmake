# The CUDA backend's sources, relative to this folder: compiled by nvcc into trireme_cuda, and by
# the C++ compiler over the emulation into trireme_cuda_emulated.
set(trireme_cuda_sources
  add_norm.cu
  attention.cu
  attention_decode.cu
  attention_plan.cu
  attention_prefill.cu
  backend.cc
  cuda_queue.cc
  embed.cu
  filter.cu
  graphs.cc
  linear.cu
  linear_finish.cu
  linear_launch.cc
  linear_stream.cu
  linear_tile.cu
  logprobs.cu
  matmul_table.cc
  memory.cc
  pack.cu
  peer_reduce.cu
  qkv_finish.cu
  rows.cu
  sample.cu
  staging.cc
  step_ring.cu
  survey.cc
  weight_stream.cc
)
# Of trireme_cuda alone (what needs libraries of NVIDIA's), and what stands in for it.
set(trireme_cuda_only_sources
  cublaslt.cc
)
set(trireme_cuda_emulated_only_sources
  no_cublaslt.cc
)
