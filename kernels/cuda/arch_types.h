// Types that every implementation of arch.h shares.
#pragma once

namespace trireme::cuda {

// Element types of activations, weights and pages, as template arguments.
struct Bf16 {};
struct Fp16 {};

}  // namespace trireme::cuda
