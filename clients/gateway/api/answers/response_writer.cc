// A response of /v1/responses and its stream of events. The output is a list of items: reasoning,
// a message, function calls; one is open at a time, and the last events repeat it whole, so the
// text is kept.
#include <optional>
#include <utility>

#include "clients/gateway/api/answers/answer_counts.h"
#include "clients/gateway/api/answers/logprobs.h"
#include "clients/gateway/api/answers/shared_forms.h"
#include "clients/gateway/api/answers/writers.h"

namespace trireme::gateway {
namespace {

constexpr const char* kInProgress = "in_progress";
constexpr const char* kCompleted = "completed";
constexpr const char* kIncomplete = "incomplete";
constexpr const char* kFailed = "failed";

struct Item {
  PartKind kind = PartKind::kContent;
  int32_t call_index = 0;
  std::string id;
  std::string call_id;
  std::string name;
  std::string text;  // or arguments
  std::vector<door::TokenLogprob> logprobs;
  const char* status = kInProgress;
};

class ResponseWriter final : public AnswerWriter {
 public:
  explicit ResponseWriter(AnswerOptions options)
      : options_(std::move(options)), counts_(options_) {}

  void on_accepted(int prompt, const door::Accepted& accepted, std::string& out) override {
    counts_.on_accepted(prompt, accepted);
    public_id_ = accepted.public_id;
    write_response_event("response.created", out);
    write_response_event("response.in_progress", out);
  }

  void on_piece(int prompt, door::Piece piece, std::string& out) override {
    if (counts_.index_of(prompt, piece.choice) < 0 || finished()) return;
    counts_.on_piece(piece);
    append(waiting_logprobs_, piece.logprobs);
    add_text_part(piece.text, piece.parts);
    for (const AnswerPart& part : piece.parts) add_part(part, out);
  }

  void on_prompt_logprobs(int, door::PromptLogprobs, std::string&) override {}

  void on_finished(int prompt, door::Finished finished, std::string& out) override {
    if (counts_.index_of(prompt, finished.choice) < 0 || this->finished()) return;
    add_text_part(finished.text, finished.parts);
    for (const AnswerPart& part : finished.parts) add_part(part, out);
    counts_.on_finished(prompt, finished);
    const bool is_cut = finished.reason == door::FinishReason::kLength;
    close_item(is_cut ? kIncomplete : kCompleted, out);
    status_ = is_cut ? kIncomplete : kCompleted;
    write_response_event(is_cut ? "response.incomplete" : "response.completed", out);
  }

  void on_failure(const ApiError& error, std::string& out) override {
    if (finished()) return;
    status_ = kFailed;
    error_ = error;
    if (!items_.empty()) items_.back().status = kIncomplete;
    write_response_event("response.failed", out);
  }

  void on_silence(const door::Progress* progress, std::string& out) override {
    if (options_.streamed) write_silence(progress, out);
  }

  void count_events(int64_t num_events) override { sequence_number_ = num_events; }

  bool finished() const override { return status_ == kFailed || counts_.all_ended(); }

  std::string body() override {
    std::string out;
    JsonWriter json(out);
    write_response(json);
    return out;
  }

 private:
  template <class Fields>
  void emit(const char* type, std::string& out, Fields fields);
  void write_response_event(const char* type, std::string& out);
  void add_part(const AnswerPart& part, std::string& out);
  void open_item(const AnswerPart& part, std::string& out);
  void add_text(const std::string& text, std::string& out);
  void close_item(const char* status, std::string& out);
  void emit_item(const char* type, std::string& out);
  void emit_part(const char* type, std::string& out);
  void write_place(JsonWriter& json) const;
  void write_part(const Item& item, JsonWriter& json) const;
  void write_item(const Item& item, JsonWriter& json) const;
  void write_response(JsonWriter& json) const;
  void write_echo(JsonWriter& json) const;
  void write_usage(JsonWriter& json) const;

