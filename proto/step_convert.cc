#include "proto/step_convert.h"

namespace trireme {
namespace {

using wire::kInt32Max;
using wire::put;
using wire::put_member;
using wire::RangeCheck;
using wire::take;
using wire::take_member;
using wire::to_int32;
using wire::to_int64;

constexpr int kMaxParts = 64;  // reserved: a plan has one part

void write(const SamplingParams& sampling, v1::StepSampling& message) {
  message.set_temperature(sampling.temperature);
  message.set_top_k(static_cast<uint32_t>(sampling.top_k));
  message.set_top_p(sampling.top_p);
  message.set_min_p(sampling.min_p);
  message.set_repetition_penalty(sampling.repetition_penalty);
  message.set_presence_penalty(sampling.presence_penalty);
  message.set_frequency_penalty(sampling.frequency_penalty);
  for (const auto& [id, bias] : sampling.logit_bias) {
    message.add_logit_bias_ids(static_cast<uint32_t>(id));
    message.add_logit_bias_values(bias);
  }
  message.set_min_tokens(static_cast<uint32_t>(sampling.min_tokens));
  put(sampling.end_ids, message.mutable_end_ids());
  message.set_num_logprobs(sampling.num_logprobs);
}

void read(RangeCheck& check, const v1::StepSampling& message, SamplingParams& sampling) {
  sampling.temperature = message.temperature();
  sampling.top_k = to_int32(check, message.top_k(), "top_k");
  sampling.top_p = message.top_p();
  sampling.min_p = message.min_p();
  sampling.repetition_penalty = message.repetition_penalty();
  sampling.presence_penalty = message.presence_penalty();
  sampling.frequency_penalty = message.frequency_penalty();
  check.same_length(
      message.logit_bias_ids_size(), message.logit_bias_values_size(), "logit_bias_values");
  if (!check.ok()) return;
  sampling.logit_bias.clear();
  for (int i = 0; i < message.logit_bias_ids_size(); ++i) {
    sampling.logit_bias.emplace_back(to_int32(check, message.logit_bias_ids(i), "logit_bias_ids"),
                                     message.logit_bias_values(i));
  }
  sampling.min_tokens = to_int32(check, message.min_tokens(), "min_tokens");
  take(check, message.end_ids(), sampling.end_ids, "end_ids");
  check.number(message.num_logprobs(), kMaxLogprobs, "num_logprobs", -1);
  sampling.num_logprobs = message.num_logprobs();
}

void write(const OpenedSlot& opened, v1::OpenedSlot& message) {
  message.set_slot(static_cast<uint32_t>(opened.slot));
  message.set_seed(opened.seed);
  message.set_choice(opened.choice);
  write(opened.sampling, *message.mutable_sampling());
  message.set_computed(static_cast<uint32_t>(opened.computed));
  message.set_num_prompt(static_cast<uint32_t>(opened.num_prompt));
  message.set_num_emitted(static_cast<uint32_t>(opened.num_emitted));
  put(opened.history, message.mutable_history());
}

void read(RangeCheck& check, const v1::OpenedSlot& message, OpenedSlot& opened) {
  opened.slot = to_int32(check, message.slot(), "opened.slot");
  opened.seed = message.seed();
  opened.choice = message.choice();
  read(check, message.sampling(), opened.sampling);
  opened.computed = to_int32(check, message.computed(), "opened.computed");
  opened.num_prompt = to_int32(check, message.num_prompt(), "opened.num_prompt");
  opened.num_emitted = to_int32(check, message.num_emitted(), "opened.num_emitted");
  take(check, message.history(), opened.history, "opened.history");
}

void write_chunks(const std::vector<Chunk>& chunks, v1::StepPart& message) {
  for (const Chunk& chunk : chunks) {
    message.add_chunk_slots(static_cast<uint32_t>(chunk.slot));
    message.add_chunk_starts(static_cast<uint32_t>(chunk.start));
    message.add_chunk_lengths(static_cast<uint32_t>(chunk.ids.size()));
    message.add_chunk_samples(chunk.sample);
    message.mutable_chunk_ids()->Add(chunk.ids.begin(), chunk.ids.end());
  }
}

void read_chunks(RangeCheck& check, const v1::StepPart& message, std::vector<Chunk>& chunks) {
  const int count = message.chunk_slots_size();
  check.same_length(count, message.chunk_starts_size(), "chunk_starts");
  check.same_length(count, message.chunk_lengths_size(), "chunk_lengths");
  check.same_length(count, message.chunk_samples_size(), "chunk_samples");
  int64_t total = 0;
  for (const uint32_t length : message.chunk_lengths()) total += length;
  check.same_length(total, message.chunk_ids_size(), "chunk_ids");
  if (!check.ok()) return;
  chunks.resize(static_cast<size_t>(count));
  auto next = message.chunk_ids().begin();
  for (int i = 0; i < count; ++i) {
    Chunk& chunk = chunks[static_cast<size_t>(i)];
    chunk.slot = to_int32(check, message.chunk_slots(i), "chunk_slots");
    chunk.start = to_int32(check, message.chunk_starts(i), "chunk_starts");
    chunk.sample = message.chunk_samples(i);
    const auto end = next + message.chunk_lengths(i);
    chunk.ids.assign(next, end);
    next = end;
    for (const TokenId id : chunk.ids) {
      if (id < 0) check.fail("chunk_ids", "has a value above 2^31 - 1");
    }
  }
}

void write(const StepPart& part, v1::StepPart& message) {
  put(part.closed, message.mutable_closed());
  for (const OpenedSlot& opened : part.opened) write(opened, *message.add_opened());
  put_member(part.grants, &PageGrant::slot, message.mutable_grant_slots());
  put_member(part.grants, &PageGrant::page, message.mutable_grant_pages());
  put_member(part.copies, &PageCopy::from, message.mutable_copy_from());
  put_member(part.copies, &PageCopy::to, message.mutable_copy_to());
  put(part.decodes, message.mutable_decodes());
  write_chunks(part.chunks, message);
  put_member(part.verifies, &Verify::slot, message.mutable_verify_slots());
  put_member(part.verifies, &Verify::count, message.mutable_verify_counts());
  put_member(part.scores, &ScoreRequest::slot, message.mutable_score_slots());
  put_member(part.scores, &ScoreRequest::position, message.mutable_score_positions());
  put_member(part.scores, &ScoreRequest::next_id, message.mutable_score_next_ids());
  put_member(part.scores, &ScoreRequest::num_top, message.mutable_score_tops());
  put_member(part.probes, &ProbeRequest::slot, message.mutable_probe_slots());
  put_member(part.probes, &ProbeRequest::position, message.mutable_probe_positions());
  put_member(part.probes, &ProbeRequest::layer, message.mutable_probe_layers());
}

void read_probe_requests(RangeCheck& check,
                         const v1::StepPart& message,
                         std::vector<ProbeRequest>& probes) {
  probes.resize(static_cast<size_t>(message.probe_slots_size()));
  take_member(check, message.probe_slots(), probes, &ProbeRequest::slot, "probe_slots");
  take_member(check, message.probe_positions(), probes, &ProbeRequest::position, "probe_positions");
  check.same_length(message.probe_slots_size(), message.probe_layers_size(), "probe_layers");
  if (!check.ok()) return;
  for (int i = 0; i < message.probe_layers_size(); ++i) {
    check.number(message.probe_layers(i), kInt32Max, "probe_layers", -1);
    probes[static_cast<size_t>(i)].layer = message.probe_layers(i);
  }
}

void read(RangeCheck& check, const v1::StepPart& message, StepPart& part) {
  take(check, message.closed(), part.closed, "closed");
  part.opened.resize(static_cast<size_t>(message.opened_size()));
  for (int i = 0; i < message.opened_size(); ++i) {
    read(check, message.opened(i), part.opened[static_cast<size_t>(i)]);
  }
  part.grants.resize(static_cast<size_t>(message.grant_slots_size()));
  take_member(check, message.grant_slots(), part.grants, &PageGrant::slot, "grant_slots");
  take_member(check, message.grant_pages(), part.grants, &PageGrant::page, "grant_pages");
  part.copies.resize(static_cast<size_t>(message.copy_from_size()));
  take_member(check, message.copy_from(), part.copies, &PageCopy::from, "copy_from");
  take_member(check, message.copy_to(), part.copies, &PageCopy::to, "copy_to");
  take(check, message.decodes(), part.decodes, "decodes");
  read_chunks(check, message, part.chunks);
  part.verifies.resize(static_cast<size_t>(message.verify_slots_size()));
  take_member(check, message.verify_slots(), part.verifies, &Verify::slot, "verify_slots");
  take_member(check, message.verify_counts(), part.verifies, &Verify::count, "verify_counts");
  part.scores.resize(static_cast<size_t>(message.score_slots_size()));
  take_member(check, message.score_slots(), part.scores, &ScoreRequest::slot, "score_slots");
  take_member(
      check, message.score_positions(), part.scores, &ScoreRequest::position, "score_positions");
  take_member(
      check, message.score_next_ids(), part.scores, &ScoreRequest::next_id, "score_next_ids");
  take_member(check, message.score_tops(), part.scores, &ScoreRequest::num_top, "score_tops");
  read_probe_requests(check, message, part.probes);
}

void write(const std::vector<LogprobEntry>& entries, v1::LogprobList& message) {
  for (const LogprobEntry& entry : entries) {
    message.add_slots(static_cast<uint32_t>(entry.slot));
    message.add_positions(static_cast<uint32_t>(entry.position));
    message.add_token_ids(static_cast<uint32_t>(entry.token.id));
    message.add_logprobs(entry.token.logprob);
    message.add_top_counts(static_cast<uint32_t>(entry.top.size()));
    for (const TokenAndLogprob& top : entry.top) {
      message.add_top_ids(static_cast<uint32_t>(top.id));
      message.add_top_logprobs(top.logprob);
    }
  }
}

void read(RangeCheck& check,
          const v1::LogprobList& message,
          std::vector<LogprobEntry>& entries,
          const char* field) {
  const int count = message.slots_size();
  check.same_length(count, message.positions_size(), field);
  check.same_length(count, message.token_ids_size(), field);
  check.same_length(count, message.logprobs_size(), field);
  check.same_length(count, message.top_counts_size(), field);
  check.same_length(message.top_ids_size(), message.top_logprobs_size(), field);
  int64_t total = 0;
  for (const uint32_t top_count : message.top_counts()) total += top_count;
  check.same_length(total, message.top_ids_size(), field);
  if (!check.ok()) return;
  entries.resize(static_cast<size_t>(count));
  int next = 0;
  for (int i = 0; i < count; ++i) {
    LogprobEntry& entry = entries[static_cast<size_t>(i)];
    entry.slot = to_int32(check, message.slots(i), field);
    entry.position = to_int32(check, message.positions(i), field);
    entry.token = {to_int32(check, message.token_ids(i), field), message.logprobs(i)};
    entry.top.resize(message.top_counts(i));
    for (TokenAndLogprob& top : entry.top) {
      top = {to_int32(check, message.top_ids(next), field), message.top_logprobs(next)};
      ++next;
    }
  }
}

}  // namespace

void write(const StepPlan& plan, v1::StepPlan& message) {
  write_epochs(plan.epochs, message);
  message.set_step(plan.step);
  message.set_wait_ids_through(plan.wait_ids_through);
  if (plan.graph_key != GraphKey{}) {
    message.mutable_graph_key()->set_token_bucket(
        static_cast<uint32_t>(plan.graph_key.token_bucket));
    message.mutable_graph_key()->set_row_bucket(static_cast<uint32_t>(plan.graph_key.row_bucket));
    message.mutable_graph_key()->set_decode_only(plan.graph_key.decode_only);
  }
  message.set_late(plan.late);
  message.set_retired_through(plan.retired_through);
  for (const StepPart& part : plan.parts) write(part, *message.add_parts());
}

void read(RangeCheck& check, const v1::StepPlan& message, StepPlan& plan) {
  plan.epochs = read_epochs(message);
  plan.step = to_int64(check, message.step(), "step");
  plan.wait_ids_through = to_int64(check, message.wait_ids_through(), "wait_ids_through");
  plan.graph_key.token_bucket = to_int32(check, message.graph_key().token_bucket(), "token_bucket");
  plan.graph_key.row_bucket = to_int32(check, message.graph_key().row_bucket(), "row_bucket");
  plan.graph_key.decode_only = message.graph_key().decode_only();
  plan.late = message.late();
  plan.retired_through = to_int64(check, message.retired_through(), "retired_through");
  check.number(message.parts_size(), kMaxParts, "parts (their number)");
  if (!check.ok()) return;
  plan.parts.resize(static_cast<size_t>(message.parts_size()));
  for (int i = 0; i < message.parts_size(); ++i) {
    read(check, message.parts(i), plan.parts[static_cast<size_t>(i)]);
  }
}

void write(const StepResult& result, v1::StepResult& message) {
  write_epochs(result.epochs, message);
  message.set_step(result.step);
  put(result.slots, message.mutable_slots());
  put(result.counts, message.mutable_counts());
  put(result.ids, message.mutable_ids());
  if (!result.logprobs.empty()) write(result.logprobs, *message.mutable_logprobs());
  if (!result.scores.empty()) write(result.scores, *message.mutable_scores());
  for (const SlotFailure& failure : result.failures) {
    v1::SlotFailure& entry = *message.add_failures();
    entry.set_slot(static_cast<uint32_t>(failure.slot));
    entry.set_message(failure.message);
  }
  message.set_compute_us(static_cast<uint64_t>(result.compute_us));
  message.set_waited_us(static_cast<uint64_t>(result.waited_us));
}

void read(RangeCheck& check, const v1::StepResult& message, StepResult& result) {
  result.epochs = read_epochs(message);
  result.step = to_int64(check, message.step(), "step");
  take(check, message.slots(), result.slots, "slots");
  take(check, message.counts(), result.counts, "counts");
  take(check, message.ids(), result.ids, "ids");
  check.same_length(message.slots_size(), message.counts_size(), "counts");
  int64_t total = 0;
  for (const uint32_t count : message.counts()) total += count;
  check.same_length(total, message.ids_size(), "ids");
  read(check, message.logprobs(), result.logprobs, "logprobs");
  read(check, message.scores(), result.scores, "scores");
  result.failures.resize(static_cast<size_t>(message.failures_size()));
  for (int i = 0; i < message.failures_size(); ++i) {
    SlotFailure& failure = result.failures[static_cast<size_t>(i)];
    failure.slot = to_int32(check, message.failures(i).slot(), "failures.slot");
    failure.message = message.failures(i).message();
  }
  result.compute_us = to_int64(check, message.compute_us(), "compute_us");
  result.waited_us = to_int64(check, message.waited_us(), "waited_us");
}

void write(const Probe& probe, v1::ProbePiece& message) {
  write_epochs(probe.epochs, message);
  message.set_step(probe.step);
  message.set_slot(static_cast<uint32_t>(probe.slot));
  message.set_position(static_cast<uint32_t>(probe.position));
  message.set_layer(probe.layer);
  message.set_offset(static_cast<uint64_t>(probe.offset));
  message.set_num_values(static_cast<uint64_t>(probe.num_values));
  message.mutable_values()->Add(probe.values.begin(), probe.values.end());
}

void read(RangeCheck& check, const v1::ProbePiece& message, Probe& probe) {
  probe.epochs = read_epochs(message);
  probe.step = to_int64(check, message.step(), "step");
  probe.slot = to_int32(check, message.slot(), "slot");
  probe.position = to_int32(check, message.position(), "position");
  check.number(message.layer(), kInt32Max, "layer", -1);
  probe.layer = message.layer();
  probe.offset = to_int64(check, message.offset(), "offset");
  probe.num_values = to_int64(check, message.num_values(), "num_values");
  constexpr int64_t kMaxValues = kMaxProbeBytes / static_cast<int64_t>(sizeof(float));
  check.number(message.values_size(), kMaxValues, "values (their number)");
  if (probe.offset > probe.num_values - message.values_size()) {
    check.fail("values", "goes beyond num_values");
  }
  if (check.ok()) probe.values.assign(message.values().begin(), message.values().end());
}

}  // namespace trireme
