#include "kernels/emulation/device_functions.h"

#include <algorithm>

namespace trireme::emulation {

void check_mask(unsigned mask) {
  if (mask != 0xffffffffu) running_block().fail("a warp operation of less than a full warp");
}

void exchange(Shuffle& shuffle) {
  running_block().warp_operation("a shuffle", &shuffle, [](void* const* deposits, int lanes) {
    for (int lane = 0; lane < lanes; ++lane) {
      auto& own = *static_cast<Shuffle*>(deposits[lane]);
      if (own.from < 0 || own.from >= lanes) {
        running_block().fail("a shuffle from lane " + std::to_string(own.from));
      }
      own.got = static_cast<const Shuffle*>(deposits[own.from])->given;
    }
  });
}

namespace {

struct Vote {
  bool predicate;
  unsigned votes;
};

struct Summand {
  unsigned value;
  Reduction reduction;
};

unsigned combine(unsigned a, unsigned b, Reduction reduction) {
  switch (reduction) {
    case Reduction::kAdd:
      return a + b;
    case Reduction::kMin:
      return std::min(a, b);
    case Reduction::kMax:
      return std::max(a, b);
    case Reduction::kAnd:
      return a & b;
    case Reduction::kOr:
      return a | b;
  }
  return 0;
}

}  // namespace

unsigned ballot(unsigned mask, bool predicate) {
  check_mask(mask);
  Vote own{predicate, 0};
  running_block().warp_operation("a vote", &own, [](void* const* deposits, int lanes) {
    unsigned votes = 0;
    for (int lane = 0; lane < lanes; ++lane) {
      votes |= unsigned{static_cast<Vote*>(deposits[lane])->predicate} << lane;
    }
    for (int lane = 0; lane < lanes; ++lane) static_cast<Vote*>(deposits[lane])->votes = votes;
  });
  return own.votes;
}

unsigned reduce(unsigned mask, unsigned value, Reduction reduction) {
  check_mask(mask);
  Summand own{value, reduction};
  running_block().warp_operation("a reduction", &own, [](void* const* deposits, int lanes) {
    Summand total = *static_cast<Summand*>(deposits[0]);
    for (int lane = 1; lane < lanes; ++lane) {
      const auto& next = *static_cast<Summand*>(deposits[lane]);
      total.value = combine(total.value, next.value, total.reduction);
    }
    for (int lane = 0; lane < lanes; ++lane) *static_cast<Summand*>(deposits[lane]) = total;
  });
  return own.value;
}

float exp2_flushed(float x) {
  constexpr float kSmallest = 0x1p-126f;
  const float result = std::exp2(std::fabs(x) < kSmallest ? 0.0f : x);
  return result < kSmallest ? 0.0f : result;
}

}  // namespace trireme::emulation
