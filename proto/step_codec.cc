#include "proto/step_codec.h"

#include "proto/step_convert.h"

namespace trireme {

using wire::RangeCheck;
using wire::to_int32;
using wire::to_int64;

struct StepCodec::Messages {
  v1::StepPlan plan;
  v1::StepResult result;
  v1::ProbePiece probe;
  v1::RankHello hello;
  v1::Heartbeat heartbeat;
  v1::Goodbye goodbye;
  v1::StepLate late;
};

namespace {

constexpr size_t kMaxNameBytes = 256;       // host, dtype, fingerprint, ...
constexpr size_t kMaxSentenceBytes = 8192;  // causes
constexpr int kMaxBuckets = 1024;

std::string text(RangeCheck& check, const std::string& value, size_t max, const char* field) {
  check.number(value.size(), static_cast<int64_t>(max), field);
  return check.ok() ? value : std::string();
}

// Empty, or as long as a journal's id.
std::string journal_id(RangeCheck& check, const std::string& value) {
  check.number(value.size() % kJournalIdBytes, 0, "journal_id (bytes beyond it)");
  return text(check, value, kJournalIdBytes, "journal_id (its bytes)");
}

PreviousLife read_previous_life(RangeCheck& check, const v1::PreviousLife& message) {
  PreviousLife life;
  life.journal_id = journal_id(check, message.journal_id());
  life.epochs = read_epochs(message);
  life.step_received = to_int64(check, message.step_received(), "step_received");
  life.step_completed = to_int64(check, message.step_completed(), "step_completed");
  return life;
}

void read(RangeCheck& check, const v1::RankHello& message, RankHello& hello) {
  hello.group = to_int32(check, message.group(), "group");
  hello.rank = to_int32(check, message.rank(), "rank");
  hello.host = text(check, message.host(), kMaxNameBytes, "host (its bytes)");
  hello.pid = to_int64(check, message.pid(), "pid");
  hello.tp = to_int32(check, message.tp(), "tp");
  hello.pp = to_int32(check, message.pp(), "pp");
  hello.fingerprint = text(check, message.fingerprint(), kMaxNameBytes, "fingerprint (its bytes)");
  hello.dtype = text(check, message.dtype(), kMaxNameBytes, "dtype (its bytes)");
  hello.quantization = text(check, message.quantization(), kMaxNameBytes, "quantization (bytes)");
  hello.invariant = message.invariant();
  hello.backend = text(check, message.backend(), kMaxNameBytes, "backend (its bytes)");
  hello.isa = text(check, message.isa(), kMaxNameBytes, "isa (its bytes)");
  const v1::KvLayoutInfo& kv = message.kv_layout();
  hello.kv_layout.version = to_int32(check, kv.version(), "kv_layout.version");
  hello.kv_layout.dtype = text(check, kv.dtype(), kMaxNameBytes, "kv_layout.dtype (its bytes)");
  hello.kv_layout.page_tokens = to_int32(check, kv.page_tokens(), "kv_layout.page_tokens");
  hello.kv_layout.head_dim = to_int32(check, kv.head_dim(), "kv_layout.head_dim");
  hello.kv_layout.unit = to_int32(check, kv.unit(), "kv_layout.unit");
  hello.kv_layout.v_order = to_int32(check, kv.v_order(), "kv_layout.v_order");
  hello.kv_layout.scale_bytes = to_int32(check, kv.scale_bytes(), "kv_layout.scale_bytes");
  hello.pages = to_int64(check, message.pages(), "pages");
  hello.max_slots = to_int32(check, message.max_slots(), "max_slots");
  hello.max_batched_tokens = to_int32(check, message.max_batched_tokens(), "max_batched_tokens");
  hello.max_model_len = to_int32(check, message.max_model_len(), "max_model_len");
  check.number(message.token_buckets_size(), kMaxBuckets, "token_buckets (their number)");
  check.number(message.row_buckets_size(), kMaxBuckets, "row_buckets (their number)");
  wire::take(check, message.token_buckets(), hello.token_buckets, "token_buckets");
  wire::take(check, message.row_buckets(), hello.row_buckets, "row_buckets");
  hello.previous_life.reset();
  if (message.has_previous_life()) {
    hello.previous_life = read_previous_life(check, message.previous_life());
  }
}

v1::Phase to_wire(Phase phase) {
  switch (phase) {
    case Phase::kStarting:
      return v1::STARTING;
    case Phase::kLoading:
      return v1::LOADING;
    case Phase::kWarming:
      return v1::WARMING;
    case Phase::kWaitStart:
      return v1::WAIT_START;
    case Phase::kIdle:
      return v1::IDLE;
    case Phase::kCompute:
      return v1::COMPUTE;
    case Phase::kWaitStage:
      return v1::WAIT_STAGE;
    case Phase::kWaitIds:
      return v1::WAIT_IDS;
    case Phase::kWaitTensor:
      break;
  }
  return v1::WAIT_TENSOR;
}

Phase read_phase(RangeCheck& check, v1::Phase phase) {
  switch (phase) {
    case v1::STARTING:
      return Phase::kStarting;
    case v1::LOADING:
      return Phase::kLoading;
    case v1::WARMING:
      return Phase::kWarming;
    case v1::WAIT_START:
      return Phase::kWaitStart;
    case v1::IDLE:
      return Phase::kIdle;
    case v1::COMPUTE:
      return Phase::kCompute;
    case v1::WAIT_STAGE:
      return Phase::kWaitStage;
    case v1::WAIT_IDS:
      return Phase::kWaitIds;
    case v1::WAIT_TENSOR:
      return Phase::kWaitTensor;
    default:
      check.unknown(phase, v1::Phase_MAX, "phase");
      return Phase::kStarting;
  }
}

void read(RangeCheck& check, const v1::Heartbeat& message, Heartbeat& heartbeat) {
  heartbeat.epochs = read_epochs(message);
  heartbeat.group = to_int32(check, message.group(), "group");
  heartbeat.rank = to_int32(check, message.rank(), "rank");
  heartbeat.tp = to_int32(check, message.tp(), "tp");
  heartbeat.pp = to_int32(check, message.pp(), "pp");
  heartbeat.host = text(check, message.host(), kMaxNameBytes, "host (its bytes)");
  heartbeat.pid = to_int64(check, message.pid(), "pid");
  heartbeat.progress = message.progress();
  heartbeat.phase = read_phase(check, message.phase());
  heartbeat.step = to_int64(check, message.step(), "step");
  heartbeat.load_bytes = to_int64(check, message.load_bytes(), "load_bytes");
  heartbeat.load_total_bytes = to_int64(check, message.load_total_bytes(), "load_total_bytes");
  heartbeat.step_completed = to_int64(check, message.step_completed(), "step_completed");
}

void read(RangeCheck& check, const v1::Goodbye& message, Goodbye& goodbye) {
  goodbye.epochs = read_epochs(message);
  goodbye.group = to_int32(check, message.group(), "group");
  goodbye.rank = to_int32(check, message.rank(), "rank");
  goodbye.host = text(check, message.host(), kMaxNameBytes, "host (its bytes)");
  goodbye.cause = text(check, message.cause(), kMaxSentenceBytes, "cause (its bytes)");
  goodbye.memory = message.memory();
  goodbye.signal = to_int32(check, message.signal(), "signal");
  goodbye.step = message.step();
}

void read(RangeCheck& check, const v1::Start& message, Start& start) {
  start.epochs = read_epochs(message);
  start.pages = to_int64(check, message.pages(), "pages");
  start.journal_id = journal_id(check, message.journal_id());
}

void read(RangeCheck&, const v1::RankStarted& message, RankStarted& started) {
  started.epochs = read_epochs(message);
}

void read(RangeCheck& check, const v1::Fence& message, Fence& fence) {
  fence.epochs = read_epochs(message);
  fence.cause = text(check, message.cause(), kMaxSentenceBytes, "cause (its bytes)");
  fence.drained = message.drained();
}

void read(RangeCheck& check, const v1::StepLate& message, StepLate& late) {
  late.epochs = read_epochs(message);
  late.step = to_int64(check, message.step(), "step");
  wire::take(check, message.slots(), late.slots, "slots");
  check.same_length(message.slots_size(), message.masks_size(), "masks");
  late.masks.assign(message.masks().begin(), message.masks().end());
}

void read(RangeCheck& check, const v1::RecallPlans& message, RecallPlans& recall) {
  recall.epochs = read_epochs(message);
  recall.first_step = to_int64(check, message.first_step(), "first_step");
  recall.last_step = to_int64(check, message.last_step(), "last_step");
}

void read(RangeCheck& check, const v1::KeptPlan& message, KeptPlan& kept) {
  kept.epochs = read_epochs(message);
  kept.step = to_int64(check, message.step(), "step");
  kept.frame = message.frame();
}

// The alternative Value of `variant`. It is created only if absent, so that its memory is reused.
template <class Value, class Variant>
Value& alternative(Variant& variant) {
  if (Value* value = std::get_if<Value>(&variant)) return *value;
  return variant.template emplace<Value>();
}

template <class Value, class Message, class Variant>
Status decode_as(std::string_view body, Message& message, Variant& variant) {
  RETURN_IF_ERROR(wire::parse(body, kMaxStepFrameBytes, message));
  RangeCheck check;
  read(check, message, alternative<Value>(variant));
  return check.status();
}

Status unexpected_type(int type, const char* direction) {
  return invalid("TRI-NET-005",
                 "message type {} is none that {}; both ends must be of the same release",
                 type,
                 direction);
}

}  // namespace

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::kStarting:
      return "starting";
    case Phase::kLoading:
      return "loading";
    case Phase::kWarming:
      return "warming up";
    case Phase::kWaitStart:
      return "waiting for start";
    case Phase::kIdle:
      return "idle";
    case Phase::kCompute:
      return "computing";
    case Phase::kWaitStage:
      return "waiting for the stage before";
    case Phase::kWaitIds:
      return "waiting for drawn ids";
    case Phase::kWaitTensor:
      return "waiting in a collective";
  }
  return "?";
}

