#include "clients/cli/chat/chat_screen.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"
#include "clients/cli/json_text.h"

namespace trireme {

// Reasoning is told apart by its colour, else by a line before it and before the answer.
void ChatScreen::enter(Section section) {
  if (section_ == section) return;
  const bool was_reasoning = section_ == Section::kReasoning;
  section_ = section;
  if (line_open_) terminal_.answer("\n");
  line_open_ = false;
  if (terminal_.paint_out(Style::kDim, "x") != "x") {
    if (was_reasoning) terminal_.answer("\n");
    return;
  }
  if (section == Section::kReasoning) terminal_.answer_line("[reasoning]");
  if (was_reasoning) terminal_.answer_line("[answer]");
}

void ChatScreen::write(Section section, const std::string& text) {
  if (text.empty()) return;
  enter(section);
  const Style style = section == Section::kReasoning ? Style::kDim : Style::kPlain;
  terminal_.answer(terminal_.paint_out(style, text));
  line_open_ = text.back() != '\n';
}

void ChatScreen::on_part(const Answer& answer, int choice, const AnswerPart& part) {
  if (json_) return;
  if (part.kind == PartKind::kContent) return on_text(answer, choice, part.text);
  if (part.kind != PartKind::kReasoning) return;
  if (reasoning_ == ReasoningDisplay::kShow) return write(Section::kReasoning, part.text);
  terminal_.set_bar(format_text("thinking: {} tokens", answer.output_tokens()));
}

void ChatScreen::on_text(const Answer& /*answer*/, int /*choice*/, const std::string& text) {
  if (json_) return;
  terminal_.set_bar("");
  write(Section::kContent, text);
}

void ChatScreen::show_end(const Answer& answer) {
  terminal_.set_bar("");
  const bool is_silent = section_ == Section::kNone;
  if (line_open_) terminal_.answer("\n");
  line_open_ = false;
  section_ = Section::kNone;
  const Choice& choice = answer.choices.front();
  if (choice.finished.reason == door::FinishReason::kCancelled) {
    // A terminal has shown ^C behind the user's line.
    terminal_.note(terminal_.paint_err(Style::kDim, is_silent ? "\nstopped" : "stopped"));
  }
  for (const ToolCall& call : choice.message.calls) {
    terminal_.answer_line(format_text("[call of {}: {}]", call.name, call.arguments));
  }
  if (choice.finished.reason == door::FinishReason::kLength && answer.refusal.ok()) {
    terminal_.note(terminal_.paint_err(
        Style::kDim,
        format_text("cut after {} tokens; --max-tokens allows more", answer.output_tokens())));
  }
}

void ChatScreen::on_done(Answer answer) {
  if (json_) {
    terminal_.answer_line(json_text(answer_json(answer, 0)));
  } else {
    show_end(answer);
  }
  done_ = std::move(answer);
}

std::optional<Answer> ChatScreen::take_answer() { return std::exchange(done_, std::nullopt); }

}  // namespace trireme
