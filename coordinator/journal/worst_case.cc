#include "coordinator/journal/worst_case.h"

#include "model/chat/answer/answer_format.h"

namespace trireme::journal {
namespace {

constexpr int64_t kNumberBytes = 5;    // a varint of 32 bits
constexpr int64_t kRecordBytes = 512;  // around an Accepted, a Bound, an Ended with its error
constexpr int64_t kStepBytes = 56;     // header, padding, tags and columns of a record of one token
constexpr int64_t kCopies = 2;
constexpr int64_t kSuspects = 2;  // records of crashes with it

int64_t text_bytes(const SubmitRequest& submit) {
  int64_t bytes = std::ssize(submit.principal) + std::ssize(submit.idempotency_key) +
                  std::ssize(submit.digest) + std::ssize(submit.cache_salt) +
                  std::ssize(submit.traceparent) + std::ssize(submit.client_request_id);
  for (const std::string& stop : submit.params.stop) bytes += std::ssize(stop) + kNumberBytes;
  if (submit.format != nullptr) {
    bytes += std::ssize(submit.format->opened) + std::ssize(submit.format->forced);
    for (const ToolTypes& tool : submit.format->tools) {
      bytes += std::ssize(tool.name) + 2 * kNumberBytes;
      for (const auto& [name, type] : tool.parameters) bytes += std::ssize(name) + 2 * kNumberBytes;
    }
  }
  return bytes;
}

}  // namespace

WorstCase worst_case_bytes(const SubmitRequest& submit) {
  const GenerationParams& params = submit.params;
  const int64_t num_lists =
      std::ssize(submit.prompt) + std::ssize(params.sampling.end_ids) +
      std::ssize(params.stop_token_ids) +
      2 * (std::ssize(params.sampling.logit_bias) + std::ssize(submit.probes));
  const int64_t accept = kRecordBytes + text_bytes(submit) + std::ssize(submit.client_state) +
                         num_lists * kNumberBytes;
  const int64_t logprobs = params.sampling.num_logprobs + int64_t{1};
  constexpr int64_t kLogprobBytes = 3 * kNumberBytes;
  const int64_t id = kNumberBytes + (logprobs > 0 ? (logprobs + 1) * kLogprobBytes : 0);
  const int64_t token = kStepBytes + kCopies * id;
  const int64_t end = kRecordBytes + kCopies * (kRecordBytes + text_bytes(submit));
  WorstCase bytes;
  bytes.accepted = kCopies * accept + kSuspects * kStepBytes + params.num_choices * end;
  if (submit.kind == RequestKind::kGenerate) {
    bytes.running = int64_t{params.num_choices} * params.max_tokens * token;
  }
  return bytes;
}

}  // namespace trireme::journal