StepCodec::StepCodec() : messages_(std::make_unique<Messages>()) {}
StepCodec::~StepCodec() = default;

void StepCodec::encode(const StepPlan& plan, std::string& frame) {
  messages_->plan.Clear();
  write(plan, messages_->plan);
  wire::write_frame(v1::STEP_PLAN, messages_->plan, frame);
}

void StepCodec::encode(const StepResult& result, std::string& frame) {
  messages_->result.Clear();
  write(result, messages_->result);
  wire::write_frame(v1::STEP_RESULT, messages_->result, frame);
}

void StepCodec::encode(const Probe& probe, std::string& frame) {
  messages_->probe.Clear();
  write(probe, messages_->probe);
  wire::write_frame(v1::PROBE_PIECE, messages_->probe, frame);
}

void StepCodec::encode(const RankHello& hello, std::string& frame) {
  v1::RankHello& message = messages_->hello;
  message.Clear();
  message.set_group(static_cast<uint32_t>(hello.group));
  message.set_rank(static_cast<uint32_t>(hello.rank));
  message.set_host(hello.host);
  message.set_pid(static_cast<uint64_t>(hello.pid));
  message.set_tp(static_cast<uint32_t>(hello.tp));
  message.set_pp(static_cast<uint32_t>(hello.pp));
  message.set_fingerprint(hello.fingerprint);
  message.set_dtype(hello.dtype);
  message.set_quantization(hello.quantization);
  message.set_invariant(hello.invariant);
  message.set_backend(hello.backend);
  message.set_isa(hello.isa);
  v1::KvLayoutInfo& kv = *message.mutable_kv_layout();
  kv.set_version(static_cast<uint32_t>(hello.kv_layout.version));
  kv.set_dtype(hello.kv_layout.dtype);
  kv.set_page_tokens(static_cast<uint32_t>(hello.kv_layout.page_tokens));
  kv.set_head_dim(static_cast<uint32_t>(hello.kv_layout.head_dim));
  kv.set_unit(static_cast<uint32_t>(hello.kv_layout.unit));
  kv.set_v_order(static_cast<uint32_t>(hello.kv_layout.v_order));
  kv.set_scale_bytes(static_cast<uint32_t>(hello.kv_layout.scale_bytes));
  message.set_pages(static_cast<uint64_t>(hello.pages));
  message.set_max_slots(static_cast<uint32_t>(hello.max_slots));
  message.set_max_batched_tokens(static_cast<uint32_t>(hello.max_batched_tokens));
  message.set_max_model_len(static_cast<uint32_t>(hello.max_model_len));
  wire::put(hello.token_buckets, message.mutable_token_buckets());
  wire::put(hello.row_buckets, message.mutable_row_buckets());
  if (hello.previous_life) {
    v1::PreviousLife& life = *message.mutable_previous_life();
    write_epochs(hello.previous_life->epochs, life);
    life.set_journal_id(hello.previous_life->journal_id);
    life.set_step_received(hello.previous_life->step_received);
    life.set_step_completed(hello.previous_life->step_completed);
  }
  wire::write_frame(v1::RANK_HELLO, message, frame);
}

