#include "worker/step_bench.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "base/philox.h"
#include "model/step_buckets.h"
#include "worker/comm/host_collectives.h"

namespace trireme {
namespace {

class NoResults final : public ResultSink {
 public:
  void on_result(StepResult&) override {}
  void on_probe(Probe&) override {}
};

StatusOr<int32_t> parse_count(const std::string& text) {
  int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= 0 && value <= 1 << 20) {
    return value;
  }
  return invalid("TRI-GRP-011",
                 "'{}' in --bench-step is no count of 0 to 1048576; write "
                 "prefill=512,decode=128,batch=1:4:16,repeats=5",
                 text);
}

// Makes and runs the plans of all measurements, one after another.
class StepBench {
 public:
  StepBench(const StepBenchSpec& spec, Worker& worker, GroupComms& comms)
      : spec_(spec),
        worker_(worker),
        comms_(comms),
        page_tokens_(worker.kv_layout().page_tokens),
        token_buckets_(worker.token_buckets()),
        row_buckets_(worker.row_buckets()) {}

  Status run();

 private:
  // One prompt in chunks, or `decode` steps of `batch` sequences; then the slots are closed.
  Status run_prefill();
  Status run_decode(int32_t batch, bool is_measured, double* seconds);
  Status open_sequences(int32_t first, int32_t batch, int32_t cohorts);
  // Prompt tokens of a sequence that decodes; a sequence needs at least one.
  int32_t prompt() const { return std::max(spec_.context, 1); }
  // Results of one measurement.
  struct Measured {
    const char* kind = "";
    int32_t batch = 1;
    int64_t tokens = 0;
    std::vector<double> seconds = {};  // by round
    std::vector<double> host_us = {};  // by step
    LastStep largest = {};             // step
  };
  void print(Measured measured) const;
  std::string matmuls(const LastStep& step) const;
  void note_step();

  Status check_fits() const;
  void open(StepPart& part, SlotId slot, int32_t tokens);
  Status close(int32_t slots);
  Status execute(StepPart part, int64_t wait_ids_through);
  GraphKey key_of(const StepPart& part) const;
  Status barrier();
  TokenId make_id();
  double now_s() { return static_cast<double>(clock_.now_us()) * 1e-6; }

