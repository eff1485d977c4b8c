#include "model/chat/dialect/dialect_finder.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "model/chat/answer/marker_match.h"
#include "model/chat/dialect/answer_place.h"
#include "model/chat/dialect/atoms.h"
#include "model/chat/dialect/call_finder.h"
#include "model/chat/dialect/dialect_check.h"
#include "model/chat/dialect/message_form.h"
#include "model/chat/dialect/probe_chat.h"

namespace trireme {
namespace {

constexpr size_t kNone = std::string::npos;

bool is_blank_text(std::string_view text) { return count_blanks(text) == text.size(); }

std::string without_blanks(std::string_view text) {
  std::string out;
  std::ranges::copy_if(text, std::back_inserter(out), [](char c) { return !is_blank(c); });
  return out;
}

// The text behind the user's message: what stands before it may depend on whether it is the last.
std::string after_user(const std::string& text) {
  const size_t at = text.rfind(kProbeUser);
  return at == kNone ? text : text.substr(at + kProbeUser.size());
}

ProbeAnswer answer_of(std::string_view content, std::string_view reasoning = {}) {
  return {std::string(content), std::string(reasoning), {}};
}

class DialectFinder {
 public:
  explicit DialectFinder(ChatTemplate& chat_template)
      : template_(chat_template), probe_(chat_template) {}

  FoundDialect find() {
    find_message_form(template_);
    found_.form = template_.form();
    if (!find_place()) return std::move(found_);
    find_content();
    find_reasoning();
    check_texts();
    find_tools();
    found_.form = template_.form();
    return std::move(found_);
  }

 private:
  bool find_place() {
    prompt_ = prompt(false, true);
    if (!prompt_) {  // a template for tools only
      const std::string error = probe_.error();
      always_tools_ = true;
      prompt_ = prompt(false, true);
      if (!prompt_) return fail("a chat of one message is refused: " + error);
    }
    const auto plain = prompt(false, false);
    if (!prompt_ || !plain) return fail("a chat of one message is refused: " + probe_.error());
    content_ = answered(answer_of(kProbeContent), false);
    if (!content_) return fail("an answer is refused: " + probe_.error());
    place_.emplace(*prompt_, *plain);
    if (!place_->add(*prompt_, *content_)) return fail("answers do not follow their prompts");
    reasoned_ = answered(answer_of(kProbeContent, kProbeThought), false);
    if (reasoned_ && !place_->add(*prompt_, *reasoned_)) reasoned_.reset();
    const auto tools_shown = probe_.render({probe_user()}, true, true);
    if (!tools_shown) {
      no_tools_ = "a chat with tools is refused: " + probe_.error();
    } else if (tools_shown->find(kProbeTool) == kNone) {
      no_tools_ = "the template does not show tools";
    } else {
      tool_prompt_ = after_user(*tools_shown);
    }
    find_calls_form();
    if (called_ && tool_prompt_ && !place_->add(*tool_prompt_, *called_)) {
      called_.reset();
      no_tools_ = "tool calls are not written where answers are";
    }
    found_.answers = true;
    found_.dialect.header = place_->header();
    return true;
  }

  bool fail(std::string fault) {
    found_.fault = fault;
    found_.no_tools = std::move(fault);
    return false;
  }

  std::optional<std::string> prompt(bool with_tools, bool add_generation_prompt) {
    auto text = probe_.render({probe_user()}, with_tools || always_tools_, add_generation_prompt);
    if (text) text = after_user(*text);
    return text;
  }

  std::optional<std::string> answered(const ProbeAnswer& answer, bool with_tools) {
    auto text = probe_.render({probe_user(), probe_message(answer, found_.dialect.calls.short_ids)},
                              with_tools || always_tools_,
                              false);
    if (text) text = after_user(*text);
    return text;
  }

  ProbeAnswer one_call() const {
    return {{}, {}, {{std::string(kProbeTool), probe_two_arguments()}}};
  }

  // Arguments as an object, else as text; ids of 29 characters, else of 9.
  void find_calls_form() {
    std::string error;
    for (const bool as_text : {false, true}) {
      for (const bool short_ids : {false, true}) {
        MessageForm form = template_.form();
        form.arguments_as_text = as_text;
        template_.set_form(form);
        found_.dialect.calls.short_ids = short_ids;
        called_ = answered(one_call(), true);
        if (called_ && called_->rfind(kProbeLastValue) == kNone) called_.reset();
        if (called_ && called_->rfind("'zq_last'") != kNone) called_.reset();  // Python's repr
        if (called_) return;
        if (error.empty()) error = probe_.error();
      }
    }
    MessageForm form = template_.form();
    form.arguments_as_text = false;
    template_.set_form(form);
    found_.dialect.calls.short_ids = false;
    if (!no_tools_.empty()) return;
    no_tools_ = error.empty() ? "the template does not show tool calls"
                              : "a tool call is refused: " + error;
  }

