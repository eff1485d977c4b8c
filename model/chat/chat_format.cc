#include "model/chat/chat_format.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/json_value.h"
#include "base/text.h"
#include "model/chat/answer/answer_format.h"
#include "model/chat/answer/call_forcing.h"
#include "model/chat/dialect/dialect_finder.h"
#include "model/chat/rendering/chat_template.h"
#include "model/chat/rendering/template_source.h"
#include "model/chat/tool_types.h"
#include "model/tokenizer/tokenizer.h"

namespace trireme {
namespace {

constexpr size_t kNone = std::string::npos;

// A template and how the answers to its prompts are read.
struct Style {
  std::string source;
  ChatTemplate chat_template;
  FoundDialect found;
  std::shared_ptr<const Dialect> dialect;  // shared with the formats of requests
};

StatusOr<Style> make_style(const std::string& text, const TemplateSources& sources) {
  Style style;
  style.source = text;
  ASSIGN_OR_RETURN(style.chat_template, ChatTemplate::compile(text, sources.path, sources.tokens));
  style.found = find_dialect(style.chat_template);
  style.dialect = std::make_shared<const Dialect>(style.found.dialect);
  return style;
}

std::vector<GuardedRange> guarded_ranges(const MarkedText& marked) {
  std::vector<GuardedRange> ranges;
  ranges.reserve(marked.origins.size());
  for (const OriginRange& range : marked.origins) {
    if (range.origin == Origin::kTemplate) continue;
    ranges.push_back({range.begin, range.end, range.origin == Origin::kAssistant});
  }
  return ranges;
}

// The end of the last `header` that the template wrote itself, if the answer begins there: after it
// stand no bytes of a message but those of an answer that is continued. Else npos.
size_t end_of_header(const MarkedText& marked, const std::string& header, bool continued) {
  if (header.empty()) return kNone;
  const std::vector<GuardedRange> ranges = guarded_ranges(marked);
  const TokenAllowed written = allowed_outside(ranges);
  const auto foreign = [&](const GuardedRange& range) {
    return range.begin < range.end && !(continued && range.only_special);
  };
  const auto last = std::ranges::find_if(ranges.rbegin(), ranges.rend(), foreign);
  const size_t first = last == ranges.rend() ? 0 : last->end;
  for (size_t at = marked.text.rfind(header); at != kNone && at >= first;
       at = at == 0 ? kNone : marked.text.rfind(header, at - 1)) {
    if (!written || written(at, at + header.size(), true)) return at + header.size();
  }
  return kNone;
}

std::string_view without_end_blanks(std::string_view text) {
  while (!text.empty() && std::string_view(" \n\t\r").find(text.back()) != kNone) {
    text.remove_suffix(1);
  }
  return text;
}

// Cuts a rendered chat behind the content of its last message, which the answer continues.
Status cut_for_continuation(RenderedChat& chat) {
  const std::string_view content = without_end_blanks(chat.last_content);
  if (chat.last_role != "assistant" || content.empty()) {
    return invalid("TRI-CHAT-006",
                   "the last message is no assistant message with text, so nothing can be "
                   "continued; let one be the last");
  }
  size_t end = 0;
  for (const OriginRange& range : chat.marked.origins) {
    if (range.origin == Origin::kAssistant) end = range.end;
  }
  std::string& text = chat.marked.text;
  const std::string_view tail =
      content.substr(content.size() - std::min<size_t>(64, content.size()));
  if (!without_end_blanks(std::string_view(text).substr(0, end)).ends_with(tail)) {
    return invalid("TRI-CHAT-004",
                   "this model's chat template does not show the last message as it is, so it "
                   "cannot be continued; end the chat with another message");
  }
  text.resize(end);
  std::erase_if(chat.marked.origins, [end](const OriginRange& r) { return r.begin >= end; });
  return ok_status();
}

}  // namespace

struct ChatFormat::State {
  const Tokenizer* tokenizer;
  Style plain;
  std::optional<Style> tool_use;
  ChatAbilities abilities;

  const Style& tool_style() const { return tool_use ? *tool_use : plain; }

