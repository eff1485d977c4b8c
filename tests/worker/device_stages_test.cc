// Messages between stages over the memory of emulated devices: ranks are threads, each with its own
// device.
#include <gtest/gtest.h>

#include <array>
#include <mutex>

#include "kernels/cuda_backend.h"
#include "tests/worker/rank_threads.h"
#include "worker/comm/device_comms.h"
#include "worker/comm/local_group.h"
#include "worker/step/pipeline_link.h"

namespace trireme {
namespace device_stages_test {

constexpr int kStages = 3;
constexpr int64_t kHidden = 24;
constexpr int64_t kMaxTokens = 16;
constexpr int32_t kMaxSlots = 4;
constexpr int kSteps = 20;
constexpr TimeUs kPatienceUs = 60'000'000;

struct Stage {
  GroupComms& comms;
  Backend& backend;
  Queue& queue;
  SlotIds kept;

  template <class T>
  std::vector<T> read(const Buffer& from, size_t count) const {
    std::vector<T> values(count);
    backend.download(queue, std::as_writable_bytes(std::span(values)), from.data());
    EXPECT_TRUE(backend.wait(queue, SteadyClock().now_us() + kPatienceUs).ok());
    return values;
  }
};

Buffer make_buffer(Backend& backend, int64_t bytes) {
  auto buffer = backend.allocate(bytes, "a test");
  EXPECT_TRUE(buffer.ok()) << message_of(buffer.status());
  return std::move(buffer).value();
}

void run_stages(const std::function<void(Stage&)>& body) {
  auto group = make_local_group(1, kStages, "here");
  DeviceCommOptions options;
  options.residual_bytes = kMaxTokens * kHidden * 2;
  options.token_bytes = kMaxSlots * 4;
  std::array<std::unique_ptr<Backend>, kStages> backends;
  run_ranks(kStages, [&](int rank) {
    auto made = make_cuda_backend({.device = rank, .max_batched_tokens = kMaxTokens});
    ASSERT_TRUE(made.ok()) << message_of(made.status());
    backends[rank] = std::move(made).value();
    Backend& backend = *backends[rank];
    const auto share = find_device_share(*group[rank]);
    ASSERT_TRUE(share.ok()) << message_of(share.status());
    const Status status = use_device_comms(*group[rank], backend, *share, options);
    ASSERT_TRUE(status.ok()) << message_of(status);
    group[rank]->pipeline->set_deadline(SteadyClock().now_us() + kPatienceUs);
    group[rank]->tokens->set_deadline(SteadyClock().now_us() + kPatienceUs);
    const Buffer last = make_buffer(backend, kMaxSlots * 4);
    Stage stage{
        *group[rank], backend, backend.lane(), {.last = reinterpret_cast<int32_t*>(last.data())}};
    body(stage);
    EXPECT_TRUE(backend.wait(backend.lane(), SteadyClock().now_us() + kPatienceUs).ok());
    group[rank].reset();
  });
}

// Steps of unequal length; the first stage writes the step's number, the others pass it on.
TEST(DeviceStages, ResidualsPassInOrder) {
  std::mutex mutex;
  std::array<std::vector<uint16_t>, kStages> seen;
  run_stages([&](Stage& stage) {
    auto made =
        ResidualRing::make(stage.backend, *stage.comms.pipeline, stage.queue, kMaxTokens, kHidden);
    ASSERT_TRUE(made.ok());
    ResidualRing ring = std::move(made).value();
    const Buffer kept = make_buffer(stage.backend, kSteps * kHidden * 2);
    for (int step = 0; step < kSteps; ++step) {
      const int64_t num_tokens = 1 + step * 5 % kMaxTokens;
      const Tensor residual = ring.begin_step(stage.queue, num_tokens);
      const std::vector<uint16_t> numbers(num_tokens * kHidden, static_cast<uint16_t>(step + 1));
      if (stage.comms.stage == 0) {
        stage.backend.upload(stage.queue, residual.data, std::as_bytes(std::span(numbers)));
      }
      const Tensor row(kept.data() + step * kHidden * 2, residual.dtype, 1, kHidden);
      const Tensor last_row(residual.row<uint16_t>(num_tokens - 1), residual.dtype, 1, kHidden);
      stage.backend.gather_rows(stage.queue, last_row, nullptr, row);
      ring.end_step(stage.queue);
    }
    ring.flush();
    auto rows = stage.read<uint16_t>(kept, kSteps * kHidden);
    const std::lock_guard lock(mutex);
    seen[stage.comms.stage] = std::move(rows);
  });
  for (const auto& rows : seen) {
    ASSERT_EQ(rows.size(), size_t{kSteps * kHidden});
    for (size_t i = 0; i < rows.size(); ++i) ASSERT_EQ(rows[i], 1 + i / kHidden) << i;
  }
}

// Step s draws for slot s mod 4 and, every third step, also for the next slot.
TEST(DeviceStages, DrawnIdsReachTheSlotsOfTheFirstStage) {
  run_stages([&](Stage& stage) {
    auto made = TokenReturn::make(stage.backend, *stage.comms.tokens, kMaxSlots);
    ASSERT_TRUE(made.ok());
    TokenReturn back = std::move(made).value();
    const Buffer ids = make_buffer(stage.backend, kSteps * 2 * 4);
    for (int step = 0; step < kSteps; ++step) {
      std::vector<DrawRow> draws(step % 3 == 0 ? 2 : 1);
      for (size_t i = 0; i < draws.size(); ++i) draws[i].slot = (step + static_cast<int>(i)) % 4;
      if (stage.comms.stage == 0) back.expect(stage.queue, step, draws, stage.kept);
      if (stage.comms.stage + 1 == kStages) {
        const std::array<int32_t, 2> drawn = {100 + step, 200 + step};
        std::byte* const at = ids.data() + step * 8;
        stage.backend.upload(stage.queue, at, std::as_bytes(std::span(drawn)));
        back.send(stage.queue, reinterpret_cast<const int32_t*>(at), draws.size());
      }
      if (stage.comms.stage == 0 && step % 5 == 4) {
        back.take_through(stage.queue, step, stage.kept);
      }
    }
    back.flush(stage.queue, stage.kept);
    if (stage.comms.stage != 0) return;
    std::vector<int32_t> last(kMaxSlots);
    stage.backend.download(stage.queue,
                           std::as_writable_bytes(std::span(last)),
                           reinterpret_cast<const std::byte*>(stage.kept.last));
    EXPECT_TRUE(stage.backend.wait(stage.queue, SteadyClock().now_us() + kPatienceUs).ok());
    // The last steps are 16 (slot 0), 17 (1), 18 (2 and 3), 19 (3).
    EXPECT_EQ(last, (std::vector<int32_t>{116, 117, 118, 119}));
  });
}

}  // namespace device_stages_test
}  // namespace trireme
