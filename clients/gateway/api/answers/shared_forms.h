// Forms that several writers of answers share. Pure functions.
#pragma once

#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clients/gateway/api/answers/answer_counts.h"
#include "clients/gateway/api/answers/answer_options.h"
#include "clients/gateway/api/api_call.h"
#include "clients/gateway/api/json_writer.h"
#include "proto/client_messages.h"

namespace trireme::gateway {

// ": queued 12" and its like, with the blank line.
void write_silence(const door::Progress* progress, std::string& out);

// A member that is an array of ids.
void write_ids(std::string_view name, std::span<const TokenId> ids, JsonWriter& json);

// Plain text of the door's message, if it has some, as the last of its parts.
void add_text_part(std::string& text, std::vector<AnswerPart>& parts);

template <class Value>
void append(std::vector<Value>& to, std::vector<Value>& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

// The rest is of /v1/chat/completions and /v1/completions.

struct AnswerHead {
  std::string id;
  std::string fingerprint;  // "fp_" and 12 digits of the model's fingerprint
};
AnswerHead head_of(const char* id_prefix, const door::Accepted& accepted);

// Opens an object with its first members, from "id" to "system_fingerprint".
void write_head(const char* object,
                const AnswerHead& head,
                const AnswerOptions& options,
                JsonWriter& json);

// {"prompt_tokens": ..., "completion_tokens": ..., ...}
void write_openai_usage(const TokenUsage& usage, JsonWriter& json);
// The member `usage` of a chunk before the last: absent, null or the usage so far.
void write_chunk_usage(const AnswerOptions& options, const AnswerCounts& counts, JsonWriter& json);

// The members `finish_reason` and `stop_reason`, which is the stop string or stop token, or null.
void write_finish_reason(const door::Finished& finished, JsonWriter& json);

// The last events of a stream: of a failed one, and of a whole one.
void write_failure(Api api, const ApiError& error, std::string& out);
void write_end(const char* object,
               const AnswerHead& head,
               const AnswerOptions& options,
               const AnswerCounts& counts,
               std::string& out);

}  // namespace trireme::gateway
