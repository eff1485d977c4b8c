#include "clients/cli/models/model_description.h"

#include <algorithm>
#include <functional>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "base/text.h"
#include "base/utf8.h"
#include "model/chat/chat_format.h"
#include "model/planner.h"
#include "model/tokenizer/tokenizer.h"

namespace trireme {

namespace {

using Json = nlohmann::ordered_json;

struct Contents {
  int64_t tensors = 0;
  int64_t parameters = 0;
  int64_t bytes = 0;
  std::vector<std::string> dtypes;
};

Contents contents_of(const Checkpoint& checkpoint) {
  Contents contents;
  for (const std::string& name : checkpoint.names()) {
    const StoredTensor* tensor = checkpoint.find(name);
    int64_t elements = 1;
    for (const int64_t length : tensor->shape) elements *= length;
    ++contents.tensors;
    contents.parameters += elements;
    contents.bytes += tensor->bytes;
    const std::string dtype(name_of(tensor->dtype));
    if (std::ranges::find(contents.dtypes, dtype) == contents.dtypes.end()) {
      contents.dtypes.push_back(dtype);
    }
  }
  return contents;
}

std::string yes_or_no(const Json& value) { return value.get<bool>() ? "yes" : "no"; }

// The rows about chats. A description of several lines goes on below its first.
void print_chat(const Json& chat, const std::function<void(const char*, const std::string&)>& row) {
  if (!chat["available"].get<bool>())
    return row("chat", "no: " + chat["reason"].get<std::string>());
  row("chat",
      format_text("tools {}, reasoning {}, content as parts {}",
                  yes_or_no(chat["tools"]),
                  yes_or_no(chat["reasoning"]),
                  yes_or_no(chat["parts"])));
  if (chat.contains("no_tools")) row("", "tools: " + chat["no_tools"].get<std::string>());
  for (const std::string& line : split(chat["description"].get<std::string>(), '\n')) {
    if (!line.empty()) row("", escape_controls(line));
  }
}

}  // namespace

std::string short_count(int64_t count) {
  std::ostringstream out;
  out << std::setprecision(3);
  if (count >= 1'000'000'000) {
    out << static_cast<double>(count) / 1e9 << " B";
  } else {
    out << static_cast<double>(count) / 1e6 << " M";
  }
  return out.str();
}

std::string padded(std::string text, size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

Json describe(const ModelSource& source) {
  const ModelConfig& config = source.config;
  const Contents contents = contents_of(*source.checkpoint);
  const auto windows = std::ranges::max_element(config.layer_window);
  Json json = {{"model", escape_not_utf8(source.name)},
               {"model_type", config.model_type},
               {"parameters", contents.parameters},
               {"tensors", contents.tensors},
               {"weight_bytes", contents.bytes},
               {"stored_dtypes", contents.dtypes},
               {"layers", config.num_layers},
               {"hidden_size", config.hidden_size},
               {"intermediate_size", config.intermediate_size},
               {"heads", config.num_heads},
               {"kv_heads", config.num_kv_heads},
               {"head_dim", config.head_dim},
               {"vocabulary_size", config.vocabulary_size},
               {"max_positions", config.max_positions},
               {"sliding_window", windows == config.layer_window.end() ? 0 : *windows},
               {"tied_embeddings", config.tied_embeddings},
               {"has_tokenizer", source.tokenizer_files.has_json},
               {"eos_token_ids", source.eos_ids},
               {"tensor_parallel_sizes", allowed_tensor_parallel(config, "cpu")},
               {"fingerprint", source.checkpoint->fingerprint()}};
  if (!source.notes.empty()) json["notes"] = source.notes;
  return json;
}

static Json no_chat(const Status& status) {
  return {{"available", false}, {"reason", escape_not_utf8(message_of(status))}};
}

Json describe_chat(const ModelSource& source) {
  if (!source.tokenizer_files.has_json) {
    return no_chat(invalid("TRI-CHAT-001", "the model has no tokenizer.json"));
  }
  const auto tokenizer = Tokenizer::load_folder(source.dir);
  if (!tokenizer.ok()) return no_chat(tokenizer.status());
  const auto format = ChatFormat::load(source.dir, "", **tokenizer);
  if (!format.ok()) return no_chat(format.status());
  const ChatAbilities& abilities = (*format)->abilities();
  Json json = {{"available", true},
               {"tools", abilities.tools},
               {"reasoning", abilities.reasoning},
               {"parts", abilities.parts},
               {"description", escape_not_utf8(abilities.description)}};
  if (!abilities.no_tools.empty()) json["no_tools"] = escape_not_utf8(abilities.no_tools);
  return json;
}

void print_description(Terminal& terminal, const Json& json) {
  const auto row = [&](const char* name, const std::string& value) {
    terminal.answer_line("  " + padded(name, 16) + value);
  };
  const auto number = [&](const char* key) { return format_text("{}", json[key].get<int64_t>()); };
  terminal.answer_line(terminal.paint_out(Style::kBold, json["model"].get<std::string>()));
  row("family", json["model_type"].get<std::string>());
  row("parameters", short_count(json["parameters"]));
  row("weights",
      format_text("{} in {} tensors, {}",
                  format_bytes(json["weight_bytes"].get<double>()),
                  number("tensors"),
                  join(json["stored_dtypes"].get<std::vector<std::string>>())));
  row("layers", number("layers"));
  row("hidden", format_text("{}, MLP {}", number("hidden_size"), number("intermediate_size")));
  row("attention",
      format_text("{} heads over {} KV heads of {}",
                  number("heads"),
                  number("kv_heads"),
                  number("head_dim")));
  row("vocabulary", number("vocabulary_size") + (json["tied_embeddings"] ? ", tied" : ""));
  row("context",
      format_text("{} tokens{}",
                  number("max_positions"),
                  json["sliding_window"] > 0
                      ? format_text(", sliding window {}", number("sliding_window"))
                      : ""));
  row("tokenizer", json["has_tokenizer"] ? "tokenizer.json" : "none: accepts token ids only");
  if (json.contains("chat")) print_chat(json["chat"], row);
  row("end tokens", join(json["eos_token_ids"].get<std::vector<int>>()));
  row("-tp allowed", join(json["tensor_parallel_sizes"].get<std::vector<int>>()));
  row("fingerprint", json["fingerprint"].get<std::string>().substr(0, 16));
}

}  // namespace trireme
