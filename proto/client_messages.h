// Messages between a client and the coordinator as plain values; client_codec.h converts them to
// frames, and docs/protocol.md explains the conversation. Each field has the meaning of the field
// of that name in client.proto.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "model/chat/answer/answer_part.h"
#include "model/chat/rendering/chat_request.h"
#include "model/token.h"

namespace trireme::door {

struct Hello {
  uint32_t protocol_minor = 0;
  std::string client;
  bool operator==(const Hello&) const = default;
};

struct ChatInfo {
  bool available = false;
  std::string reason;  // why not
  bool tools = false;
  bool reasoning = false;
  bool parts = false;
  bool operator==(const ChatInfo&) const = default;
};

struct ModelInfo {
  std::string name;
  int32_t max_model_len = 0;  // 0 until a group is ready
  int32_t vocabulary_size = 0;
  bool has_tokenizer = false;
  std::vector<TokenId> eos_token_ids;
  int32_t ready_groups = 0;
  bool allows_probes = false;
  int32_t num_layers = 0;
  int32_t hidden_size = 0;
  std::string version;
  std::vector<std::string> labels;
  std::string fingerprint;
  int64_t created_s = 0;
  std::string state;
  ChatInfo chat;
  bool operator==(const ModelInfo&) const = default;
};

struct Limits {
  int64_t max_control_bytes = 0;
  int64_t max_prompt_bytes = 0;
  int32_t max_in_flight = 0;
  int32_t max_choices = 0;
  int32_t max_logprobs = 0;
  int32_t max_stop_strings = 0;
  bool operator==(const Limits&) const = default;
};

struct Welcome {
  uint32_t protocol_major_min = 0;
  uint32_t protocol_major_max = 0;
  uint32_t protocol_minor = 0;
  std::string server;
  std::vector<ModelInfo> models;
  Limits limits;
  int64_t default_credit_bytes = 0;
  bool operator==(const Welcome&) const = default;
};

enum class Kind : uint8_t { kGenerate, kScore, kProbe };
enum class OnDisconnect : uint8_t { kDefault, kCancel, kContinue };

// An absent field takes the default of the model (generation_config.json), else the neutral value.
struct Sampling {
  std::optional<float> temperature;
  std::optional<int32_t> top_k;
  std::optional<float> top_p;
  std::optional<float> min_p;
  std::optional<float> repetition_penalty;
  std::optional<float> presence_penalty;
  std::optional<float> frequency_penalty;
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::optional<int32_t> min_tokens;
  std::optional<int32_t> max_tokens;
  std::vector<std::string> stop;
  std::vector<TokenId> stop_token_ids;
  bool ignore_eos = false;
  std::optional<uint64_t> seed;
  std::optional<int32_t> n;
  std::optional<int32_t> logprobs;
  std::optional<int32_t> prompt_logprobs;
  std::optional<bool> skip_special_tokens;
  bool include_stop_str_in_output = false;
  bool echo = false;
  bool operator==(const Sampling&) const = default;
};

struct ChatMessage {
  std::string role;
  std::string content;
  bool operator==(const ChatMessage&) const = default;
};
using Messages = std::vector<ChatMessage>;

// None: an empty text of kind kNone.
struct Structure {
  enum class Kind : uint8_t { kNone, kJsonObject, kJsonSchema, kRegex, kGrammar };
  Kind kind = Kind::kNone;
  std::string text;
  bool operator==(const Structure&) const = default;
};

struct ProbePoint {
  int32_t position = 0;
  int32_t layer = -1;
  bool operator==(const ProbePoint&) const = default;
};

struct Submit {
  uint64_t tag = 0;
  std::string model;
  // None, a text, token ids, messages of plain text, or a chat.
  std::variant<std::monostate, std::string, std::vector<TokenId>, Messages, ChatRequest> prompt;
  bool add_special_tokens = true;
  Sampling sampling;
  Kind kind = Kind::kGenerate;
  std::string idempotency_key;
  std::string traceparent;
  OnDisconnect on_disconnect = OnDisconnect::kDefault;
  int64_t deadline_ms = 0;
  int64_t credit_bytes = 0;
  std::vector<ProbePoint> probes;
  std::string principal;
  std::string client_request_id;
  int32_t progress_interval_ms = 0;
  bool token_bytes = false;
  Structure structure;
  std::string cache_salt;
  bool want_prompt_ids = false;
  uint64_t nonce = 0;
  int32_t priority = 0;
  int64_t disconnect_grace_ms = 0;
  std::string share;
  std::string client_state;
  bool operator==(const Submit&) const = default;
};

struct Cancel {
  uint64_t tag = 0;
  std::string request_id;  // 16 bytes; "": the request of `tag`
  bool operator==(const Cancel&) const = default;
};

// Resume::next_index of a choice whose end the client has seen; AnswerPoint::index of its end.
inline constexpr int32_t kEndedIndex = -1;

struct AnswerPoint {
  int32_t choice = 0;
  int32_t index = 0;
  bool operator==(const AnswerPoint&) const = default;
};

struct Resume {
  uint64_t tag = 0;
  std::string request_id;  // 16 bytes
  uint64_t nonce = 0;
  std::vector<int32_t> next_index;  // kEndedIndex: the choice's end was seen
  int64_t credit_bytes = 0;
  std::vector<AnswerPoint> points;
  bool operator==(const Resume&) const = default;
};

struct Credit {
  uint64_t tag = 0;
  int64_t bytes = 0;
  bool operator==(const Credit&) const = default;
};

struct Ping {
  uint64_t nonce = 0;
  bool operator==(const Ping&) const = default;
};

struct Tokenize {
  uint64_t tag = 0;
  std::variant<std::string, ChatRequest> what;
  bool add_special_tokens = true;
  bool want_pieces = false;
  bool operator==(const Tokenize&) const = default;
};

struct Detokenize {
  uint64_t tag = 0;
  std::vector<TokenId> ids;
  bool skip_special_tokens = true;
  bool operator==(const Detokenize&) const = default;
};

struct ListModels {
  bool operator==(const ListModels&) const = default;
};

struct StatusRequest {
  bool operator==(const StatusRequest&) const = default;
};

struct Pong {
  uint64_t nonce = 0;
  bool healthy = false;
  std::string reason;  // why not
  bool draining = false;
  int64_t waiting = 0;
  int64_t token_age_ms = 0;
  bool operator==(const Pong&) const = default;
};

struct Models {
  std::vector<ModelInfo> models;
  bool operator==(const Models&) const = default;
};

struct Accepted {
  uint64_t tag = 0;
  std::string request_id;  // 16 bytes; a secret
  uint64_t seed = 0;
  int32_t prompt_tokens = 0;
  bool repeated_key = false;
  std::string public_id;
  std::string model;
  std::string version;
  std::string fingerprint;
  std::vector<TokenId> prompt_ids;
  std::string client_state;
  bool operator==(const Accepted&) const = default;
};

struct TokenLogprob {
  TokenAndLogprob token;
  std::vector<TokenAndLogprob> top;
  std::string token_bytes;             // where Submit.token_bytes asked for them
  std::vector<std::string> top_bytes;  // parallel to top
  bool operator==(const TokenLogprob&) const = default;
};

struct Piece {
  uint64_t tag = 0;
  int32_t choice = 0;
  int32_t first_index = 0;
  std::vector<TokenId> token_ids;
  std::string text;
  std::vector<TokenLogprob> logprobs;
  std::vector<AnswerPart> parts;  // of a chat that is not raw; text is then empty
  int32_t echo_bytes = 0;         // of text, at its beginning: the prompt's, with echo
  bool operator==(const Piece&) const = default;
};

struct Tokens {
  std::vector<Piece> pieces;
  bool operator==(const Tokens&) const = default;
};

struct PromptLogprobs {
  uint64_t tag = 0;
  int32_t first_position = 0;
  std::vector<TokenLogprob> entries;
  bool operator==(const PromptLogprobs&) const = default;
};

struct ProbeValues {
  uint64_t tag = 0;
  int32_t position = 0;
  int32_t layer = -1;
  int64_t offset = 0;
  int64_t num_values = 0;
  std::vector<float> values;
  bool operator==(const ProbeValues&) const = default;
};

enum class FinishReason : uint8_t { kStop = 1, kLength, kCancelled, kFailed, kToolCalls };

enum class ErrorKind : uint8_t {
  kNone,
  kInvalid,
  kNotFound,
  kTooLarge,
  kOverloaded,
  kUnavailable,
  kDeadline,
  kConflict,
  kDenied,
  kInternal,
};

struct Progress {
  uint64_t tag = 0;
  int32_t queue_position = 0;  // 1: the next one; 0: it runs
  int32_t prompt_done = 0;
  int32_t prompt_tokens = 0;
  bool operator==(const Progress&) const = default;
};

struct Tokenized {
  uint64_t tag = 0;
  std::vector<TokenId> ids;
  std::vector<std::string> pieces;
  bool operator==(const Tokenized&) const = default;
};

struct Detokenized {
  uint64_t tag = 0;
  std::string text;
  bool operator==(const Detokenized&) const = default;
};

struct Finished {
  uint64_t tag = 0;
  int32_t choice = 0;
  FinishReason reason = FinishReason::kStop;
  std::string stop_string;
  std::optional<TokenId> stop_token_id;
  std::string text;  // the rest of the text
  std::string error_id;
  std::string error_message;
  int32_t prompt_tokens = 0;
  int32_t output_tokens = 0;
  int32_t cached_tokens = 0;
  int64_t queued_us = 0;
  int64_t first_token_us = 0;
  int64_t total_us = 0;
  bool last_choice = false;
  bool invariant = true;
  std::vector<AnswerPart> parts;  // the rest of the parts
  int32_t reasoning_tokens = 0;
  int64_t tokenize_us = 0;
  int64_t prefill_us = 0;
  ErrorKind error_kind = ErrorKind::kNone;
  bool operator==(const Finished&) const = default;
};

// tag 0: about the frame or the connection.
struct Error {
  uint64_t tag = 0;
  std::string error_id;
  std::string message;
  int64_t retry_after_ms = 0;
  bool closes = false;
  uint32_t protocol_major_min = 0;
  uint32_t protocol_major_max = 0;
  ErrorKind kind = ErrorKind::kNone;
  std::string field;   // of the request, that is wrong
  uint64_t nonce = 0;  // of the stream that took the answer over
  bool operator==(const Error&) const = default;
};

struct RankStatus {
  int32_t rank = 0;
  std::string host;
  std::string phase;
  uint64_t progress = 0;
  int64_t heartbeat_age_ms = 0;
  int64_t pid = 0;
  int64_t load_bytes = 0;
  int64_t load_total_bytes = 0;
  bool operator==(const RankStatus&) const = default;
};

struct GroupStatus {
  int32_t group = 0;
  uint64_t epoch = 0;
  std::string state;
  int32_t tp = 0;
  int32_t pp = 0;
  int32_t pages = 0;
  int32_t pages_held = 0;
  int32_t pages_cached = 0;
  int32_t slots_used = 0;
  int32_t max_slots = 0;
  int64_t steps = 0;
  int32_t plans_in_flight = 0;
  std::string last_cause;
  std::vector<RankStatus> ranks;
  std::string backend;
  std::string dtype;
  int32_t page_tokens = 0;
  bool operator==(const GroupStatus&) const = default;
};

struct JournalStatus {
  std::string state;
  int64_t bytes = 0;
  int64_t max_bytes = 0;
  int64_t reserved_bytes = 0;
  int64_t undurable_bytes = 0;
  int64_t unfinished = 0;
  int64_t kept = 0;
  int64_t foreign = 0;
  bool operator==(const JournalStatus&) const = default;
};

struct StatusReply {
  std::string server;
  int64_t uptime_ms = 0;
  int32_t connections = 0;
  int64_t waiting = 0;
  int64_t running = 0;
  int64_t finished = 0;
  int64_t preemptions = 0;
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t output_tokens = 0;
  bool draining = false;
  std::vector<GroupStatus> groups;
  std::vector<ModelInfo> models;
  bool healthy = false;  // as in Pong
  std::string reason;
  int64_t token_age_ms = 0;
  JournalStatus journal;
  bool operator==(const StatusReply&) const = default;
};

using FromClient = std::variant<Hello,
                                Submit,
                                Cancel,
                                Resume,
                                Credit,
                                Ping,
                                Tokenize,
                                Detokenize,
                                ListModels,
                                StatusRequest>;
using ToClient = std::variant<Welcome,
                              Accepted,
                              Tokens,
                              PromptLogprobs,
                              ProbeValues,
                              Progress,
                              Finished,
                              Error,
                              Tokenized,
                              Detokenized,
                              Pong,
                              Models,
                              StatusReply>;

}  // namespace trireme::door
