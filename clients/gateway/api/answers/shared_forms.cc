#include "clients/gateway/api/answers/shared_forms.h"

#include <utility>

#include "base/text.h"

namespace trireme::gateway {
namespace {

const char* finish_word(door::FinishReason reason) {
  if (reason == door::FinishReason::kLength) return "length";
  return reason == door::FinishReason::kToolCalls ? "tool_calls" : "stop";
}

}  // namespace

void write_silence(const door::Progress* progress, std::string& out) {
  if (progress != nullptr && progress->queue_position > 0) {
    out += format_text(": queued {}\n\n", progress->queue_position);
  } else if (progress != nullptr && progress->prompt_done < progress->prompt_tokens) {
    out += format_text(": prefill {}/{}\n\n", progress->prompt_done, progress->prompt_tokens);
  } else {
    out += ": keep-alive\n\n";
  }
}

void write_ids(std::string_view name, std::span<const TokenId> ids, JsonWriter& json) {
  json.key(name).open_array();
  for (const TokenId id : ids) json.integer(id);
  json.close_array();
}

void add_text_part(std::string& text, std::vector<AnswerPart>& parts) {
  if (!text.empty()) parts.push_back({PartKind::kContent, 0, "", "", std::move(text)});
}

AnswerHead head_of(const char* id_prefix, const door::Accepted& accepted) {
  return {id_prefix + accepted.public_id, "fp_" + accepted.fingerprint.substr(0, 12)};
}

void write_head(const char* object,
                const AnswerHead& head,
                const AnswerOptions& options,
                JsonWriter& json) {
  json.open_object().member("id", head.id).member("object", object);
  json.member("created", options.created_s).member("model", options.model);
  json.member("system_fingerprint", head.fingerprint);
}

void write_openai_usage(const TokenUsage& usage, JsonWriter& json) {
  json.open_object();
  json.member("prompt_tokens", usage.prompt).member("completion_tokens", usage.output);
  json.member("total_tokens", usage.prompt + usage.output);
  json.key("prompt_tokens_details").open_object().member("cached_tokens", usage.cached);
  json.close_object();
  json.key("completion_tokens_details").open_object();
  json.member("reasoning_tokens", usage.reasoning).close_object();
  json.close_object();
}

void write_chunk_usage(const AnswerOptions& options, const AnswerCounts& counts, JsonWriter& json) {
  if (options.continuous_usage) {
    json.key("usage");
    write_openai_usage(counts.usage(), json);
  } else if (options.includes_usage) {
    json.key("usage").null();
  }
}

void write_finish_reason(const door::Finished& finished, JsonWriter& json) {
  json.member("finish_reason", finish_word(finished.reason)).key("stop_reason");
  if (!finished.stop_string.empty()) {
    json.string(finished.stop_string);
  } else if (finished.stop_token_id) {
    json.integer(*finished.stop_token_id);
  } else {
    json.null();
  }
}

void write_failure(Api api, const ApiError& error, std::string& out) {
  out += "data: ";
  out += write_error(api, error, "");
  out += "\n\ndata: [DONE]\n\n";
}

void write_end(const char* object,
               const AnswerHead& head,
               const AnswerOptions& options,
               const AnswerCounts& counts,
               std::string& out) {
  if (options.includes_usage) {
    out += "data: ";
    JsonWriter json(out);
    write_head(object, head, options, json);
    json.key("choices").open_array().close_array().key("usage");
    write_openai_usage(counts.usage(), json);
    json.close_object();
    out += "\n\n";
  }
  out += "data: [DONE]\n\n";
}

}  // namespace trireme::gateway
