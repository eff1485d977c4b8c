// A request as admission passes it to the Engine, and the names of requests, groups and
// connections. Plain values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/chat/answer/answer_format.h"
#include "model/sampling_params.h"
#include "model/step_plan.h"

namespace trireme {

using GroupId = int32_t;
using ConnectionId = uint64_t;  // one client connection; never reused

// Name of an accepted request: 128 random bits, drawn by the Engine. A secret: it allows Cancel.
struct RequestId {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const RequestId&) const = default;
  bool operator<(const RequestId& other) const {
    return std::pair(high, low) < std::pair(other.high, other.low);
  }
};
std::string to_string(const RequestId& id);  // 32 hexadecimal digits

enum class OnDisconnect : uint8_t { kCancel, kContinue };
enum class RequestKind : uint8_t { kGenerate, kScore, kProbe };

// A request that admission let in (doors/admission.h): at least one token, all in the vocabulary;
// parameters validated; probes at positions of the prompt. The Engine does not check these again.
struct SubmitRequest {
  ConnectionId connection = 0;
  uint64_t client_tag = 0;  // the client's own number of this request on its connection
  uint64_t nonce = 0;       // of two streams of one answer the one with the greater nonce stays
  std::string principal;
  std::string share;            // requests that wait share the groups fairly among these
  int32_t priority = 0;         // of its admission: a lower number comes first
  std::string idempotency_key;  // "": none; unique per principal
  std::string digest;  // of the prompt and the parameters; a known key takes an equal one only
  std::string cache_salt;
  std::string traceparent;
  std::string client_request_id;
  std::string client_state;  // never read; returned to the streams that read the answer later
  RequestKind kind = RequestKind::kGenerate;
  std::vector<TokenId> prompt;
  GenerationParams params;
  OnDisconnect on_disconnect = OnDisconnect::kContinue;
  TimeUs disconnect_grace_us = 0;    // kCancel: a client that is back by then finds its answer
  TimeUs deadline_us = 0;            // 0: none
  int64_t credit_bytes = 0;          // bytes that may be sent before the client grants more
  std::vector<ProbeRequest> probes;  // slot unused; only where the cluster allows probes
  TimeUs arrived_us = 0;             // of the frame; all times of the answer count from here
  int64_t progress_interval_us = 0;  // 0: no Progress
  bool token_bytes = false;          // with log-probabilities: the bytes of their tokens
  bool want_prompt_ids = false;
  std::shared_ptr<const AnswerFormat> format;  // of a chat: its answer is sent as parts
};

enum class FinishReason : uint8_t { kStop, kLength, kCancelled, kError, kToolCalls };

}  // namespace trireme