void StepCodec::encode(const Start& start, std::string& frame) {
  v1::Start message;
  write_epochs(start.epochs, message);
  message.set_pages(static_cast<uint64_t>(start.pages));
  message.set_journal_id(start.journal_id);
  wire::write_frame(v1::START, message, frame);
}

void StepCodec::encode(const RankStarted& started, std::string& frame) {
  v1::RankStarted message;
  write_epochs(started.epochs, message);
  wire::write_frame(v1::RANK_STARTED, message, frame);
}

void StepCodec::encode(const Heartbeat& heartbeat, std::string& frame) {
  v1::Heartbeat& message = messages_->heartbeat;
  message.Clear();
  write_epochs(heartbeat.epochs, message);
  message.set_group(static_cast<uint32_t>(heartbeat.group));
  message.set_rank(static_cast<uint32_t>(heartbeat.rank));
  message.set_tp(static_cast<uint32_t>(heartbeat.tp));
  message.set_pp(static_cast<uint32_t>(heartbeat.pp));
  message.set_host(heartbeat.host);
  message.set_pid(static_cast<uint64_t>(heartbeat.pid));
  message.set_progress(heartbeat.progress);
  message.set_phase(to_wire(heartbeat.phase));
  message.set_step(heartbeat.step);
  message.set_load_bytes(static_cast<uint64_t>(heartbeat.load_bytes));
  message.set_load_total_bytes(static_cast<uint64_t>(heartbeat.load_total_bytes));
  message.set_step_completed(heartbeat.step_completed);
  wire::write_frame(v1::HEARTBEAT, message, frame);
}

