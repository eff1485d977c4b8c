// tokenize and detokenize: text and chats to the token ids of a model, and back.
#include <charconv>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/utf8.h"
#include "clients/cli/json_lines.h"
#include "clients/cli/prompts.h"
#include "clients/cli/request_numbers.h"
#include "clients/cli/tokenize/template_workbench.h"
#include "clients/cli/tokenize/token_output.h"
#include "clients/cli/tokenize/tokenize_chat.h"
#include "clients/cli/verbs.h"
#include "model/checkpoint/tokenizer_files.h"
#include "model/tokenizer/detokenizer.h"
#include "model/tokenizer/tokenizer.h"

namespace trireme {

namespace {

using Json = nlohmann::ordered_json;
using Ids = std::vector<TokenId>;

struct Options {
  std::string model;
  std::string tokenizer;
  std::string text;
  std::string ids;
  std::string jsonl;
  bool special = false;
  bool skip_special = false;
  bool stream = false;
  bool tokens = false;
  bool json = false;
  // Of chats.
  std::string messages;
  std::string chat_template;
  bool show_template = false;
  bool raw = false;

  bool of_chats() const {
    return !messages.empty() || !chat_template.empty() || show_template || raw;
  }
};

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Status check_model(const Options& options) {
  std::error_code error;
  if (!std::filesystem::is_directory(options.model, error)) {
    return invalid(
        "TRI-RUN-011", "--model {} is not a folder; name the folder of a model", options.model);
  }
  if (const TokenizerFiles files = find_tokenizer_files(options.model); !files.has_json) {
    return invalid("TRI-RUN-012",
                   "{} takes no text: {}; token ids work without a tokenizer",
                   options.model,
                   files.missing);
  }
  return ok_status();
}

StatusOr<std::unique_ptr<const Tokenizer>> load_tokenizer(const Options& options) {
  if (options.model.empty() == options.tokenizer.empty()) {
    return invalid("TRI-RUN-010", "give either --model DIR or --tokenizer FILE");
  }
  if (!options.tokenizer.empty()) return Tokenizer::load(options.tokenizer);
  RETURN_IF_ERROR(check_model(options));
  return Tokenizer::load_folder(options.model);
}

StatusOr<Ids> parse_ids(const std::string& text) {
  Ids ids;
  std::string number;
  const auto finish = [&]() -> Status {
    if (number.empty()) return ok_status();
    TokenId id = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), id);
    if (error != std::errc() || end != number.data() + number.size() || id < 0) {
      return invalid("TRI-RUN-013", "\"{}\" in --ids is not a token id; write 12,345,6", number);
    }
    ids.push_back(id);
    number.clear();
    return ok_status();
  };
  for (const char letter : text) {
    if (letter == ',' || letter == ' ' || letter == '[' || letter == ']' || letter == '\n') {
      RETURN_IF_ERROR(finish());
    } else {
      number += letter;
    }
  }
  RETURN_IF_ERROR(finish());
  return ids;
}

StatusOr<Json> parse_line(const std::string& line, const char* field) {
  const std::string shape = format_text("write one JSON object per line: {{\"{}\": ...}}", field);
  ASSIGN_OR_RETURN(Json json, parse_json_line(line, "TRI-RUN-014", shape));
  if (json.is_object() && json.contains(field)) return json;
  return invalid("TRI-RUN-014", "the line is not a JSON object with a field \"{}\"", field);
}

// Calls `answer_line` with each line of the file; an error names its line.
Status for_each_line(const std::string& path,
                     const std::function<Status(const std::string&)>& answer_line) {
  ASSIGN_OR_RETURN(const std::vector<NumberedLine> lines, read_lines(path));
  for (const NumberedLine& line : lines) {
    RETURN_IF_ERROR(at_line(path, line.number, answer_line(line.text)));
  }
  return ok_status();
}

Status tokenize_one(Terminal& terminal,
                    const Tokenizer& tokenizer,
                    const Options& options,
                    const std::string& text) {
  ASSIGN_OR_RETURN(const Ids ids, tokenizer.encode(text, {.add_special = options.special}));
  print_token_ids(terminal, tokenizer, ids, options.json, options.tokens);
  return ok_status();
}

void detokenize_one(Terminal& terminal,
                    const Tokenizer& tokenizer,
                    const Options& options,
                    const Ids& ids) {
  Json answer;
  if (options.stream) {
    Detokenizer detokenizer(tokenizer, options.skip_special);
    Json pieces = Json::array();
    std::string text;
    for (const TokenId id : ids) {
      const std::string piece = detokenizer.push(id);
      pieces.push_back(piece);
      text += piece;
    }
    const std::string end = detokenizer.finish();
    answer = {{"text", text + end}, {"pieces", pieces}, {"end", end}};
  } else {
    answer = {{"text", tokenizer.decode(ids, options.skip_special)}};
  }
  if (options.json) return terminal.answer_line(dump(answer));
  if (!options.stream) return terminal.answer_line(answer["text"].get<std::string>());
  for (size_t i = 0; i < ids.size(); ++i) {
    std::string id = format_text("{}", ids[i]);
    id.insert(0, id.size() < 8 ? 8 - id.size() : 0, ' ');
    terminal.answer_line(id + "  " + dump(answer["pieces"][i]));
  }
  terminal.answer_line("     end  " + dump(answer["end"]));
}

