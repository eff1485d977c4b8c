// Ranks of a test as threads, each with an emulated device and a PeerComm; sums with their
// reference.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "base/philox.h"
#include "tests/worker/emulated_rank.h"
#include "tests/worker/rank_threads.h"
#include "worker/comm/local_comm.h"
#include "worker/comm/peer_comm.h"

namespace trireme {

constexpr TimeUs kPeerPatienceUs = 60'000'000;

struct PeerRank {
  PeerComm& comm;
  cuda::CudaQueue& queue;

  int self() const { return comm.rank(); }
  void wait() const { EXPECT_EQ(cudaStreamSynchronize(queue.stream()), cudaSuccess); }
};

inline PeerCommOptions small_options(int size) {
  PeerCommOptions options;
  options.name = "the test";
  options.peers = rank_names(size);
  options.reduce_bytes = 64 << 10;
  options.messages = PeerMessages::kAll;
  options.message_bytes = 4096;
  options.num_multiprocessors = 2;  // four blocks
  return options;
}

// Runs `body` on every rank. With options.process, rank r acts as process options.process + r.
inline void run_peers(int size,
                      PeerCommOptions options,
                      const std::function<void(PeerRank&)>& body) {
  auto controls = LocalComm::make("the control", rank_names(size));
  std::vector<std::unique_ptr<cuda::CudaQueue>> sides(size);
  std::vector<std::unique_ptr<PeerComm>> comms(size);
  const bool are_processes = options.process != 0;
  run_ranks(size, [&, options](int rank) mutable {
    ASSERT_EQ(cudaSetDevice(rank), cudaSuccess);
    if (are_processes) options.process += rank;
    const auto queue = device_queue();
    sides[rank] = device_queue();
    options.side = sides[rank].get();
    auto made = PeerComm::make(options,
                               device_buffer(PeerComm::arena_bytes(options, rank, size)),
                               shared_buffer(PeerComm::shared_bytes(size)),
                               std::move(controls[rank]));
    ASSERT_TRUE(made.ok()) << message_of(made.status());
    comms[rank] = std::move(made).value();
    comms[rank]->set_deadline(SteadyClock().now_us() + kPeerPatienceUs);
    PeerRank here{*comms[rank], *queue};
    body(here);
  });
  // All ranks end at once: each uses the others' memory until then.
  run_ranks(size, [&](int rank) {
    ASSERT_EQ(cudaSetDevice(rank), cudaSuccess);
    comms[rank].reset();
  });
}

inline float random_value(int rank, size_t i) {
  const auto block = philox4x32({static_cast<uint32_t>(i), static_cast<uint32_t>(rank), 0, 0}, 3);
  return (static_cast<float>(block[0]) - 2e9f) * (i % 3 == 0 ? 1e-8f : 1e-6f);
}

struct Fp32 {
  using T = float;
  static constexpr DType kDType = DType::kFloat32;
  static float narrow(float value) { return value; }
  static float widen(float value) { return value; }
};
struct Bf16 {
  using T = bf16_t;
  static constexpr DType kDType = DType::kBFloat16;
  static bf16_t narrow(float value) { return float_to_bf16(value); }
  static float widen(bf16_t value) { return bf16_to_float(value); }
};
struct Fp16 {
  using T = fp16_t;
  static constexpr DType kDType = DType::kFloat16;
  static fp16_t narrow(float value) { return float_to_fp16(value); }
  static float widen(fp16_t value) { return fp16_to_float(value); }
};

// Sums `count` values of each rank with all_reduce() and compares with the sum in rank order.
template <class E>
void expect_sum(PeerRank& rank, size_t count) {
  using T = typename E::T;
  constexpr size_t kGuard = 8;
  std::vector<T> values(count + kGuard, E::narrow(-77));
  for (size_t i = 0; i < count; ++i) values[i] = E::narrow(random_value(rank.self(), i));
  const Buffer data = device_buffer(static_cast<int64_t>(values.size() * sizeof(T)));
  upload(data, values);
  rank.comm.all_reduce(rank.queue, data.as(E::kDType, 1, static_cast<int64_t>(count)));
  rank.wait();
  const std::vector<T> got = download<T>(data, values.size());
  for (size_t i = 0; i < count; ++i) {
    float sum = E::widen(E::narrow(random_value(0, i)));
    for (int peer = 1; peer < rank.comm.size(); ++peer) {
      sum += E::widen(E::narrow(random_value(peer, i)));
    }
    ASSERT_EQ(got[i], E::narrow(sum)) << "element " << i << " of " << count;
  }
  for (size_t i = count; i < values.size(); ++i) ASSERT_EQ(got[i], E::narrow(-77)) << "guard";
}

}  // namespace trireme