  const StepBenchSpec spec_;
  Worker& worker_;
  GroupComms& comms_;
  const int32_t page_tokens_;
  const std::vector<int32_t> token_buckets_;
  const std::vector<int32_t> row_buckets_;
  SteadyClock clock_;
  std::array<TimeUs, 2> last_barriers_us_ = {};
  int64_t step_ = 0;
  uint32_t ids_made_ = 0;
  Measured measured_;  // of the present round
  bool notes_steps_ = false;
};

double median_of(std::vector<double>& values) {
  std::ranges::sort(values);
  return values.empty() ? 0 : values[values.size() / 2];
}

Status StepBench::run() {
  RETURN_IF_ERROR(check_fits());
  if (spec_.prefill > 0) {
    measured_ = {"prefill", 1, spec_.prefill};
    for (int32_t round = -1; round < spec_.repeats; ++round) {  // round -1 warms up
      RETURN_IF_ERROR(barrier());
      notes_steps_ = round >= 0;
      const double start_s = now_s();
      RETURN_IF_ERROR(run_prefill());
      RETURN_IF_ERROR(barrier());
      if (round >= 0) measured_.seconds.push_back(now_s() - start_s);
      notes_steps_ = false;
      RETURN_IF_ERROR(close(1));
    }
    print(measured_);
  }
  for (const int32_t batch : spec_.batch) {
    if (spec_.decode == 0) continue;
    measured_ = {"decode", batch, int64_t{batch} * spec_.decode};
    for (int32_t round = -1; round < spec_.repeats; ++round) {
      double elapsed_s = 0;
      RETURN_IF_ERROR(run_decode(batch, round >= 0, &elapsed_s));
      if (round >= 0) measured_.seconds.push_back(elapsed_s);
      RETURN_IF_ERROR(close(batch));
    }
    print(measured_);
  }
  return worker_.executor().finish();
}

Status StepBench::run_prefill() {
  for (int32_t start = 0; start < spec_.prefill;) {
    StepPart part;
    if (start == 0) open(part, 0, spec_.prefill);
    Chunk chunk;
    chunk.start = start;
    const int32_t count = std::min(worker_.options().max_batched_tokens, spec_.prefill - start);
    for (int32_t i = 0; i < count; ++i) chunk.ids.push_back(make_id());
    start += count;
    chunk.sample = start == spec_.prefill;
    part.chunks.push_back(std::move(chunk));
    RETURN_IF_ERROR(execute(std::move(part), 0));
  }
  return ok_status();
}

// Opens a cohort's sequences and prefills them, in steps of as many tokens as fit.
Status StepBench::open_sequences(int32_t first, int32_t batch, int32_t cohorts) {
  const int32_t max_tokens = worker_.options().max_batched_tokens;
  StepPart part;
  int32_t room = max_tokens;
  for (SlotId slot = first; slot < batch; slot += cohorts) {
    open(part, slot, prompt() + spec_.decode);
    for (int32_t start = 0; start < prompt();) {
      if (room == 0) {
        RETURN_IF_ERROR(execute(std::exchange(part, {}), 0));
        room = max_tokens;
      }
      Chunk chunk;
      chunk.slot = slot;
      chunk.start = start;
      const int32_t count = std::min(room, prompt() - start);
      for (int32_t i = 0; i < count; ++i) chunk.ids.push_back(make_id());
      start += count;
      room -= count;
      chunk.sample = start == prompt();
      part.chunks.push_back(std::move(chunk));
    }
  }
  return execute(std::move(part), 0);
}

// Decodes the batch in one cohort per stage, so that all stages work at once.
Status StepBench::run_decode(int32_t batch, bool is_measured, double* seconds) {
  const int32_t cohorts = std::min(batch, static_cast<int32_t>(worker_.partition().pp()));
  for (int32_t cohort = 0; cohort < cohorts; ++cohort) {
    RETURN_IF_ERROR(open_sequences(cohort, batch, cohorts));
  }
  RETURN_IF_ERROR(barrier());
  notes_steps_ = is_measured;
  const double start_s = now_s();
  for (int32_t i = 0; i < spec_.decode; ++i) {
    for (int32_t cohort = 0; cohort < cohorts; ++cohort) {
      StepPart part;
      for (SlotId slot = cohort; slot < batch; slot += cohorts) part.decodes.push_back(slot);
      RETURN_IF_ERROR(execute(std::move(part), step_ + 1 - cohorts));
    }
  }
  RETURN_IF_ERROR(barrier());
  *seconds = now_s() - start_s;
  notes_steps_ = false;
  return ok_status();
}

// The matmuls of a step on this rank, and those that were refused so far, as fields of JSON. None
// of the texts needs escapes.
std::string StepBench::matmuls(const LastStep& step) const {
  std::string list;
  for (const MatmulUse& use : worker_.executor().matmuls(step)) {
    list += format_text(
        "{}{{\"name\": \"{}\", \"rows\": {}, \"n\": {}, \"k\": {}, \"algorithm\": \"{}\"}}",
        list.empty() ? "" : ", ",
        use.name,
        use.rows,
        use.n,
        use.k,
        use.algorithm);
  }
  std::string refused;
  for (const RefusedMatmuls& calls : worker_.backend().refused_matmuls()) {
    refused += format_text("{}{{\"cause\": \"{}\", \"calls\": {}}}",
                           refused.empty() ? "" : ", ",
                           calls.cause,
                           calls.calls);
  }
  return format_text("\"matmuls\": [{}], \"refused_matmuls\": [{}]", list, refused);
}

void StepBench::print(Measured measured) const {
  if (comms_.rank != 0 || measured.seconds.empty()) return;
  const double median = median_of(measured.seconds);
  const BackendInfo info = worker_.backend_info();
  const int32_t context = std::string(measured.kind) == "decode" ? spec_.context : 0;
  std::printf(
      "{\"kind\": \"%s\", \"batch\": %d, \"tokens\": %lld, \"context\": %d, "
      "\"seconds_median\": %.6f, \"seconds_min\": %.6f, \"tokens_per_second\": %.2f, "
      "\"host_us_median\": %.0f, \"replayed\": %s, "
      "\"repeats\": %zu, \"tp\": %d, \"pp\": %d, \"threads\": %d, \"dtype\": \"%s\", "
      "\"quantization\": \"none\", \"backend\": \"%s\", \"device\": \"%s\", "
      "\"window_us\": [%lld, %lld], %s}\n",
      measured.kind,
      measured.batch,
      static_cast<long long>(measured.tokens),
      context,
      median,
      measured.seconds.front(),
      static_cast<double>(measured.tokens) / median,
      median_of(measured.host_us),
      measured.largest.is_replayed ? "true" : "false",
      measured.seconds.size(),
      worker_.partition().tp(),
      worker_.partition().pp(),
      worker_.num_threads(),
      std::string(name_of(worker_.options().dtype)).c_str(),
      info.name.c_str(),
      format_text("{} ({})", info.device, info.isa).c_str(),
      static_cast<long long>(last_barriers_us_[0]),
      static_cast<long long>(last_barriers_us_[1]),
      matmuls(measured.largest).c_str());
  std::fflush(stdout);
}

Status StepBench::check_fits() const {
  const int32_t max_batch = *std::ranges::max_element(spec_.batch);
  const int32_t longest = std::max(spec_.prefill + 1, prompt() + spec_.decode + 1);
  if (longest > worker_.max_model_len() || max_batch > worker_.options().max_slots) {
    return invalid("TRI-GRP-012",
                   "--bench-step asks for {} tokens and {} sequences; --max-model-len is {} and "
                   "--max-num-seqs {}",
                   longest,
                   max_batch,
                   worker_.max_model_len(),
                   worker_.options().max_slots);
  }
  const int64_t pages_per_sequence = (prompt() + spec_.decode + page_tokens_ - 1) / page_tokens_;
  if (pages_per_sequence * max_batch > worker_.num_pages()) {
    return invalid("TRI-GRP-012",
                   "--bench-step needs {} KV pages, this group has {}; raise --kv-memory or lower "
                   "batch, context or decode",
                   pages_per_sequence * max_batch,
                   worker_.num_pages());
  }
  return ok_status();
}

void StepBench::open(StepPart& part, SlotId slot, int32_t tokens) {
  OpenedSlot opened;
  opened.slot = slot;
  opened.sampling.temperature = 0;
  part.opened.push_back(opened);
  const int32_t pages = (tokens + page_tokens_ - 1) / page_tokens_;
  for (int32_t i = 0; i < pages; ++i) part.grants.push_back({slot, slot * pages + i});
}

Status StepBench::close(int32_t slots) {
  StepPart part;
  for (SlotId slot = 0; slot < slots; ++slot) part.closed.push_back(slot);
  return execute(std::move(part), step_);
}

Status StepBench::execute(StepPart part, int64_t wait_ids_through) {
  StepPlan plan;
  plan.step = ++step_;
  plan.graph_key = key_of(part);
  plan.wait_ids_through = std::max<int64_t>(wait_ids_through, 0);
  plan.parts.push_back(std::move(part));
  RETURN_IF_ERROR(worker_.executor().execute(plan));
  if (notes_steps_) note_step();
  return ok_status();
}

void StepBench::note_step() {
  const LastStep& step = worker_.executor().last_step();
  measured_.host_us.push_back(static_cast<double>(step.host_us));
  if (step.num_tokens > measured_.largest.num_tokens) measured_.largest = step;
}

// The same key as the coordinator's for this step.
GraphKey StepBench::key_of(const StepPart& part) const {
  auto tokens = static_cast<int32_t>(part.decodes.size());
  int32_t rows = tokens;
  for (const Chunk& chunk : part.chunks) {
    tokens += static_cast<int32_t>(chunk.ids.size());
    rows += chunk.sample ? 1 : 0;
  }
  if (tokens == 0) return {};
  return graph_key_of(token_buckets_, row_buckets_, tokens, rows, part.chunks.empty());
}

Status StepBench::barrier() {
  constexpr TimeUs kBarrierUs = 300'000'000;  // the slowest stage may have many steps to go
  RETURN_IF_ERROR(worker_.executor().drain());
  Status met = meet_all(*comms_.group, kBarrierUs);
  last_barriers_us_ = {last_barriers_us_[1], clock_.now_us()};
  return met;
}

TokenId StepBench::make_id() {
  const PhiloxBlock block = philox4x32({ids_made_++, 0, 0, 0}, 1);
  return static_cast<TokenId>(block[0] % static_cast<uint64_t>(worker_.vocabulary_size()));
}

}  // namespace