  void find_content() {
    const auto answer = place_->answer_in(*prompt_, *content_);
    const size_t at = answer ? answer->find(kProbeContent) : kNone;
    if (at == kNone) {
      fail("the content of an answer is not shown");
      found_.answers = false;
      return;
    }
    before_content_ = answer->substr(0, at);
    if (!opened_tag_taken_ && take_opened_tag()) return find_content();
    content_tail_ = answer->substr(at + kProbeContent.size());
  }

  // Prompts and all answers may open the same tag, which answers then close: it is theirs.
  bool take_opened_tag() {
    opened_tag_taken_ = true;
    const std::string header = place_->header();
    const auto atoms = atoms_of(header);
    size_t blanks = 0;
    size_t last = atoms.size();
    while (last > 0 && is_blank_text(atoms[last - 1])) blanks += atoms[--last].size();
    if (last == 0 || atoms[last - 1].size() < 3) return false;
    const std::string tag(atoms[last - 1]);
    const std::string close = tag.substr(0, 1) + "/" + tag.substr(1);
    const auto answer = reasoned_ ? place_->answer_in(*prompt_, *reasoned_) : std::nullopt;
    const size_t content = answer ? answer->rfind(kProbeContent) : kNone;
    const bool closed = before_content_.find(close) != kNone ||
                        (content != kNone && answer->substr(0, content).find(close) != kNone);
    if (!closed || (tag[0] != '<' && tag[0] != '[')) return false;
    place_->take_back(tag.size() + blanks);
    found_.dialect.header = place_->header();
    return true;
  }

  void find_reasoning() {
    if (!found_.answers) return;
    Dialect& dialect = found_.dialect;
    const auto answer = reasoned_ ? place_->answer_in(*prompt_, *reasoned_) : std::nullopt;
    const size_t thought = answer ? answer->find(kProbeThought) : kNone;
    const size_t content = answer ? answer->rfind(kProbeContent) : kNone;
    if (thought != kNone && content != kNone && thought < content) {
      const size_t end = thought + kProbeThought.size();
      set_reasoning(answer->substr(0, thought), answer->substr(end, content - end));
    } else {
      find_stripped_reasoning();
    }
    const bool has_head = before_content_.find('<') != kNone;
    if (!dialect.reasoning_open.present() && has_head) {
      set_segments();
    } else if (!segments_) {
      dialect.content_open = make_marker(is_blank_text(before_content_) ? before_content_ : "");
    }
    found_.reasoning = dialect.reasoning_open.present() && dialect.reasoning_close.present();
  }

  void set_reasoning(const std::string& open, const std::string& close) {
    Dialect& dialect = found_.dialect;
    dialect.reasoning_open = make_marker(open);
    dialect.reasoning_close = make_marker(close);
    // Without reasoning, the content follows a head of its own, or an empty block of reasoning,
    // or the end of reasoning alone.
    const std::string before = without_blanks(before_content_);
    const bool empty_block =
        before == without_blanks(open + close) || before == without_blanks(close);
    if (empty_block || before_content_.find('<') == kNone) return;
    const size_t common = common_atom_suffix(close, before_content_);
    if (common != before_content_.size()) return;
    segments_ = true;
    dialect.content_open = make_marker(before_content_);
    dialect.reasoning_close = make_marker(close.substr(0, close.size() - common));
    dialect.segment_end = dialect.reasoning_close;
  }

  // Content that has a head of its own; two answers in a row show what stands between segments.
  void set_segments() {
    Dialect& dialect = found_.dialect;
    segments_ = true;
    dialect.content_open = make_marker(before_content_);
    const auto both = probe_.render({probe_user(),
                                     probe_message(answer_of(kProbeContent), false),
                                     probe_message(answer_of(kProbeSecond), false)},
                                    false,
                                    false);
    const size_t first = both ? both->find(kProbeContent) : kNone;
    const size_t second = both ? both->find(kProbeSecond) : kNone;
    if (first == kNone || second == kNone || second < first) return;
    const size_t begin = first + kProbeContent.size();
    const std::string between = both->substr(begin, second - begin);
    const size_t common = common_atom_suffix(between, before_content_);
    if (common == before_content_.size()) {
      dialect.segment_end = make_marker(between.substr(0, between.size() - common));
    }
  }

