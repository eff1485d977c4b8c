#include "kernels/emulation/fiber.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cstdint>

#include "base/check.h"

#ifndef __x86_64__
#error "the switch is written for x86-64"
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

// Saves the callee-saved registers and the stack pointer, then restores those of the other stack.
// The stack of a new fiber is laid out as if it had been suspended: rbx holds the Fiber.
asm(R"(
  .text
  .type trireme_fiber_switch,@function
trireme_fiber_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .type trireme_fiber_begin,@function
trireme_fiber_begin:
  movq %rbx, %rdi
  call trireme_fiber_loop
  ud2
)");

extern "C" {
void trireme_fiber_switch(void** save, void* load);
void trireme_fiber_begin();
__attribute__((used)) void trireme_fiber_loop(trireme::emulation::Fiber* fiber) { fiber->loop(); }
}

namespace trireme::emulation {
namespace {

constexpr size_t kGuardBytes = 4096;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kStackBytes = 256 * 1024;  // sanitizers enlarge frames
#else
constexpr size_t kStackBytes = 64 * 1024;
#endif
constexpr size_t kStacksPerSlab = 32;
constexpr size_t kSlotBytes = kStackBytes + kGuardBytes;

void before_switch([[maybe_unused]] void** state,
                   [[maybe_unused]] const void* bottom,
                   [[maybe_unused]] size_t bytes,
                   [[maybe_unused]] void* to) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(state, bottom, bytes);
#endif
#ifdef __SANITIZE_THREAD__
  __tsan_switch_to_fiber(to, 0);
#endif
}

void after_switch([[maybe_unused]] void* state) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(state, nullptr, nullptr);
#endif
}

}  // namespace

Fiber::Fiber() : is_thread_(true) {
  pthread_attr_t attributes;
  CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0);
  void* bottom = nullptr;
  CHECK(pthread_attr_getstack(&attributes, &bottom, &bytes_) == 0);
  pthread_attr_destroy(&attributes);
  bottom_ = bottom;
#ifdef __SANITIZE_THREAD__
  sanitizer_state_ = __tsan_get_current_fiber();
#endif
}

Fiber::Fiber(std::byte* stack, size_t bytes, size_t colour) : bottom_(stack), bytes_(bytes) {
  // Shifts each stack, since stacks with equal page offsets would compete for the same cache sets.
  auto* top = reinterpret_cast<uintptr_t*>(stack + bytes - colour * 64);
  *--top = 0;  // return address: none
  *--top = 0;
  *--top = reinterpret_cast<uintptr_t>(&trireme_fiber_begin);
  *--top = 0;                                  // rbp
  *--top = reinterpret_cast<uintptr_t>(this);  // rbx
  for (int i = 0; i < 4; ++i) *--top = 0;      // r12 to r15
  stack_pointer_ = top;
#ifdef __SANITIZE_THREAD__
  sanitizer_state_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
#ifdef __SANITIZE_THREAD__
  if (!is_thread_) __tsan_destroy_fiber(sanitizer_state_);
#endif
}

void Fiber::switch_to(Fiber& from, Fiber& to) {
  before_switch(&from.sanitizer_state_, to.bottom_, to.bytes_, to.sanitizer_state_);
  trireme_fiber_switch(&from.stack_pointer_, to.stack_pointer_);
  after_switch(from.sanitizer_state_);
}

void Fiber::loop() {
  after_switch(nullptr);
  while (true) entry_(argument_);
}

FiberPool::~FiberPool() {
  fibers_.clear();
  for (std::byte* slab : slabs_) munmap(slab, kStacksPerSlab * kSlotBytes);
}

Fiber& FiberPool::take() {
  if (idle_.empty()) grow();
  Fiber& fiber = *idle_.back();
  idle_.pop_back();
  return fiber;
}

void FiberPool::grow() {
  void* memory = mmap(nullptr,
                      kStacksPerSlab * kSlotBytes,
                      PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                      -1,
                      0);
  CHECK_THAT(memory != MAP_FAILED, "no memory for the stacks of emulated threads");
  auto* slab = static_cast<std::byte*>(memory);
  slabs_.push_back(slab);
  for (size_t i = 0; i < kStacksPerSlab; ++i) {
    std::byte* slot = slab + i * kSlotBytes;
    CHECK(mprotect(slot, kGuardBytes, PROT_NONE) == 0);
    fibers_.push_back(
        std::make_unique<Fiber>(slot + kGuardBytes, kStackBytes, fibers_.size() % 61));
    idle_.push_back(fibers_.back().get());
  }
}

}  // namespace trireme::emulation
