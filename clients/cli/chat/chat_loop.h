// The conversation loop of `trireme chat`: a line is a turn or a command. Main thread.
#pragma once

#include <string>

#include "base/status.h"
#include "clients/cli/chat/chat_screen.h"
#include "clients/cli/chat/conversation.h"
#include "clients/cli/chat/line_reader.h"
#include "clients/cli/client_session.h"
#include "clients/cli/terminal.h"
#include "launch/process/process.h"

namespace trireme {

struct ChatOptions {
  door::Submit defaults;  // sampling
  std::string system;
  ReasoningDisplay reasoning = ReasoningDisplay::kShow;
  bool json = false;
  bool interactive = false;  // a person types the lines
};

class ChatLoop {
 public:
  ChatLoop(ClientSession& session,
           Terminal& terminal,
           Interrupts& interrupts,
           const ChatOptions& options);

  // Until /exit, the end of the input, a second Ctrl-C or SIGTERM. Returns the exit status:
  // kAnswerIsNo after a failed turn, kInterrupted after signals. An error: the cluster is lost, or
  // nobody can read the answers.
  StatusOr<int> run();

 private:
  StatusOr<std::string> next_line();  // sets over_ at the end
  // Notes Ctrl-C. True: the program has to end.
  bool interrupted();
  Status obey(const std::string& line);
  void show_commands();
  void save(const std::string& path);
  Status answer(const std::string& text);
  void keep(const Answer& answer);
  void fail(const Status& status);

  ClientSession& session_;
  Terminal& terminal_;
  Interrupts& interrupts_;
  const ChatOptions& options_;
  LineReader lines_;
  RequestRunner runner_;
  ChatScreen screen_;
  Conversation conversation_;
  size_t num_turns_ = 0;
  int seen_interrupts_ = 0;  // since the last line
  bool over_ = false;
  bool failed_ = false;
};

}  // namespace trireme