Status tokenize_all(Terminal& terminal, const Options& options) {
  ASSIGN_OR_RETURN(const auto tokenizer, load_tokenizer(options));
  if (!tokenizer->note().empty()) terminal.warn(tokenizer->note());
  if (options.jsonl.empty()) {
    RETURN_IF_ERROR(check_utf8(options.text, "the text"));
    return tokenize_one(terminal, *tokenizer, options, options.text);
  }
  Options lines_options = options;
  lines_options.json = true;
  return for_each_line(options.jsonl, [&](const std::string& line) -> Status {
    ASSIGN_OR_RETURN(const Json json, parse_line(line, "text"));
    if (!json["text"].is_string()) return invalid("TRI-RUN-014", "\"text\" is not a string");
    return tokenize_one(terminal, *tokenizer, lines_options, json["text"]);
  });
}

// Flags that a chat cannot be tokenized without, or that mean nothing for it.
Status check_chat_flags(const Options& options) {
  const char* id = "TRI-RUN-015";
  if (options.messages.empty()) {
    return invalid(id, "chats are read from a file; give --messages FILE.jsonl");
  }
  if (!options.text.empty() || !options.jsonl.empty() || options.special) {
    return invalid(id, "--messages goes with none of TEXT, --jsonl and --special");
  }
  if (!options.raw) {
    if (!options.model.empty() && options.tokenizer.empty()) return check_model(options);
    return invalid(id, "the ids of a chat need --model DIR; a template alone is rendered by --raw");
  }
  if (options.chat_template.empty() || !options.model.empty() || !options.tokenizer.empty()) {
    return invalid(id, "--raw renders a template without a model: give --chat-template FILE alone");
  }
  return ok_status();
}

StatusOr<int> tokenize_messages(Terminal& terminal, const Options& options) {
  RETURN_IF_ERROR(check_chat_flags(options));
  if (options.raw) {
    ASSIGN_OR_RETURN(const bool all_rendered,
                     render_lines(terminal, options.chat_template, options.messages));
    return all_rendered ? kDone : kAnswerIsNo;
  }
  RETURN_IF_ERROR(tokenize_chats(terminal,
                                 {.model = options.model,
                                  .chat_template = options.chat_template,
                                  .messages = options.messages,
                                  .show_template = options.show_template,
                                  .tokens = options.tokens,
                                  .json = options.json}));
  return kDone;
}

StatusOr<Ids> ids_of(const Json& json) {
  Ids ids;
  for (const Json& id : json["ids"]) {
    ASSIGN_OR_RETURN(const TokenId token_id, read_token_id("\"ids\"", id, "TRI-RUN-014"));
    ids.push_back(token_id);
  }
  return ids;
}

Status detokenize_all(Terminal& terminal, const Options& options) {
  ASSIGN_OR_RETURN(const auto tokenizer, load_tokenizer(options));
  if (!tokenizer->note().empty()) terminal.warn(tokenizer->note());
  if (options.jsonl.empty()) {
    ASSIGN_OR_RETURN(const Ids ids, parse_ids(options.ids));
    detokenize_one(terminal, *tokenizer, options, ids);
    return ok_status();
  }
  Options lines_options = options;
  lines_options.json = true;
  return for_each_line(options.jsonl, [&](const std::string& line) -> Status {
    ASSIGN_OR_RETURN(const Json json, parse_line(line, "ids"));
    ASSIGN_OR_RETURN(const Ids ids, ids_of(json));
    detokenize_one(terminal, *tokenizer, lines_options, ids);
    return ok_status();
  });
}

void add_source_flags(FlagSet& flags, Options& options) {
  flags.add("model", &options.model, "folder of the model");
  flags.add("tokenizer",
            &options.tokenizer,
            "path of a tokenizer.json, which is read alone, in place of --model");
  flags.add("jsonl", &options.jsonl, "file of one JSON object per line; - is standard input");
  flags.add("json", &options.json, "JSON (always with --jsonl)");
}

}  // namespace

int verb_tokenize(Terminal& terminal, const Arguments& arguments) {
  Options options;
  Arguments words;
  FlagSet flags("trireme tokenize [TEXT]", "text to token ids");
  flags.add("text", &options.text, "the text");
  add_source_flags(flags, options);
  flags.add("special", &options.special, "apply the post-processor (begin and end tokens)");
  flags.add("tokens", &options.tokens, "show the token of each id, too");
  const char* chats = "Chats";
  flags.add("messages", &options.messages, "chats as JSON lines: {\"messages\": [...]}", chats);
  flags.add("show-template", &options.show_template, "the rendered text, not its ids", chats);
  flags.add("chat-template", &options.chat_template, "Jinja file in place of the model's", chats);
  flags.add("raw",
            &options.raw,
            "render --chat-template alone, without a model: answers are {\"text\"} or {\"error\"}",
            chats);
  if (const auto over = parse_flags(terminal, flags, arguments, &words)) return *over;
  if (options.text.empty()) options.text = join(words, " ");
  if (options.of_chats()) {
    const auto exit_status = tokenize_messages(terminal, options);
    return exit_status.ok() ? *exit_status : terminal.fail(exit_status.status());
  }
  const Status status = tokenize_all(terminal, options);
  return status.ok() ? kDone : terminal.fail(status);
}

int verb_detokenize(Terminal& terminal, const Arguments& arguments) {
  Options options;
  Arguments words;
  FlagSet flags("trireme detokenize [IDS]", "token ids to text");
  flags.add("ids", &options.ids, "the ids: 12,345,6");
  add_source_flags(flags, options);
  flags.add("skip-special", &options.skip_special, "drop special tokens");
  flags.add("stream", &options.stream, "show the text that each id adds");
  if (const auto over = parse_flags(terminal, flags, arguments, &words)) return *over;
  if (options.ids.empty()) options.ids = join(words, " ");
  const Status status = detokenize_all(terminal, options);
  return status.ok() ? kDone : terminal.fail(status);
}

}  // namespace trireme