void StepCodec::encode(const Goodbye& goodbye, std::string& frame) {
  v1::Goodbye& message = messages_->goodbye;
  message.Clear();
  write_epochs(goodbye.epochs, message);
  message.set_group(static_cast<uint32_t>(goodbye.group));
  message.set_rank(static_cast<uint32_t>(goodbye.rank));
  message.set_host(goodbye.host);
  message.set_cause(goodbye.cause.substr(0, kMaxSentenceBytes));
  message.set_memory(goodbye.memory);
  message.set_signal(static_cast<uint32_t>(goodbye.signal));
  message.set_step(goodbye.step);
  wire::write_frame(v1::GOODBYE, message, frame);
}

void StepCodec::encode(const Fence& fence, std::string& frame) {
  v1::Fence message;
  write_epochs(fence.epochs, message);
  message.set_cause(fence.cause.substr(0, kMaxSentenceBytes));
  message.set_drained(fence.drained);
  wire::write_frame(v1::FENCE, message, frame);
}

void StepCodec::encode(const StepLate& late, std::string& frame) {
  v1::StepLate& message = messages_->late;
  message.Clear();
  write_epochs(late.epochs, message);
  message.set_step(late.step);
  wire::put(late.slots, message.mutable_slots());
  for (const std::string& mask : late.masks) message.add_masks(mask);
  wire::write_frame(v1::STEP_LATE, message, frame);
}

void StepCodec::encode(const RecallPlans& recall, std::string& frame) {
  v1::RecallPlans message;
  write_epochs(recall.epochs, message);
  message.set_first_step(recall.first_step);
  message.set_last_step(recall.last_step);
  wire::write_frame(v1::RECALL_PLANS, message, frame);
}

void StepCodec::encode(const KeptPlan& kept, std::string& frame) {
  v1::KeptPlan message;
  write_epochs(kept.epochs, message);
  message.set_step(kept.step);
  message.set_frame(kept.frame);
  wire::write_frame(v1::KEPT_PLAN, message, frame);
}

Status StepCodec::decode(std::string_view bytes, RankMessage& message) {
  ASSIGN_OR_RETURN(const Frame frame, read_frame(bytes));
  switch (frame.type) {
    case v1::RANK_HELLO:
      return decode_as<RankHello>(frame.body, messages_->hello, message);
    case v1::RANK_STARTED: {
      v1::RankStarted started;
      return decode_as<RankStarted>(frame.body, started, message);
    }
    case v1::HEARTBEAT:
      return decode_as<Heartbeat>(frame.body, messages_->heartbeat, message);
    case v1::STEP_RESULT:
      return decode_as<StepResult>(frame.body, messages_->result, message);
    case v1::PROBE_PIECE:
      return decode_as<Probe>(frame.body, messages_->probe, message);
    case v1::GOODBYE:
      return decode_as<Goodbye>(frame.body, messages_->goodbye, message);
    case v1::KEPT_PLAN: {
      v1::KeptPlan kept;
      return decode_as<KeptPlan>(frame.body, kept, message);
    }
    default:
      return unexpected_type(frame.type, "a rank sends to the coordinator");
  }
}

Status StepCodec::decode(std::string_view bytes, CoordinatorMessage& message) {
  ASSIGN_OR_RETURN(const Frame frame, read_frame(bytes));
  switch (frame.type) {
    case v1::START: {
      v1::Start start;
      return decode_as<Start>(frame.body, start, message);
    }
    case v1::STEP_PLAN:
      return decode_as<StepPlan>(frame.body, messages_->plan, message);
    case v1::STEP_LATE:
      return decode_as<StepLate>(frame.body, messages_->late, message);
    case v1::FENCE: {
      v1::Fence fence;
      return decode_as<Fence>(frame.body, fence, message);
    }
    case v1::RECALL_PLANS: {
      v1::RecallPlans recall;
      return decode_as<RecallPlans>(frame.body, recall, message);
    }
    default:
      return unexpected_type(frame.type, "the coordinator sends to a rank");
  }
}

}  // namespace trireme
