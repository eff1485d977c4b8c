#include "clients/cli/chat/chat_loop.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/text.h"
#include "base/utf8.h"
#include "clients/cli/json_text.h"

namespace trireme {
namespace {

constexpr std::string_view kSpaces = " \t";

struct Command {
  const char* name;
  const char* argument;
  const char* meaning;
};
constexpr Command kCommands[] = {
    {"/system", "TEXT", "sets the system message; without TEXT there is none"},
    {"/clear", "", "forgets the conversation, but not the system message"},
    {"/undo", "", "forgets the last turn and its answer"},
    {"/save", "FILE", "writes the conversation as JSON, as `run --prompts` reads it"},
    {"/help", "", "shows the commands; a line that begins with // begins with / for the model"},
    {"/exit", "", "ends the chat, as Ctrl-D does"},
};

}  // namespace

ChatLoop::ChatLoop(ClientSession& session,
                   Terminal& terminal,
                   Interrupts& interrupts,
                   const ChatOptions& options)
    : session_(session),
      terminal_(terminal),
      interrupts_(interrupts),
      options_(options),
      lines_(STDIN_FILENO, interrupts.fd()),
      runner_(session),
      screen_(terminal, options.reasoning, options.json) {
  conversation_.set_system(options.system);
  session_.leave_interrupts_to_caller();
  interrupts_.forget();
}

StatusOr<int> ChatLoop::run() {
  while (!over_) {
    ASSIGN_OR_RETURN(const std::string line, next_line());
    if (over_ || trimmed(line, kSpaces).empty()) continue;
    if (line.starts_with('/') && !line.starts_with("//")) {
      RETURN_IF_ERROR(obey(line));
    } else {
      RETURN_IF_ERROR(answer(line.starts_with("//") ? line.substr(1) : line));
    }
  }
  if (interrupts_.count() > 1 || interrupts_.asked_to_end()) return kInterrupted;
  return failed_ && !options_.interactive ? kAnswerIsNo : kDone;
}

bool ChatLoop::interrupted() {
  const int count = interrupts_.count();
  const bool is_new = count > seen_interrupts_;
  seen_interrupts_ = count;
  if (count > 1 || interrupts_.asked_to_end()) over_ = true;
  if (is_new && !over_ && runner_.num_open() == 0) {
    terminal_.note("\nCtrl-C again or /exit ends the chat");
    terminal_.prompt("> ");
  }
  return over_;
}

StatusOr<std::string> ChatLoop::next_line() {
  if (options_.interactive) terminal_.prompt("> ");
  while (!interrupted()) {
    ASSIGN_OR_RETURN(const std::optional<std::string> line, lines_.next(kPollMs));
    if (line) {
      interrupts_.forget();
      seen_interrupts_ = 0;
      return *line;
    }
    over_ = over_ || lines_.at_end();
    // A private cluster is watched meanwhile, and so is the connection.
    RETURN_IF_ERROR(runner_.poll(0, screen_));
  }
  if (options_.interactive) terminal_.note("");
  return std::string();
}

void ChatLoop::fail(const Status& status) {
  failed_ = true;
  (void)terminal_.fail(status);
}

void ChatLoop::show_commands() {
  for (const Command& command : kCommands) {
    std::string words = format_text("  {} {}", command.name, command.argument);
    words.resize(16, ' ');
    terminal_.note(words + command.meaning);
  }
}

void ChatLoop::save(const std::string& path) {
  if (path.empty()) return fail(invalid("TRI-RUN-031", "/save needs a file: /save chat.jsonl"));
  std::ofstream file(path);
  file << json_text({{"messages", conversation_.json()}}) << "\n";
  file.close();
  if (!file) {
    return fail(invalid("TRI-RUN-032", "{} cannot be written; name another file", path));
  }
  terminal_.note(format_text("{} messages in {}", conversation_.num_messages(), path));
}

Status ChatLoop::obey(const std::string& line) {
  const size_t space = std::min(line.find_first_of(kSpaces), line.size());
  const std::string name = line.substr(0, space);
  const std::string rest(trimmed(line.substr(space), kSpaces));
  if (name == "/exit") {
    over_ = true;
  } else if (name == "/system") {
    RETURN_IF_ERROR(check_utf8(rest, "the system message"));
    conversation_.set_system(rest);
    terminal_.note(rest.empty() ? "no system message" : "the system message is set");
  } else if (name == "/clear") {
    conversation_.clear();
    terminal_.note("the conversation is empty");
  } else if (name == "/undo") {
    terminal_.note(conversation_.undo() ? "the last turn is forgotten" : "there is no turn");
  } else if (name == "/save") {
    save(rest);
  } else if (name == "/help") {
    show_commands();
  } else {
    std::vector<std::string> names;
    for (const Command& command : kCommands) names.emplace_back(command.name);
    const std::string near = nearest(name, names);
    fail(invalid("TRI-RUN-031",
                 "there is no command {}{} (/help lists them, a text that begins with / is written "
                 "//)",
                 utf8_head(name, 40),
                 near.empty() ? "" : format_text("; did you mean {}?", near)));
  }
  return ok_status();
}

// Only an answer that says something belongs to the conversation.
void ChatLoop::keep(const Answer& answer) {
  const Status failure = failure_of(answer, 0);
  const AssistantMessage& message = answer.choices.front().message;
  const bool is_empty = message.content.empty() && message.calls.empty();
  const bool cancelled = answer.refusal.ok() &&
                         answer.choices.front().finished.reason == door::FinishReason::kCancelled;
  if (!failure.ok() || (cancelled && is_empty)) {
    conversation_.undo();
  } else {
    conversation_.add_assistant(message.json());
  }
  if (!failure.ok()) fail(failure);
}

Status ChatLoop::answer(const std::string& text) {
  if (const Status valid = check_utf8(text, "the line"); !valid.ok()) {
    fail(valid);
    return ok_status();
  }
  conversation_.add_user(text);
  door::Submit request = options_.defaults;
  request.on_disconnect = door::OnDisconnect::kCancel;
  ChatRequest chat;
  chat.messages_json = json_text(conversation_.json());
  request.prompt = std::move(chat);
  ++num_turns_;
  RETURN_IF_ERROR(runner_.submit(request, num_turns_ - 1, format_text("{}", num_turns_)));
  bool cancelled = false;
  while (true) {
    RETURN_IF_ERROR(runner_.poll(kPollMs, screen_));
    if (const auto done = screen_.take_answer()) {
      keep(*done);
      return ok_status();
    }
    if (interrupted()) return runner_.cancel_all();
    if (!cancelled && seen_interrupts_ > 0) {
      cancelled = true;
      RETURN_IF_ERROR(runner_.cancel_all());
    }
  }
}

}  // namespace trireme
