#include "tests/cluster/local_workers.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "model/step_buckets.h"
#include "tests/worker/rank_threads.h"
#include "worker/comm/local_group.h"

namespace trireme {
namespace {

Status run_rank(const LocalRun& run,
                GroupComms& comms,
                const std::vector<ScriptedRequest>& requests,
                OutcomeFrames& frames) {
  ASSIGN_OR_RETURN(ModelSource source, open_model(run.model));
  WorkerOptions options = run.options;
  options.tp = run.partition.tp;
  options.pp = run.partition.pp;
  options.device = run.shares_device ? 0 : comms.rank;
  Progress progress;
  ASSIGN_OR_RETURN(const auto worker, Worker::make(options, source, comms, progress, nullptr));
  RETURN_IF_ERROR(worker->start(worker->num_pages(), frames));
  if (run.inspect) run.inspect(comms.rank, *worker);
  ScriptLimits limits;
  limits.page_tokens = worker->kv_layout().page_tokens;
  limits.num_layers = static_cast<int32_t>(source.config.num_layers);
  limits.cohorts = std::min(run.partition.pp, 2);
  limits.max_batched_tokens = options.max_batched_tokens;
  for (StepPlan& plan : plan_requests(requests, limits, 1)) {
    if (run.captures) name_key(plan);
    RETURN_IF_ERROR(worker->executor().execute(plan));
  }
  const Status finished = worker->executor().finish();
  if (run.inspect) run.inspect(comms.rank, *worker);
  return finished;
}

}  // namespace

void name_key(StepPlan& plan) {
  constexpr int32_t kMaxBucket = 512;
  const StepPart& part = plan.parts[0];
  auto tokens = static_cast<int32_t>(part.decodes.size());
  auto rows = tokens;
  for (const Chunk& chunk : part.chunks) {
    tokens += static_cast<int32_t>(chunk.ids.size());
    rows += chunk.sample ? 1 : 0;
  }
  plan.graph_key = graph_key_of(
      step_buckets(kMaxBucket), step_buckets(kMaxBucket), tokens, rows, part.chunks.empty());
}

Outcome run_local_group(const LocalRun& run, const std::vector<ScriptedRequest>& requests) {
  const int size = run.partition.tp * run.partition.pp;
  auto group = make_local_group(run.partition.tp, run.partition.pp, "here");
  std::vector<OutcomeFrames> frames(size);
  std::vector<Status> ended(size);
  run_ranks(size, [&](int rank) {
    ended[rank] = run_rank(run, *group[rank], requests, frames[rank]);
    group[rank].reset();  // a barrier inside precedes freeing shared memory
  });
  Outcome outcome;
  for (int rank = 0; rank < size; ++rank) {
    EXPECT_TRUE(ended[rank].ok()) << "rank " << rank << ": " << message_of(ended[rank]);
    take_frames(frames[rank].take(), outcome);
  }
  return outcome;
}

}  // namespace trireme
