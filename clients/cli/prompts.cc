#include "clients/cli/prompts.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "base/json_value.h"
#include "base/text.h"
#include "base/utf8.h"
#include "clients/cli/chat_line.h"
#include "clients/cli/json_lines.h"
#include "clients/cli/request_numbers.h"
#include "clients/cli/sampling_flags.h"

namespace trireme {

namespace {

using Json = nlohmann::ordered_json;

StatusOr<std::vector<TokenId>> read_token_ids(const Json& value) {
  std::vector<TokenId> ids;
  for (const Json& item : value) {
    ASSIGN_OR_RETURN(const TokenId id, read_token_id("\"token_ids\"", item, "TRI-RUN-022"));
    ids.push_back(id);
  }
  return ids;
}

// Takes the fields of the prompt out of `json`, the value of `line`.
Status read_prompt(const std::string& line, Json& json, door::Submit& submit) {
  const int given = static_cast<int>(json.contains("prompt") + json.contains("token_ids") +
                                     json.contains("messages"));
  if (given != 1) {
    return invalid(
        "TRI-RUN-022",
        "a line has exactly one of \"prompt\", \"token_ids\" and \"messages\", this one {}",
        given);
  }
  if (json.contains("messages")) {
    ASSIGN_OR_RETURN(const JsonValue value,
                     JsonValue::parse(line, "TRI-RUN-022", "the line", JsonNumbers::kAnySize));
    ASSIGN_OR_RETURN(submit.prompt, read_chat(value, "TRI-RUN-022"));
    for (const std::string& field : chat_fields()) json.erase(field);
    return ok_status();
  }
  for (const std::string& field : chat_fields()) {
    if (!json.contains(field)) continue;
    return invalid("TRI-RUN-022", "the field \"{}\" goes with \"messages\" only", field);
  }
  if (json.contains("prompt")) {
    if (!json["prompt"].is_string()) return invalid("TRI-RUN-022", "\"prompt\" is not a string");
    submit.prompt = json["prompt"].get<std::string>();
  } else {
    if (!json["token_ids"].is_array()) return invalid("TRI-RUN-022", "\"token_ids\" is not a list");
    ASSIGN_OR_RETURN(submit.prompt, read_token_ids(json["token_ids"]));
  }
  json.erase("prompt");
  json.erase("token_ids");
  return ok_status();
}

StatusOr<Prompt> parse_prompt(const NumberedLine& line, const door::Submit& defaults) {
  static const std::vector<std::string> kFields = {"id",
                                                   "prompt",
                                                   "token_ids",
                                                   "messages",
                                                   "max_tokens",
                                                   "min_tokens",
                                                   "temperature",
                                                   "top_k",
                                                   "top_p",
                                                   "min_p",
                                                   "repetition_penalty",
                                                   "stop",
                                                   "ignore_eos",
                                                   "presence_penalty",
                                                   "frequency_penalty",
                                                   "logit_bias",
                                                   "seed",
                                                   "n",
                                                   "logprobs",
                                                   "prompt_logprobs",
                                                   "stop_token_ids",
                                                   "echo",
                                                   "output_len",
                                                   "skip_special_tokens",
                                                   "priority"};
  const std::string shape = "write one JSON object per line: {\"prompt\": ...}";
  ASSIGN_OR_RETURN(Json json, parse_json_line(line.text, "TRI-RUN-021", shape));
  if (!json.is_object()) {
    return invalid(
        "TRI-RUN-021", "\"{}\" is not a JSON object; {}", utf8_head(line.text, 60), shape);
  }
  Prompt prompt;
  prompt.line_number = line.number;
  prompt.id = format_text("{}", line.number);
  prompt.submit = defaults;
  if (const auto id = json.find("id"); id != json.end()) {
    prompt.id = id->is_string() ? id->get<std::string>() : id->dump();
    json.erase(id);
  }
  RETURN_IF_ERROR(read_prompt(line.text, json, prompt.submit));
  if (json.contains("output_len") && !json.contains("max_tokens")) {
    json["max_tokens"] = json["output_len"];  // name used by data sets of serving benchmarks
  }
  json.erase("output_len");
  RETURN_IF_ERROR(read_priority(json, prompt.submit));
  RETURN_IF_ERROR(read_sampling(json, prompt.submit.sampling));
  if (!json.empty()) {
    const std::string name = json.begin().key();
    const std::string near = nearest(name, kFields);
    return invalid("TRI-RUN-024",
                   "unknown field \"{}\"{}",
                   utf8_head(name, 60),
                   near.empty() ? "" : format_text("; did you mean \"{}\"?", near));
  }
  RETURN_IF_ERROR(check_sampling(prompt.submit.sampling, 0));
  return prompt;
}

Status check_ids(const std::vector<TokenId>& ids, int64_t vocabulary_size) {
  for (const TokenId id : ids) {
    if (id < vocabulary_size) continue;
    return invalid(
        "TRI-RUN-026", "token id {} is outside the vocabulary of {} ids", id, vocabulary_size);
  }
  return ok_status();
}

Status check_prompt(const Prompt& prompt, const LocalModel& model, int64_t max_model_len) {
  const ModelSource& source = model.source;
  const Tokenizer* tokenizer = model.tokenizer;
  std::vector<TokenId> encoded;
  const auto* ids = std::get_if<std::vector<TokenId>>(&prompt.submit.prompt);
  if (const auto* text = std::get_if<std::string>(&prompt.submit.prompt)) {
    if (tokenizer == nullptr) {
      return invalid(
          "TRI-RUN-025",
          "{} takes no text: {}; token ids work without a tokenizer (--prompts FILE with "
          "{{\"token_ids\": [...]}})",
          source.name,
          source.tokenizer_files.missing);
    }
    ASSIGN_OR_RETURN(encoded,
                     tokenizer->encode(*text, {.add_special = prompt.submit.add_special_tokens}));
    ids = &encoded;
  }
  if (const auto* chat = std::get_if<ChatRequest>(&prompt.submit.prompt)) {
    RETURN_IF_ERROR(model.no_chat);
    ASSIGN_OR_RETURN(ChatPrompt rendered, model.chat->prompt_of(*chat, std::time(nullptr)));
    encoded = std::move(rendered.ids);
    ids = &encoded;
  }
  if (ids->empty()) {
    return invalid("TRI-RUN-028", "the prompt has no tokens; give at least one");
  }
  RETURN_IF_ERROR(check_ids(*ids, source.config.vocabulary_size));
  // A score or a probe may fill the model; an answer needs room for one token.
  const bool generates = prompt.submit.kind == door::Kind::kGenerate;
  const int64_t longest = max_model_len - (generates ? 1 : 0);
  if (static_cast<int64_t>(ids->size()) > longest) {
    return invalid("TRI-RUN-027",
                   "the prompt has {} tokens; at most {} {}; shorten it",
                   ids->size(),
                   longest,
                   generates ? "leave room for an answer" : "fit");
  }
  return check_sampling(prompt.submit.sampling, source.config.vocabulary_size);
}

}  // namespace

Status at_line(const std::string& path, int64_t number, const Status& status) {
  if (status.ok() || number == 0) return status;
  const std::string file = path == "-" ? std::string("standard input") : escape_controls(path);
  return absl::Status(
      status.code(),
      format_text(
          "{}: {} line {}: {}", error_id(status), file, number, message_without_id(status)));
}

StatusOr<std::vector<Prompt>> read_prompts(const std::string& path, const door::Submit& defaults) {
  ASSIGN_OR_RETURN(const std::vector<NumberedLine> lines, read_lines(path));
  std::vector<Prompt> prompts;
  for (const NumberedLine& line : lines) {
    auto prompt = parse_prompt(line, defaults);
    if (!prompt.ok()) return at_line(path, line.number, prompt.status());
    prompts.push_back(std::move(*prompt));
  }
  if (prompts.empty()) {
    return invalid("TRI-RUN-021", "{} has no lines; write {{\"prompt\": ...}} on each", path);
  }
  return prompts;
}

Status check_prompts(const std::vector<Prompt>& prompts,
                     const std::string& path,
                     const LocalModel& model,
                     int64_t max_model_len) {
  const int64_t longest = max_model_len > 0 ? max_model_len : model.source.config.max_positions;
  for (const Prompt& prompt : prompts) {
    RETURN_IF_ERROR(at_line(path, prompt.line_number, check_prompt(prompt, model, longest)));
  }
  return ok_status();
}

}  // namespace trireme
