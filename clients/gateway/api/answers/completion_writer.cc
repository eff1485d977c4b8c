// text_completion, streamed and not. The choices of several prompts are numbered one prompt after
// the other.
#include <algorithm>
#include <optional>
#include <utility>

#include "clients/gateway/api/answers/answer_counts.h"
#include "clients/gateway/api/answers/logprobs.h"
#include "clients/gateway/api/answers/shared_forms.h"
#include "clients/gateway/api/answers/writers.h"
#include "clients/gateway/api/api_call.h"

namespace trireme::gateway {
namespace {

constexpr const char* kObject = "text_completion";

struct Choice {
  std::string text;
  std::vector<door::TokenLogprob> logprobs;
  std::vector<TokenId> token_ids;
  std::optional<door::Finished> finished;
  size_t offset = 0;       // in characters, of the next token of its logprobs
  bool has_begun = false;  // its first chunk is written
};

// Prompt log-probabilities come in several messages and are written when they are complete.
struct PromptState {
  std::string echo;
  int32_t num_tokens = 0;
  std::vector<TokenId> ids;
  std::vector<door::TokenLogprob> entries;  // position 0 has none
  bool is_written = false;                  // streamed: its log-probabilities are
  bool is_complete() const { return std::ssize(entries) + 1 >= num_tokens; }
};

class CompletionWriter final : public AnswerWriter {
 public:
  explicit CompletionWriter(AnswerOptions options)
      : options_(std::move(options)),
        counts_(options_),
        choices_(static_cast<size_t>(options_.num_prompts) * options_.num_choices),
        prompts_(options_.num_prompts) {}

  void on_accepted(int prompt, const door::Accepted& accepted, std::string& /*out*/) override {
    if (prompt < 0 || prompt >= std::ssize(prompts_)) return;
    counts_.on_accepted(prompt, accepted);
    prompts_[prompt].num_tokens = accepted.prompt_tokens;
    prompts_[prompt].ids = accepted.prompt_ids;
    if (prompt == 0 || head_.id.empty()) head_ = head_of("cmpl-", accepted);
  }

  void on_piece(int prompt, door::Piece piece, std::string& out) override;
  void on_prompt_logprobs(int prompt, door::PromptLogprobs logprobs, std::string& out) override;
  void on_finished(int prompt, door::Finished finished, std::string& out) override;

  void on_failure(const ApiError& error, std::string& out) override {
    has_failed_ = true;
    if (options_.streamed) write_failure(Api::kCompletions, error, out);
  }

  void on_silence(const door::Progress* progress, std::string& out) override {
    if (options_.streamed) write_silence(progress, out);
  }

  bool finished() const override { return has_failed_ || counts_.all_ended(); }
  std::string body() override;

 private:
  bool wants_prompt_logprobs() const {
    return options_.prompt_logprobs || (options_.echoes && options_.has_logprobs);
  }
  void write_echo(int prompt, int index, std::string text, std::string& out);
  void stream_prompt_logprobs(int prompt, std::string& out);
  void write_chunk(int index, const Choice& part, const PromptState* prompt, std::string& out);
  void write_choice(int index, const Choice& part, const PromptState* prompt, JsonWriter& json);
  void write_logprobs(int index,
                      const std::vector<door::TokenLogprob>& entries,
                      const PromptState* prompt,
                      JsonWriter& json);
  void write_prompt_logprobs(const PromptState& prompt, JsonWriter& json) const;