  const AnswerOptions options_;
  AnswerCounts counts_;
  std::string public_id_;
  std::vector<Item> items_;
  std::vector<door::TokenLogprob> waiting_logprobs_;  // of tokens whose text is not out yet
  const char* status_ = kInProgress;
  std::optional<ApiError> error_;
  int64_t sequence_number_ = 0;
};

template <class Fields>
void ResponseWriter::emit(const char* type, std::string& out, Fields fields) {
  if (!options_.streamed) return;
  out.append("event: ").append(type).append("\ndata: ");
  JsonWriter json(out);
  json.open_object().member("type", type).member("sequence_number", sequence_number_++);
  fields(json);
  json.close_object();
  out += "\n\n";
}

void ResponseWriter::write_response_event(const char* type, std::string& out) {
  emit(type, out, [&](JsonWriter& json) {
    json.key("response");
    write_response(json);
  });
}

void ResponseWriter::add_part(const AnswerPart& part, std::string& out) {
  const bool is_call = part.kind == PartKind::kToolCall;
  if (part.text.empty() && !is_call) return;
  const bool is_open = !items_.empty() && items_.back().kind == part.kind &&
                       items_.back().status == kInProgress &&
                       (!is_call || items_.back().call_index == part.call_index);
  if (!is_open) {
    close_item(kCompleted, out);
    open_item(part, out);
  }
  if (!part.text.empty()) add_text(part.text, out);
}

void ResponseWriter::open_item(const AnswerPart& part, std::string& out) {
  constexpr const char* kPrefixes[] = {"msg_", "rs_", "fc_"};
  Item item;
  item.kind = part.kind;
  item.call_index = part.call_index;
  item.id =
      kPrefixes[static_cast<int>(part.kind)] + public_id_ + "_" + std::to_string(items_.size());
  item.call_id = part.call_id;
  item.name = part.name;
  items_.push_back(std::move(item));
  emit_item("response.output_item.added", out);
  if (part.kind != PartKind::kToolCall) emit_part("response.content_part.added", out);
}

void ResponseWriter::add_text(const std::string& text, std::string& out) {
  constexpr const char* kTypes[] = {"response.output_text.delta",
                                    "response.reasoning_text.delta",
                                    "response.function_call_arguments.delta"};
  Item& item = items_.back();
  const bool is_message = item.kind == PartKind::kContent;
  item.text += text;
  emit(kTypes[static_cast<int>(item.kind)], out, [&](JsonWriter& json) {
    write_place(json);
    json.member("delta", text);
    if (!is_message) return;
    json.key("logprobs");
    write_chat_logprobs(waiting_logprobs_, json);
  });
  if (is_message && options_.has_logprobs) append(item.logprobs, waiting_logprobs_);
  waiting_logprobs_.clear();
}

void ResponseWriter::close_item(const char* status, std::string& out) {
  if (items_.empty() || items_.back().status != kInProgress) return;
  constexpr const char* kTypes[] = {"response.output_text.done",
                                    "response.reasoning_text.done",
                                    "response.function_call_arguments.done"};
  Item& item = items_.back();
  item.status = status;
  const bool is_call = item.kind == PartKind::kToolCall;
  const bool is_message = item.kind == PartKind::kContent;
  emit(kTypes[static_cast<int>(item.kind)], out, [&](JsonWriter& json) {
    write_place(json);
    if (is_call) json.member("name", item.name);
    json.member(is_call ? "arguments" : "text", item.text);
    if (!is_message) return;
    json.key("logprobs");
    write_chat_logprobs(item.logprobs, json);
  });
  if (!is_call) emit_part("response.content_part.done", out);
  emit_item("response.output_item.done", out);
}

// When the last item is opened and when it is closed.
void ResponseWriter::emit_item(const char* type, std::string& out) {
  emit(type, out, [&](JsonWriter& json) {
    json.member("output_index", items_.size() - 1).key("item");
    write_item(items_.back(), json);
  });
}

void ResponseWriter::emit_part(const char* type, std::string& out) {
  emit(type, out, [&](JsonWriter& json) {
    write_place(json);
    json.key("part");
    write_part(items_.back(), json);
  });
}

// Of the last item, or of its one part.
void ResponseWriter::write_place(JsonWriter& json) const {
  json.member("item_id", items_.back().id).member("output_index", items_.size() - 1);
  if (items_.back().kind != PartKind::kToolCall) json.member("content_index", 0);
}

void ResponseWriter::write_part(const Item& item, JsonWriter& json) const {
  const bool is_message = item.kind == PartKind::kContent;
  json.open_object().member("type", is_message ? "output_text" : "reasoning_text");
  json.member("text", item.text);
  if (is_message) {
    json.key("annotations").open_array().close_array().key("logprobs");
    write_chat_logprobs(item.logprobs, json);
  }
  json.close_object();
}

// The content of an item that has just been opened has no part yet.
void ResponseWriter::write_item(const Item& item, JsonWriter& json) const {
  constexpr const char* kTypes[] = {"message", "reasoning", "function_call"};
  json.open_object().member("id", item.id).member("type", kTypes[static_cast<int>(item.kind)]);
  json.member("status", item.status);
  if (item.kind == PartKind::kToolCall) {
    json.member("call_id", item.call_id).member("name", item.name);
    json.member("arguments", item.text).close_object();
    return;
  }
  if (item.kind == PartKind::kContent) json.member("role", "assistant");
  if (item.kind == PartKind::kReasoning) json.key("summary").open_array().close_array();
  json.key("content").open_array();
  if (item.status != kInProgress) write_part(item, json);
  json.close_array().close_object();
}

void ResponseWriter::write_response(JsonWriter& json) const {
  json.open_object().member("id", "resp_" + public_id_).member("object", "response");
  json.member("created_at", options_.created_s).member("status", status_);
  json.member("background", false).key("error");
  if (error_) {
    const char* code = error_->http_status == 429 ? "rate_limit_exceeded" : "server_error";
    json.open_object().member("code", code).member("message", error_->message).close_object();
  } else {
    json.null();
  }
  json.key("incomplete_details");
  if (status_ == kIncomplete) {
    json.open_object().member("reason", "max_output_tokens").close_object();
  } else {
    json.null();
  }
  json.member("model", options_.model).key("output").open_array();
  for (const Item& item : items_) write_item(item, json);
  json.close_array();
  write_echo(json);
  json.key("usage");
  if (counts_.all_ended()) {
    write_usage(json);
  } else {
    json.null();
  }
  json.close_object();
}

// In one line, as the data of an event has to be: a break of lines in JSON is white space.
void write_json_or(const char* name, std::string text, const char* absent, JsonWriter& json) {
  std::erase_if(text, [](char byte) { return byte == '\n' || byte == '\r'; });
  json.key(name).raw(text.empty() ? absent : text.c_str());
}

void write_number_or_null(const char* name, std::optional<float> value, JsonWriter& json) {
  json.key(name);
  if (value) {
    json.number(*value);
  } else {
    json.null();
  }
}

// The fields of the request, which the object repeats.
void ResponseWriter::write_echo(JsonWriter& json) const {
  write_json_or("instructions", options_.instructions_json, "null", json);
  json.key("max_output_tokens");
  if (options_.max_output_tokens) {
    json.integer(*options_.max_output_tokens);
  } else {
    json.null();
  }
  json.member("parallel_tool_calls", options_.parallel_tool_calls);
  json.key("previous_response_id").null().key("reasoning").open_object();
  json.text_or_null("effort", options_.reasoning_effort).key("summary").null().close_object();
  json.member("store", false);
  write_number_or_null("temperature", options_.temperature, json);
  json.key("text").open_object().key("format").open_object().member("type", "text");
  json.close_object().close_object();
  write_json_or("tool_choice", options_.tool_choice_json, "\"auto\"", json);
  write_json_or("tools", options_.tools_json, "[]", json);
  json.member("top_logprobs", options_.top_logprobs);
  write_number_or_null("top_p", options_.top_p, json);
  json.member("truncation", "disabled").key("metadata").open_object().close_object();
}

void ResponseWriter::write_usage(JsonWriter& json) const {
  const TokenUsage usage = counts_.usage();
  json.open_object().member("input_tokens", usage.prompt);
  json.key("input_tokens_details").open_object().member("cached_tokens", usage.cached);
  json.member("cache_write_tokens", 0).close_object();
  json.member("output_tokens", usage.output).key("output_tokens_details").open_object();
  json.member("reasoning_tokens", usage.reasoning).close_object();
  json.member("total_tokens", usage.prompt + usage.output).close_object();
}

}  // namespace

std::unique_ptr<AnswerWriter> make_response_writer(AnswerOptions options) {
  return std::make_unique<ResponseWriter>(std::move(options));
}

}  // namespace trireme::gateway
