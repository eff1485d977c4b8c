// chat.completion and its stream of chat.completion.chunk. Chunks are written part by part, so that
// their order is that of the answer; nothing of the text is kept while streaming.
#include <algorithm>
#include <utility>

#include "clients/gateway/api/answers/answer_counts.h"
#include "clients/gateway/api/answers/logprobs.h"
#include "clients/gateway/api/answers/shared_forms.h"
#include "clients/gateway/api/answers/writers.h"
#include "clients/gateway/api/api_call.h"

namespace trireme::gateway {
namespace {

constexpr const char* kChunk = "chat.completion.chunk";

struct Call {
  std::string id;
  std::string name;
  std::string arguments;
};

struct Choice {
  bool has_begun = false;  // its first chunk, with the role, is written
  std::string content;     // from here on: only without streaming
  std::string reasoning;
  std::vector<Call> calls;
  std::vector<door::TokenLogprob> logprobs;
  std::vector<TokenId> token_ids;
  door::Finished finished;
};

// Members of a chunk beside its delta. The first chunk of a piece has them.
struct Extras {
  const std::vector<door::TokenLogprob>* logprobs = nullptr;
  std::span<const TokenId> token_ids;
};

class ChatWriter final : public AnswerWriter {
 public:
  explicit ChatWriter(AnswerOptions options)
      : options_(std::move(options)), counts_(options_), choices_(options_.num_choices) {}

  void on_accepted(int prompt, const door::Accepted& accepted, std::string& /*out*/) override {
    counts_.on_accepted(prompt, accepted);
    head_ = head_of("chatcmpl-", accepted);
    prompt_ids_ = accepted.prompt_ids;
  }

  void on_piece(int prompt, door::Piece piece, std::string& out) override {
    const int index = counts_.index_of(prompt, piece.choice);
    if (index < 0 || finished()) return;
    counts_.on_piece(piece);
    add_text_part(piece.text, piece.parts);
    if (options_.streamed) {
      stream(index, piece.parts, {&piece.logprobs, piece.token_ids}, out);
    } else {
      keep(choices_[index], piece.parts);
      append(choices_[index].logprobs, piece.logprobs);
      append(choices_[index].token_ids, piece.token_ids);
    }
  }

  void on_prompt_logprobs(int, door::PromptLogprobs, std::string&) override {}

  void on_finished(int prompt, door::Finished finished, std::string& out) override {
    const int index = counts_.index_of(prompt, finished.choice);
    if (index < 0 || this->finished()) return;
    add_text_part(finished.text, finished.parts);
    if (options_.streamed) {
      stream(index, finished.parts, {}, out);
      counts_.on_finished(prompt, finished);
      write_finish(index, finished, out);
      if (counts_.all_ended()) write_end(kChunk, head_, options_, counts_, out);
    } else {
      keep(choices_[index], finished.parts);
      counts_.on_finished(prompt, finished);
      choices_[index].finished = std::move(finished);
    }
  }

  void on_failure(const ApiError& error, std::string& out) override {
    has_failed_ = true;
    if (options_.streamed) write_failure(Api::kChatCompletions, error, out);
  }

  void on_silence(const door::Progress* progress, std::string& out) override {
    if (options_.streamed) write_silence(progress, out);
  }

  bool finished() const override { return has_failed_ || counts_.all_ended(); }
  std::string body() override;

 private:
  static void keep(Choice& choice, const std::vector<AnswerPart>& parts);
  void stream(int index, const std::vector<AnswerPart>& parts, Extras extras, std::string& out);
  void stream_part(int index, const AnswerPart& part, Extras& extras, std::string& out);
  template <class Delta>
  void write_chunk(int index, const Extras& extras, std::string& out, Delta delta);
  void write_finish(int index, const door::Finished& finished, std::string& out);