  StatusOr<std::vector<ToolTypes>> tools_of(ChatRequest& request) const;
  Status check_choice(const ChatRequest& request, const std::vector<ToolTypes>& tools) const;
  Status finish(const ChatRequest& request,
                const Style& style,
                std::vector<ToolTypes> tools,
                RenderedChat& chat,
                ChatPrompt& prompt) const;
};

// The tools that the template sees.
StatusOr<std::vector<ToolTypes>> ChatFormat::State::tools_of(ChatRequest& request) const {
  std::vector<ToolTypes> tools;
  if (request.tool_choice != ToolChoice::kNone) {
    auto read = read_tool_types(request.tools_json);
    if (!read.ok()) return with_field(read.status(), "tools");
    tools = std::move(*read);
  }
  if (tools.empty()) request.tools_json.clear();
  const Status status = check_choice(request, tools);
  const bool is_choice = error_id(status) == "TRI-CHAT-006";
  if (!status.ok()) return with_field(status, is_choice ? "tool_choice" : "tools");
  return tools;
}

Status ChatFormat::State::check_choice(const ChatRequest& request,
                                       const std::vector<ToolTypes>& tools) const {
  if (!tools.empty() && !abilities.tools) {
    return invalid("TRI-CHAT-005",
                   "this model's chat template cannot be used with tools: {}; send none, or give "
                   "another template with --chat-template FILE",
                   abilities.no_tools);
  }
  const bool forced =
      request.tool_choice == ToolChoice::kRequired || request.tool_choice == ToolChoice::kNamed;
  if (!forced) return ok_status();
  if (tools.empty()) {
    return invalid("TRI-CHAT-006", "tool_choice asks for a call, and there are no tools");
  }
  if (request.continue_final_message || request.no_generation_prompt) {
    return invalid("TRI-CHAT-006",
                   "tool_choice asks for a call, which an answer without a beginning cannot have");
  }
  const bool known = std::ranges::any_of(
      tools, [&](const ToolTypes& tool) { return tool.name == request.tool_name; });
  if (request.tool_choice == ToolChoice::kRequired || known) return ok_status();
  return invalid("TRI-CHAT-006",
                 "tool_choice names the function \"{}\", which is none of the tools",
                 request.tool_name);
}

ChatFormat::ChatFormat(std::unique_ptr<const State> state) : state_(std::move(state)) {}
ChatFormat::~ChatFormat() = default;

std::shared_ptr<const Dialect> ChatFormat::dialect(bool with_tools) const {
  return with_tools ? state_->tool_style().dialect : state_->plain.dialect;
}

std::string ChatFormat::sources() const {
  const std::string& plain = state_->plain.source;
  return state_->tool_use ? plain + '\0' + state_->tool_use->source : plain;
}

StatusOr<std::unique_ptr<const ChatFormat>> ChatFormat::load(const std::string& folder,
                                                             const std::string& template_file,
                                                             const Tokenizer& tokenizer) {
  ASSIGN_OR_RETURN(const TemplateSources sources, find_template(folder, template_file));
  auto state = std::make_unique<State>();
  state->tokenizer = &tokenizer;
  ASSIGN_OR_RETURN(state->plain, make_style(sources.text, sources));
  if (sources.tool_use) {
    ASSIGN_OR_RETURN(state->tool_use, make_style(*sources.tool_use, sources));
  }
  const FoundDialect& plain = state->plain.found;
  const FoundDialect& tools = state->tool_style().found;
  ChatAbilities& abilities = state->abilities;
  abilities.tools = tools.tools;
  abilities.reasoning = plain.reasoning;
  abilities.parts = plain.form.takes_parts("user");
  abilities.no_tools = tools.no_tools;
  abilities.description = describe_dialect(plain);
  if (state->tool_use) abilities.description += "with tools:\n" + describe_dialect(tools);
  return std::unique_ptr<const ChatFormat>(new ChatFormat(std::move(state)));
}

StatusOr<ChatPrompt> ChatFormat::prompt_of(const ChatRequest& chat_request, int64_t now_s) const {
  ChatRequest request = chat_request;
  ASSIGN_OR_RETURN(std::vector<ToolTypes> tools, state_->tools_of(request));
  const Style& style = tools.empty() ? state_->plain : state_->tool_style();
  const bool add_prompt = !request.no_generation_prompt && !request.continue_final_message;
  ASSIGN_OR_RETURN(RenderedChat chat, style.chat_template.render(request, add_prompt, now_s));
  if (chat.has_calls && !style.found.shows_calls) {
    return invalid("TRI-CHAT-004",
                   "the chat has tool calls, and this model's chat template does not show them; "
                   "leave them out");
  }
  if (request.continue_final_message) RETURN_IF_ERROR(cut_for_continuation(chat));
  ChatPrompt prompt;
  RETURN_IF_ERROR(state_->finish(request, style, std::move(tools), chat, prompt));
  return prompt;
}

// Encodes the rendered chat and finds out in which state its answer begins.
Status ChatFormat::State::finish(const ChatRequest& request,
                                 const Style& style,
                                 std::vector<ToolTypes> tools,
                                 RenderedChat& chat,
                                 ChatPrompt& prompt) const {
  const std::vector<GuardedRange> guarded = guarded_ranges(chat.marked);
  ASSIGN_OR_RETURN(prompt.ids,
                   tokenizer->encode(chat.marked.text, {.add_special = false, .guarded = guarded}));
  prompt.text = std::move(chat.marked.text);
  if (request.raw) return ok_status();
  auto format = std::make_shared<AnswerFormat>();
  format->dialect = style.dialect;
  format->reads_calls = !tools.empty();
  format->one_call = request.one_call;
  format->tools = std::move(tools);
  if (!request.no_generation_prompt || request.continue_final_message) {
    chat.marked.text = prompt.text;
    const bool continued = request.continue_final_message;
    const size_t begin = end_of_header(chat.marked, style.dialect->header, continued);
    if (begin != kNone) format->opened = prompt.text.substr(begin);
    if (begin == kNone && continued) format->opened = chat.last_content;
  }
  const bool forced =
      request.tool_choice == ToolChoice::kRequired || request.tool_choice == ToolChoice::kNamed;
  if (forced) {
    std::vector<std::string> names;
    for (const ToolTypes& tool : format->tools) {
      if (request.tool_choice == ToolChoice::kRequired || tool.name == request.tool_name) {
        names.push_back(tool.name);
      }
    }
    const bool in_reasoning = AnswerParser(format, 0).in_reasoning();
    ASSIGN_OR_RETURN(ForcedOpening opening, force_call(*tokenizer, *format, names, in_reasoning));
    prompt.text += opening.text;
    prompt.ids.insert(prompt.ids.end(), opening.ids.begin(), opening.ids.end());
    format->forced = std::move(opening.text);
  }
  prompt.format = std::move(format);
  return ok_status();
}

const ChatAbilities& ChatFormat::abilities() const { return state_->abilities; }

}  // namespace trireme