  const AnswerOptions options_;
  AnswerCounts counts_;
  std::vector<Choice> choices_;
  std::vector<PromptState> prompts_;
  AnswerHead head_;
  bool has_failed_ = false;
};

size_t count_characters(std::string_view bytes) {
  return std::ranges::count_if(
      bytes, [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; });
}

// The text of the prompt's first token: what the echo has before the texts of the others.
std::string first_token_text(const PromptState& prompt) {
  std::string rest;
  for (const door::TokenLogprob& entry : prompt.entries) rest += entry.token_bytes;
  if (!prompt.echo.ends_with(rest)) return "";
  return prompt.echo.substr(0, prompt.echo.size() - rest.size());
}

void CompletionWriter::on_piece(int prompt, door::Piece piece, std::string& out) {
  const int index = counts_.index_of(prompt, piece.choice);
  if (index < 0 || finished()) return;
  if (piece.echo_bytes > 0) {
    write_echo(prompt, index, piece.text.substr(0, piece.echo_bytes), out);
    piece.text.erase(0, piece.echo_bytes);
  }
  if (options_.is_prompt_only) return;
  counts_.on_piece(piece);
  if (options_.streamed) {
    stream_prompt_logprobs(prompt, out);
    Choice part;
    part.text = std::move(piece.text);
    part.logprobs = std::move(piece.logprobs);
    part.token_ids = std::move(piece.token_ids);
    const bool has_ids = options_.returns_token_ids && !part.token_ids.empty();
    const bool has_logprobs = options_.has_logprobs && !part.logprobs.empty();
    if (!part.text.empty() || has_ids || has_logprobs) write_chunk(index, part, nullptr, out);
    return;
  }
  choices_[index].text += piece.text;
  append(choices_[index].logprobs, piece.logprobs);
  append(choices_[index].token_ids, piece.token_ids);
}

void CompletionWriter::write_echo(int prompt, int index, std::string text, std::string& out) {
  prompts_[prompt].echo = text;
  if (!options_.streamed) {
    choices_[index].text += text;
    return;
  }
  Choice part;
  part.text = std::move(text);
  write_chunk(index, part, nullptr, out);
}

void CompletionWriter::on_prompt_logprobs(int prompt,
                                          door::PromptLogprobs logprobs,
                                          std::string& out) {
  if (prompt < 0 || prompt >= std::ssize(prompts_) || finished()) return;
  PromptState& state = prompts_[prompt];
  append(state.entries, logprobs.entries);
  const bool knows_echo = !options_.echoes || !state.echo.empty();
  if (options_.streamed && state.is_complete() && knows_echo) stream_prompt_logprobs(prompt, out);
}

// Once, before the first drawn token at the latest: a prompt of one token has no entries.
void CompletionWriter::stream_prompt_logprobs(int prompt, std::string& out) {
  PromptState& state = prompts_[prompt];
  if (state.is_written || !wants_prompt_logprobs()) return;
  state.is_written = true;
  for (int choice = 0; choice < options_.num_choices; ++choice) {
    write_chunk(counts_.index_of(prompt, choice), Choice(), &state, out);
  }
  state.entries = {};
}

void CompletionWriter::on_finished(int prompt, door::Finished finished, std::string& out) {
  const int index = counts_.index_of(prompt, finished.choice);
  if (index < 0 || this->finished()) return;
  if (options_.is_prompt_only) {
    finished.text.clear();
    finished.output_tokens = 0;
    finished.reason = door::FinishReason::kLength;
  }
  counts_.on_finished(prompt, finished);
  if (!options_.streamed) {
    choices_[index].text += finished.text;
    choices_[index].finished = std::move(finished);
    return;
  }
  Choice part;
  part.text = finished.text;
  part.finished = std::move(finished);
  stream_prompt_logprobs(prompt, out);
  write_chunk(index, part, nullptr, out);
  if (counts_.all_ended()) write_end(kObject, head_, options_, counts_, out);
}

void CompletionWriter::write_chunk(int index,
                                   const Choice& part,
                                   const PromptState* prompt,
                                   std::string& out) {
  out += "data: ";
  JsonWriter json(out);
  write_head(kObject, head_, options_, json);
  json.key("choices").open_array();
  write_choice(index, part, prompt, json);
  json.close_array();
  write_chunk_usage(options_, counts_, json);
  json.close_object();
  out += "\n\n";
}

// `prompt`: its log-probabilities come with this part.
void CompletionWriter::write_choice(int index,
                                    const Choice& part,
                                    const PromptState* prompt,
                                    JsonWriter& json) {
  json.open_object().member("index", index).member("text", part.text).key("logprobs");
  const bool has_prompt = prompt != nullptr && options_.echoes;
  if (options_.has_logprobs && (has_prompt || !part.logprobs.empty() || !options_.streamed)) {
    write_logprobs(index, part.logprobs, has_prompt ? prompt : nullptr, json);
  } else {
    json.null();
  }
  if (prompt != nullptr && options_.prompt_logprobs) {
    json.key("prompt_logprobs");
    write_prompt_logprobs(*prompt, json);
  }
  if (part.finished) {
    write_finish_reason(*part.finished, json);
  } else {
    json.key("finish_reason").null();
  }
  if (options_.returns_token_ids) {
    write_ids("token_ids", part.token_ids, json);
    if (!choices_[index].has_begun) {
      write_ids("prompt_token_ids", prompts_[index / options_.num_choices].ids, json);
    }
  }
  choices_[index].has_begun = true;
  json.close_object();
}

void write_top(const door::TokenLogprob& entry, JsonWriter& json) {
  json.open_object();
  bool has_token = false;
  for (size_t i = 0; i < entry.top.size(); ++i) {
    has_token = has_token || entry.top[i].id == entry.token.id;
    json.text_key(token_text(top_bytes(entry, i))).number(entry.top[i].logprob);
  }
  if (!has_token) json.text_key(token_text(entry.token_bytes)).number(entry.token.logprob);
  json.close_object();
}

void CompletionWriter::write_logprobs(int index,
                                      const std::vector<door::TokenLogprob>& entries,
                                      const PromptState* prompt,
                                      JsonWriter& json) {
  size_t& offset = choices_[index].offset;
  std::vector<const door::TokenLogprob*> all;  // null: the prompt's first token
  const std::string first = prompt != nullptr ? first_token_text(*prompt) : "";
  if (prompt != nullptr) {
    all.push_back(nullptr);
    for (const door::TokenLogprob& entry : prompt->entries) all.push_back(&entry);
  }
  for (const door::TokenLogprob& entry : entries) all.push_back(&entry);

  json.open_object().key("tokens").open_array();
  for (const auto* entry : all) {
    json.string(entry == nullptr ? first : token_text(entry->token_bytes));
  }
  json.close_array().key("token_logprobs").open_array();
  for (const auto* entry : all) {
    if (entry == nullptr) {
      json.null();
    } else {
      json.number(entry->token.logprob);
    }
  }
  json.close_array().key("top_logprobs").open_array();
  for (const auto* entry : all) {
    if (entry == nullptr) {
      json.null();
    } else {
      write_top(*entry, json);
    }
  }
  json.close_array().key("text_offset").open_array();
  for (const auto* entry : all) {
    json.integer(offset);
    offset += count_characters(entry == nullptr ? first : entry->token_bytes);
  }
  json.close_array().close_object();
}

// One object per position, from id to log-probability; null for position 0.
void CompletionWriter::write_prompt_logprobs(const PromptState& prompt, JsonWriter& json) const {
  json.open_array().null();
  const auto write = [&](const TokenAndLogprob& token, std::string_view bytes, int rank) {
    json.key(std::to_string(token.id)).open_object().key("logprob").number(token.logprob);
    json.key("rank");
    if (rank > 0) {
      json.integer(rank);
    } else {
      json.null();
    }
    json.member("decoded_token", token_text(bytes)).close_object();
  };
  for (const door::TokenLogprob& entry : prompt.entries) {
    json.open_object();
    bool has_token = false;
    for (size_t i = 0; i < entry.top.size(); ++i) {
      has_token = has_token || entry.top[i].id == entry.token.id;
      write(entry.top[i], top_bytes(entry, i), static_cast<int>(i) + 1);
    }
    if (!has_token) write(entry.token, entry.token_bytes, 0);
    json.close_object();
  }
  json.close_array();
}

std::string CompletionWriter::body() {
  std::string out;
  JsonWriter json(out);
  write_head(kObject, head_, options_, json);
  json.key("choices").open_array();
  for (size_t i = 0; i < choices_.size(); ++i) {
    const PromptState* const prompt =
        wants_prompt_logprobs() ? &prompts_[i / options_.num_choices] : nullptr;
    write_choice(static_cast<int>(i), choices_[i], prompt, json);
  }
  json.close_array().key("usage");
  write_openai_usage(counts_.usage(), json);
  json.close_object();
  return out;
}

}  // namespace

std::unique_ptr<AnswerWriter> make_completion_writer(AnswerOptions options) {
  return std::make_unique<CompletionWriter>(std::move(options));
}

}  // namespace trireme::gateway
