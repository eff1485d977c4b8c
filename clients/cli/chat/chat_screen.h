// Shows the answers of a chat as they arrive: content plain, reasoning dimmed or hidden. Main
// thread.
#pragma once

#include <optional>

#include "clients/cli/answers.h"
#include "clients/cli/client_session.h"
#include "clients/cli/terminal.h"

namespace trireme {

enum class ReasoningDisplay : uint8_t { kShow, kHide };

class ChatScreen final : public AnswerListener {
 public:
  // `json`: one line per answer, at its end.
  ChatScreen(Terminal& terminal, ReasoningDisplay reasoning, bool json)
      : terminal_(terminal), reasoning_(reasoning), json_(json) {}

  void on_part(const Answer& answer, int choice, const AnswerPart& part) override;
  void on_text(const Answer& answer, int choice, const std::string& text) override;
  void on_done(Answer answer) override;

  // The answer that has ended since the last call.
  std::optional<Answer> take_answer();

 private:
  enum class Section : uint8_t { kNone, kContent, kReasoning };

  void enter(Section section);
  void write(Section section, const std::string& text);
  void show_end(const Answer& answer);

  Terminal& terminal_;
  const ReasoningDisplay reasoning_;
  const bool json_;
  Section section_ = Section::kNone;
  bool line_open_ = false;
  std::optional<Answer> done_;
};

}  // namespace trireme