  const AnswerOptions options_;
  AnswerCounts counts_;
  std::vector<Choice> choices_;
  AnswerHead head_;
  std::vector<TokenId> prompt_ids_;
  bool has_failed_ = false;
};

void write_reasoning(std::string_view text, JsonWriter& json) {
  json.member("reasoning_content", text).member("reasoning", text);
}

void ChatWriter::keep(Choice& choice, const std::vector<AnswerPart>& parts) {
  for (const AnswerPart& part : parts) {
    switch (part.kind) {
      case PartKind::kContent:
        choice.content += part.text;
        break;
      case PartKind::kReasoning:
        choice.reasoning += part.text;
        break;
      case PartKind::kToolCall: {
        const auto place = static_cast<size_t>(std::max(part.call_index, 0));
        const bool begins = place >= choice.calls.size();
        if (begins) choice.calls.push_back({part.call_id, part.name, ""});
        (begins ? choice.calls.back() : choice.calls[place]).arguments += part.text;
        break;
      }
    }
  }
}

// null: none were requested.
void write_logprobs(const std::vector<door::TokenLogprob>* entries, JsonWriter& json) {
  json.key("logprobs");
  if (entries == nullptr) {
    json.null();
    return;
  }
  json.open_object().key("content");
  write_chat_logprobs(*entries, json);
  json.key("refusal").null().close_object();
}

template <class Delta>
void ChatWriter::write_chunk(int index, const Extras& extras, std::string& out, Delta delta) {
  out += "data: ";
  JsonWriter json(out);
  write_head(kChunk, head_, options_, json);
  if (!choices_[index].has_begun && options_.returns_token_ids) {
    write_ids("prompt_token_ids", prompt_ids_, json);
  }
  json.key("choices").open_array().open_object().member("index", index);
  json.key("delta").open_object();
  if (!choices_[index].has_begun) json.member("role", "assistant");
  choices_[index].has_begun = true;
  delta(json);
  json.close_object();
  write_logprobs(options_.has_logprobs ? extras.logprobs : nullptr, json);
  json.key("finish_reason").null();
  if (options_.returns_token_ids) write_ids("token_ids", extras.token_ids, json);
  json.close_object().close_array();
  write_chunk_usage(options_, counts_, json);
  json.close_object();
  out += "\n\n";
}

// Ids and logprobs go with the first chunk of a piece; a piece without text makes one for them.
void ChatWriter::stream(int index,
                        const std::vector<AnswerPart>& parts,
                        Extras extras,
                        std::string& out) {
  const auto no_content = [](JsonWriter& json) { json.member("content", ""); };
  if (!choices_[index].has_begun) write_chunk(index, {}, out, no_content);
  for (const AnswerPart& part : parts) stream_part(index, part, extras, out);
  const bool has_ids = options_.returns_token_ids && !extras.token_ids.empty();
  const bool has_logprobs = options_.has_logprobs && extras.logprobs != nullptr;
  if (has_ids || (has_logprobs && !extras.logprobs->empty())) {
    write_chunk(index, extras, out, no_content);
  }
}

void ChatWriter::stream_part(int index, const AnswerPart& part, Extras& extras, std::string& out) {
  const auto chunk = [&](auto delta) {
    write_chunk(index, extras, out, delta);
    extras = {};
  };
  const auto open_call = [&](JsonWriter& json) -> JsonWriter& {
    return json.key("tool_calls").open_array().open_object().member("index", part.call_index);
  };
  if (part.kind == PartKind::kToolCall && !part.call_id.empty()) {
    chunk([&](JsonWriter& json) {
      open_call(json).member("id", part.call_id).member("type", "function");
      json.key("function").open_object().member("name", part.name).member("arguments", "");
      json.close_object().close_object().close_array();
    });
  }
  if (part.text.empty()) return;
  chunk([&](JsonWriter& json) {
    switch (part.kind) {
      case PartKind::kContent:
        json.member("content", part.text);
        break;
      case PartKind::kReasoning:
        write_reasoning(part.text, json);
        break;
      case PartKind::kToolCall:
        open_call(json).key("function").open_object().member("arguments", part.text);
        json.close_object().close_object().close_array();
        break;
    }
  });
}

void ChatWriter::write_finish(int index, const door::Finished& finished, std::string& out) {
  out += "data: ";
  JsonWriter json(out);
  write_head(kChunk, head_, options_, json);
  json.key("choices").open_array().open_object().member("index", index);
  json.key("delta").open_object().close_object().key("logprobs").null();
  write_finish_reason(finished, json);
  json.close_object().close_array();
  write_chunk_usage(options_, counts_, json);
  json.close_object();
  out += "\n\n";
}

void write_message(const Choice& choice, JsonWriter& json) {
  json.key("message").open_object().member("role", "assistant").key("content");
  if (choice.content.empty() && !choice.calls.empty()) {
    json.null();
  } else {
    json.string(choice.content);
  }
  json.key("refusal").null();
  if (!choice.reasoning.empty()) write_reasoning(choice.reasoning, json);
  if (!choice.calls.empty()) {
    json.key("tool_calls").open_array();
    for (const Call& call : choice.calls) {
      json.open_object().member("id", call.id).member("type", "function");
      json.key("function").open_object().member("name", call.name);
      json.member("arguments", call.arguments).close_object().close_object();
    }
    json.close_array();
  }
  json.close_object();
}

std::string ChatWriter::body() {
  std::string out;
  JsonWriter json(out);
  write_head("chat.completion", head_, options_, json);
  if (options_.returns_token_ids) write_ids("prompt_token_ids", prompt_ids_, json);
  json.key("choices").open_array();
  for (size_t i = 0; i < choices_.size(); ++i) {
    const Choice& choice = choices_[i];
    json.open_object().member("index", i);
    write_message(choice, json);
    write_logprobs(options_.has_logprobs ? &choice.logprobs : nullptr, json);
    write_finish_reason(choice.finished, json);
    if (options_.returns_token_ids) write_ids("token_ids", choice.token_ids, json);
    json.close_object();
  }
  json.close_array().key("usage");
  write_openai_usage(counts_.usage(), json);
  json.close_object();
  return out;
}

}  // namespace

std::unique_ptr<AnswerWriter> make_chat_writer(AnswerOptions options) {
  return std::make_unique<ChatWriter>(std::move(options));
}

}  // namespace trireme::gateway
