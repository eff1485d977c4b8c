// A message of /v1/messages and its stream of events: blocks of thinking, text and tool_use, one
// open at a time.
#include <optional>
#include <utility>

#include "base/json_check.h"
#include "clients/gateway/api/answers/answer_counts.h"
#include "clients/gateway/api/answers/partial_json.h"
#include "clients/gateway/api/answers/shared_forms.h"
#include "clients/gateway/api/answers/writers.h"
#include "clients/gateway/api/api_call.h"

namespace trireme::gateway {
namespace {

struct Block {
  PartKind kind = PartKind::kContent;
  int32_t call_index = 0;
  std::string call_id;
  std::string name;
  std::string text;  // only without streaming
};

const char* stop_word(const door::Finished& finished) {
  if (finished.reason == door::FinishReason::kLength) return "max_tokens";
  if (finished.reason == door::FinishReason::kToolCalls) return "tool_use";
  return finished.stop_string.empty() ? "end_turn" : "stop_sequence";
}

class MessageWriter final : public AnswerWriter {
 public:
  explicit MessageWriter(AnswerOptions options) : options_(std::move(options)), counts_(options_) {}

  void on_accepted(int prompt, const door::Accepted& accepted, std::string& out) override {
    counts_.on_accepted(prompt, accepted);
    public_id_ = accepted.public_id;
    emit("message_start", out, [&](JsonWriter& json) {
      json.key("message");
      write_message(json);
    });
  }

  void on_piece(int prompt, door::Piece piece, std::string& out) override {
    if (counts_.index_of(prompt, piece.choice) < 0 || finished()) return;
    if (options_.is_prompt_only) return;
    counts_.on_piece(piece);
    add_text_part(piece.text, piece.parts);
    for (const AnswerPart& part : piece.parts) add_part(part, out);
  }

  void on_prompt_logprobs(int, door::PromptLogprobs, std::string&) override {}

  void on_finished(int prompt, door::Finished finished, std::string& out) override;

  void on_failure(const ApiError& error, std::string& out) override {
    if (finished()) return;
    has_failed_ = true;
    if (!options_.streamed) return;
    out += "event: error\ndata: ";
    out += write_error(Api::kMessages, error, public_id_);
    out += "\n\n";
  }

  void on_silence(const door::Progress* /*progress*/, std::string& out) override {
    emit("ping", out, [](JsonWriter&) {});
  }

  bool finished() const override { return has_failed_ || counts_.all_ended(); }

  std::string body() override {
    std::string out;
    JsonWriter json(out);
    write_message(json);
    return out;
  }

 private:
  template <class Fields>
  void emit(const char* type, std::string& out, Fields fields) const;
  void add_part(const AnswerPart& part, std::string& out);
  void write_delta(const AnswerPart& part, std::string& out) const;
  void close_block(std::string& out);
  void write_block(const Block& block, JsonWriter& json) const;
  void write_message(JsonWriter& json) const;
  void write_stop(JsonWriter& json) const;
  void write_usage(JsonWriter& json) const;