  // Reasoning that the template never writes: its tag is what a prompt opens, or one that the
  // template cuts out of earlier answers.
  void find_stripped_reasoning() {
    std::vector<std::string> tags = tags_in(place_->opened());
    const bool opened = !tags.empty();
    if (!opened) tags = closing_tags(template_.source());
    const Marker before = make_marker(before_content_);
    const auto closes = atoms_of(before.core);
    if (closes.size() == 1 && closes[0].starts_with("</")) {  // an end without its begin
      found_.dialect.reasoning_open = make_marker("<" + before.core.substr(2));
      found_.dialect.reasoning_close = before;
      return;
    }
    for (const std::string& tag : tags) {
      const std::string open = "<" + tag + ">\n";
      const std::string close = "\n</" + tag + ">\n\n";
      std::string text = open;
      text += kProbeThought;
      text += close;
      text += kProbeContent;
      const auto later = probe_.render(
          {probe_user(), probe_message(answer_of(text), false), probe_user()}, false, false);
      const bool cut =
          later && later->find(kProbeThought) == kNone && later->find(kProbeContent) != kNone;
      if (!cut && !opened) continue;
      found_.dialect.reasoning_open = make_marker(opened ? place_->opened() : open);
      found_.dialect.reasoning_close = make_marker(close);
      return;
    }
  }

  static std::vector<std::string> tags_in(std::string_view opened) {
    const Marker marker = make_marker(opened);
    const auto atoms = atoms_of(marker.core);
    if (atoms.size() != 1 || atoms[0].size() < 3 || atoms[0][0] != '<') return {};
    return {std::string(atoms[0].substr(1, atoms[0].size() - 2))};
  }

  // Names in "</name>" within the template's text.
  static std::vector<std::string> closing_tags(std::string_view source) {
    constexpr size_t kMaxTags = 16;
    std::vector<std::string> tags;
    for (size_t at = source.find("</"); at != kNone; at = source.find("</", at + 2)) {
      size_t end = at + 2;
      while (end < source.size() &&
             (std::isalnum(static_cast<unsigned char>(source[end])) || source[end] == '_')) {
        ++end;
      }
      if (end == source.size() || source[end] != '>' || end == at + 2) continue;
      const std::string name(source.substr(at + 2, end - at - 2));
      if (tags.size() < kMaxTags && std::ranges::find(tags, name) == tags.end()) {
        tags.push_back(name);
      }
    }
    return tags;
  }

  void find_tools() {
    if (!found_.answers) return;
    found_.shows_calls = called_.has_value();
    if (no_tools_.empty()) no_tools_ = find_call_markers();
    if (no_tools_.empty()) no_tools_ = check_calls();
    if (no_tools_.empty()) no_tools_ = check_result();
    found_.tools = no_tools_.empty();
    found_.no_tools = no_tools_;
    if (found_.tools) return;
    const bool short_ids = found_.dialect.calls.short_ids;
    found_.dialect.calls = CallDialect();
    found_.dialect.calls.short_ids = short_ids;
  }

  std::optional<std::string> tool_answer(const ProbeAnswer& answer) {
    const auto text = answered(answer, true);
    return text ? place_->answer_in(*tool_prompt_, *text) : std::nullopt;
  }

  std::string find_call_markers() {
    CallTexts texts;
    texts.content_tail = content_tail_;
    const auto one = place_->answer_in(*tool_prompt_, *called_);
    if (!one) return "tool calls are not written where answers are";
    texts.two_arguments = without_reasoning(*one);
    const ProbeAnswer two_calls = {{},
                                   {},
                                   {{std::string(kProbeTool), probe_one_argument()},
                                    {std::string(kProbeOtherTool), probe_one_argument()}}};
    texts.two_calls = without_reasoning(tool_answer(two_calls).value_or(""));
    FoundCalls found = find_calls(texts);
    if (!found.fault.empty()) return found.fault;
    found.calls.short_ids = found_.dialect.calls.short_ids;
    found_.dialect.calls = found.calls;
    found_.several_calls = found.several;
    set_blanks_before_call();
    return "";
  }