StatusOr<StepBenchSpec> parse_step_bench(const std::string& text) {
  StepBenchSpec spec;
  for (const std::string& field : split(text, ',')) {
    const size_t equals = field.find('=');
    const std::string key = field.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : field.substr(equals + 1);
    if (key == "prefill") {
      ASSIGN_OR_RETURN(spec.prefill, parse_count(value));
    } else if (key == "decode") {
      ASSIGN_OR_RETURN(spec.decode, parse_count(value));
    } else if (key == "context") {
      ASSIGN_OR_RETURN(spec.context, parse_count(value));
    } else if (key == "repeats") {
      ASSIGN_OR_RETURN(spec.repeats, parse_count(value));
    } else if (key == "batch") {
      spec.batch.clear();
      for (const std::string& part : split(value, ':')) {
        ASSIGN_OR_RETURN(const int32_t batch, parse_count(part));
        spec.batch.push_back(std::max(batch, 1));
      }
    } else {
      return invalid("TRI-GRP-011",
                     "--bench-step knows prefill, decode, context, batch and repeats, not '{}'; "
                     "write prefill=512,decode=128,batch=1:4:16,repeats=5",
                     key);
    }
  }
  return spec;
}

Status run_step_bench(const StepBenchSpec& spec, Worker& worker, GroupComms& comms) {
  NoResults sink;
  RETURN_IF_ERROR(worker.start(worker.num_pages(), sink));
  return StepBench(spec, worker, comms).run();
}

}  // namespace trireme
