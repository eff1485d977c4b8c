// A WorkerSet of two groups of 2 x 2 ranks, driven with frames; peer n is rank n of group 0.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "coordinator/doors/ranks/worker_set.h"
#include "tests/coordinator/fake_sender.h"

namespace trireme {

constexpr TimeUs kSecond = 1'000'000;

inline RankHello hello_of(int32_t group, int32_t rank) {
  RankHello hello;
  hello.group = group;
  hello.rank = rank;
  hello.host = format_text("host{}", rank);
  hello.pid = 100 + rank;
  hello.tp = 2;
  hello.pp = 2;
  hello.fingerprint = "f00d";
  hello.dtype = "bfloat16";
  hello.backend = "cpu";
  hello.isa = "avx2";
  hello.kv_layout.dtype = "bfloat16";
  hello.kv_layout.page_tokens = 32;
  hello.kv_layout.head_dim = 64;
  hello.pages = 100 + rank;
  hello.max_slots = 8;
  hello.max_batched_tokens = 512;
  hello.max_model_len = 2048;
  return hello;
}

class WorkerSetTest : public testing::Test {
 protected:
  WorkerSetTest() { begin(77); }

  // Another coordinator, of this epoch; `journal_id` "": it has no journal.
  void begin(uint64_t coordinator_epoch, const std::string& journal_id = "") {
    WorkerSetOptions options;
    options.coordinator_epoch = coordinator_epoch;
    options.journal_id = journal_id;
    options.num_groups = 2;
    options.fingerprint = "f00d";
    set_ = std::make_unique<WorkerSet>(options, &sender_);
  }

  template <class Message>
  void say(PeerId peer, const Message& message) {
    std::string frame;
    codec_.encode(message, frame);
    set_->on_frame(peer, frame, now_us_, output_);
  }
  void beat(PeerId peer, int32_t rank, Phase phase, uint64_t progress) {
    Heartbeat beat;
    beat.rank = rank;
    beat.tp = beat.pp = 2;
    beat.host = format_text("host{}", rank);
    beat.phase = phase;
    beat.progress = progress;
    say(peer, beat);
  }
  template <class Message>
  std::vector<Message> heard(PeerId peer) {
    std::vector<Message> messages;
    for (const std::string& frame : sender_.take(peer)) {
      CoordinatorMessage message;
      EXPECT_TRUE(codec_.decode(frame, message).ok());
      if (const auto* wanted = std::get_if<Message>(&message)) messages.push_back(*wanted);
    }
    return messages;
  }
  void bring_up(PeerId first_peer = 0) {
    for (int rank = 0; rank < 4; ++rank) {
      say(first_peer + static_cast<PeerId>(rank), hello_of(0, rank));
    }
    for (PeerId peer = first_peer; peer < first_peer + 4; ++peer) {
      const auto starts = heard<Start>(peer);
      ASSERT_EQ(starts.size(), 1u);
      epochs_ = starts[0].epochs;
      say(peer, RankStarted{epochs_});
    }
  }
  template <class Kind, class List>
  std::vector<Kind> of(const List& list) {
    std::vector<Kind> found;
    for (const auto& entry : list) {
      if (const auto* value = std::get_if<Kind>(&entry)) found.push_back(*value);
    }
    return found;
  }
  std::vector<notice::GroupLost> losses() { return of<notice::GroupLost>(output_.notices); }
  void plan(int64_t step) {
    effect::SendPlan send;
    send.plan.epochs = epochs_;
    send.plan.step = step;
    send.plan.parts.resize(1);
    set_->on_effect(send, now_us_, output_);
  }
  void pass(TimeUs us, bool with_beats, Phase phase = Phase::kCompute) {
    for (TimeUs end = now_us_ + us; now_us_ < end;) {
      now_us_ += kSecond / 4;
      for (int rank = 0; with_beats && rank < 4; ++rank) {
        beat(static_cast<PeerId>(rank), rank, phase, progress_);
      }
      set_->tick(now_us_, output_);
    }
  }

  FakeSender sender_;
  StepCodec codec_;
  std::unique_ptr<WorkerSet> set_;
  WorkerOutput output_;
  Epochs epochs_;
  TimeUs now_us_ = 100 * kSecond;
  uint64_t progress_ = 1;
};

}  // namespace trireme