  // Some templates write an empty block of reasoning in front of everything.
  std::string without_reasoning(const std::string& answer) const {
    const Dialect& dialect = found_.dialect;
    if (!found_.reasoning || segments_) return answer;
    const std::string_view text = std::string_view(answer).substr(count_blanks(answer));
    const MarkerMatch open = match_core(dialect.reasoning_open.core, text);
    const bool opens = open.kind == MatchKind::kFull;
    const size_t close = text.find(dialect.reasoning_close.core, opens ? open.length : 0);
    if (close == kNone || (!opens && close != 0)) return answer;
    return std::string(text.substr(close + dialect.reasoning_close.core.size()));
  }

  // The white space between the content and the first call.
  void set_blanks_before_call() {
    CallDialect& calls = found_.dialect.calls;
    ProbeAnswer both = one_call();
    both.content = kProbeContent;
    const auto answer = tool_answer(both);
    Marker& first = calls.section_open.present() ? calls.section_open : calls.open;
    const size_t content = answer ? answer->find(kProbeContent) : kNone;
    if (content == kNone || !first.present()) return;
    const size_t end = content + kProbeContent.size();
    const size_t marker = answer->find(first.core, end);
    if (marker == kNone || !is_blank_text(answer->substr(end, marker - end))) return;
    first.before = answer->substr(end, marker - end);
  }

  void check_texts() {
    if (!found_.answers) return;
    std::vector<CheckedAnswer> answers;
    answers.push_back({answer_of(kProbeContent), false, *place_->answer_in(*prompt_, *content_)});
    if (found_.reasoning && reasoned_) {
      const auto answer = place_->answer_in(*prompt_, *reasoned_);
      if (answer && answer->find(kProbeThought) != kNone) {
        answers.push_back({answer_of(kProbeContent, kProbeThought), false, *answer});
      }
    }
    const std::string fault = check_answers(found_.dialect, answers, content_tail_);
    if (fault.empty()) return;
    found_.fault = fault;
    found_.reasoning = false;
    const std::string header = found_.dialect.header;
    found_.dialect = Dialect();
    found_.dialect.header = header;
    if (no_tools_.empty()) no_tools_ = fault;
  }

  std::string check_calls() {
    std::vector<CheckedAnswer> answers;
    const bool bare = found_.dialect.calls.bare();
    for (const ProbeAnswer& wanted : call_probes(found_.several_calls, found_.reasoning)) {
      if (bare && !wanted.content.empty()) continue;  // then the call is content too
      auto answer = tool_answer(wanted);
      if (!answer) {
        if (!wanted.content.empty() || !wanted.reasoning.empty()) continue;
        return "a tool call is refused: " + probe_.error();
      }
      if (answer->find("{'list'") != kNone) continue;  // Python's repr: models write JSON
      CheckedAnswer checked{wanted, true, *answer};
      // A template may leave out what stands beside calls.
      if (answer->find(kProbeContent) == kNone) checked.wanted.content.clear();
      if (answer->find(kProbeThought) == kNone) checked.wanted.reasoning.clear();
      answers.push_back(std::move(checked));
    }
    return check_answers(found_.dialect, answers, content_tail_);
  }

  std::string check_result() {
    const bool short_ids = found_.dialect.calls.short_ids;
    const std::string id((short_ids ? kProbeShortIds : kProbeLongIds)[0]);
    const auto text = probe_.render(
        {probe_user(), probe_message(one_call(), short_ids), probe_result(id, kProbeTool)},
        true,
        true);
    if (!text) return "the result of a tool is refused: " + probe_.error();
    return text->find(kProbeResult) == kNone ? "the template does not show results of tools" : "";
  }

  ChatTemplate& template_;
  ProbeChat probe_;
  FoundDialect found_;
  std::optional<std::string> prompt_;
  std::optional<std::string> tool_prompt_;
  std::optional<std::string> content_;   // chats with an answer: content alone,
  std::optional<std::string> reasoned_;  // reasoning and content,
  std::optional<std::string> called_;    // a call
  std::optional<AnswerPlace> place_;
  std::string before_content_;
  std::string content_tail_;
  std::string no_tools_;
  bool segments_ = false;
  bool always_tools_ = false;
  bool opened_tag_taken_ = false;
};

}  // namespace

FoundDialect find_dialect(ChatTemplate& chat_template) {
  return DialectFinder(chat_template).find();
}

}  // namespace trireme