  const AnswerOptions options_;
  AnswerCounts counts_;
  std::string public_id_;
  std::vector<Block> blocks_;
  bool is_open_ = false;  // the last block
  std::optional<door::Finished> finished_;
  bool has_failed_ = false;
};

template <class Fields>
void MessageWriter::emit(const char* type, std::string& out, Fields fields) const {
  if (!options_.streamed) return;
  out.append("event: ").append(type).append("\ndata: ");
  JsonWriter json(out);
  json.open_object().member("type", type);
  fields(json);
  json.close_object();
  out += "\n\n";
}

void MessageWriter::on_finished(int prompt, door::Finished finished, std::string& out) {
  if (counts_.index_of(prompt, finished.choice) < 0 || this->finished()) return;
  if (options_.is_prompt_only) {
    finished.parts.clear();
    finished.text.clear();
    finished.stop_string.clear();
    finished.output_tokens = 0;
    finished.reason = door::FinishReason::kLength;
  }
  add_text_part(finished.text, finished.parts);
  for (const AnswerPart& part : finished.parts) add_part(part, out);
  counts_.on_finished(prompt, finished);
  close_block(out);
  finished_ = std::move(finished);
  emit("message_delta", out, [&](JsonWriter& json) {
    json.key("delta").open_object();
    write_stop(json);
    json.close_object().key("usage");
    write_usage(json);
  });
  emit("message_stop", out, [](JsonWriter&) {});
}

void MessageWriter::add_part(const AnswerPart& part, std::string& out) {
  const bool is_call = part.kind == PartKind::kToolCall;
  if (part.text.empty() && !is_call) return;
  const bool goes_on = is_open_ && blocks_.back().kind == part.kind &&
                       (!is_call || blocks_.back().call_index == part.call_index);
  if (!goes_on) {
    close_block(out);
    blocks_.push_back({part.kind, part.call_index, part.call_id, part.name, ""});
    is_open_ = true;
    emit("content_block_start", out, [&](JsonWriter& json) {
      json.member("index", blocks_.size() - 1).key("content_block");
      write_block(blocks_.back(), json);
    });
  }
  if (part.text.empty()) return;
  if (!options_.streamed) blocks_.back().text += part.text;
  write_delta(part, out);
}

void MessageWriter::write_delta(const AnswerPart& part, std::string& out) const {
  constexpr std::pair<const char*, const char*> kDeltas[] = {
      {"text_delta", "text"}, {"thinking_delta", "thinking"}, {"input_json_delta", "partial_json"}};
  const char* const type = kDeltas[static_cast<int>(part.kind)].first;
  const char* const name = kDeltas[static_cast<int>(part.kind)].second;
  emit("content_block_delta", out, [&](JsonWriter& json) {
    json.member("index", blocks_.size() - 1).key("delta").open_object().member("type", type);
    json.member(name, part.text).close_object();
  });
}

void MessageWriter::close_block(std::string& out) {
  if (!is_open_) return;
  is_open_ = false;
  emit("content_block_stop", out, [&](JsonWriter& json) {
    json.member("index", blocks_.size() - 1);
  });
}

void MessageWriter::write_block(const Block& block, JsonWriter& json) const {
  json.open_object();
  switch (block.kind) {
    case PartKind::kContent:
      json.member("type", "text").member("text", block.text);
      break;
    case PartKind::kReasoning:
      json.member("type", "thinking").member("thinking", block.text).member("signature", "");
      break;
    case PartKind::kToolCall:
      json.member("type", "tool_use").member("id", block.call_id).member("name", block.name);
      json.key("input").raw(whole_object(block.text));
      break;
  }
  json.close_object();
}

void MessageWriter::write_message(JsonWriter& json) const {
  json.open_object().member("id", "msg_" + public_id_).member("type", "message");
  json.member("role", "assistant").member("model", options_.model).key("content").open_array();
  for (const Block& block : blocks_) write_block(block, json);
  json.close_array();
  write_stop(json);
  json.key("usage");
  write_usage(json);
  json.close_object();
}

void MessageWriter::write_stop(JsonWriter& json) const {
  if (!finished_) {
    json.key("stop_reason").null().key("stop_sequence").null();
    return;
  }
  json.member("stop_reason", stop_word(*finished_));
  const bool is_named = finished_->reason == door::FinishReason::kStop;
  json.text_or_null("stop_sequence", is_named ? finished_->stop_string : "");
}

void MessageWriter::write_usage(JsonWriter& json) const {
  const TokenUsage usage = counts_.usage();
  json.open_object().member("input_tokens", usage.prompt - usage.cached);
  json.member("cache_creation_input_tokens", 0);
  json.member("cache_read_input_tokens", usage.cached);
  json.member("output_tokens", usage.output).close_object();
}

}  // namespace

std::unique_ptr<AnswerWriter> make_message_writer(AnswerOptions options) {
  return std::make_unique<MessageWriter>(std::move(options));
}

}  // namespace trireme::gateway
