// chat: a conversation in the terminal, with a private cluster or a running one.
#include <unistd.h>

#include "base/text.h"
#include "base/utf8.h"
#include "clients/cli/chat/chat_loop.h"
#include "clients/cli/client_session.h"
#include "clients/cli/sampling_flags.h"
#include "clients/cli/verbs.h"

namespace trireme {
namespace {

constexpr int32_t kDefaultMaxTokens = 256;

struct ChatVerb {
  ClusterFlags cluster_flags;
  std::string endpoint;
  ChatOptions options;

  Status check() const;
  StatusOr<std::unique_ptr<ClientSession>> open(Terminal& terminal, Interrupts& interrupts) const;
  StatusOr<int> run(Terminal& terminal, Interrupts& interrupts) const;
};

Status read_reasoning(const std::string& text, ReasoningDisplay& display) {
  if (text != "show" && text != "hide") {
    return invalid("TRI-ARGS-003", "\"{}\" is neither show nor hide", text);
  }
  display = text == "show" ? ReasoningDisplay::kShow : ReasoningDisplay::kHide;
  return ok_status();
}

Status ChatVerb::check() const {
  RETURN_IF_ERROR(check_one_cluster(cluster_flags, endpoint));
  RETURN_IF_ERROR(check_utf8(options.system, "the system message"));
  const door::Sampling& sampling = options.defaults.sampling;
  for (const std::string& stop : sampling.stop) {
    RETURN_IF_ERROR(check_utf8(stop, "the stop string"));
  }
  RETURN_IF_ERROR(check_sampling(sampling, 0));
  if (sampling.n.value_or(1) == 1) return ok_status();
  return invalid(
      "TRI-RUN-030",
      "--n is {}, a turn of a chat has one answer; `trireme run --prompts` draws several",
      *sampling.n);
}

StatusOr<std::unique_ptr<ClientSession>> ChatVerb::open(Terminal& terminal,
                                                        Interrupts& interrupts) const {
  if (!endpoint.empty()) {
    ASSIGN_OR_RETURN(auto session, ClientSession::connect(endpoint, terminal, interrupts));
    const door::ChatInfo& chat = session->model().chat;
    if (chat.available) return session;
    return invalid("TRI-CHAT-001",
                   "the cluster at {} takes no chats: {}",
                   endpoint,
                   chat.reason.empty() ? "it has no chat template" : chat.reason);
  }
  ASSIGN_OR_RETURN(const Preflight preflight, check_before_launch(cluster_flags));
  RETURN_IF_ERROR(preflight.no_chat);
  for (const std::string& warning : preflight.warnings) terminal.warn(warning);
  ClusterOptions cluster;
  cluster.flags = cluster_flags;
  return ClientSession::bring_up(cluster, preflight, terminal, interrupts);
}

StatusOr<int> ChatVerb::run(Terminal& terminal, Interrupts& interrupts) const {
  RETURN_IF_ERROR(check());
  ASSIGN_OR_RETURN(const auto session, open(terminal, interrupts));
  if (options.interactive) {
    terminal.note(format_text("{}, up to {} tokens; /help lists the commands, Ctrl-D ends",
                              session->model().name,
                              session->model().max_model_len));
  }
  ChatLoop loop(*session, terminal, interrupts, options);
  StatusOr<int> exit_status = loop.run();
  // Nothing has failed but the output, or nothing at all: the cluster ends in order.
  if (!exit_status.ok() && error_id(exit_status.status()) != kOutputLostId) {
    return exit_status.status();
  }
  interrupts.forget();
  RETURN_IF_ERROR(session->close());
  return exit_status;
}

}  // namespace

int verb_chat(Terminal& terminal, const Arguments& arguments) {
  ChatVerb verb;
  ChatOptions& options = verb.options;
  options.defaults.sampling.max_tokens = kDefaultMaxTokens;
  options.interactive = ::isatty(STDIN_FILENO) == 1 && terminal.err_is_terminal();
  FlagSet flags("trireme chat",
                "a conversation: a line is a turn, /help lists the commands; with --model through "
                "a private cluster, with --endpoint through a running one");
  const char* group = "Chat";
  flags.add("endpoint", &verb.endpoint, "tcp://HOST:PORT of a running cluster", group);
  flags.add("system", &options.system, "system message", group);
  flags.add_custom(
      "reasoning",
      "show (dimmed) or hide the model's reasoning",
      group,
      [&options](const std::string& text) { return read_reasoning(text, options.reasoning); });
  flags.add("json", &options.json, "one JSON line per answer", group);
  add_sampling_flags(flags, options.defaults.sampling);
  add_priority_flag(flags, options.defaults);
  add_cluster_flags(flags, verb.cluster_flags, /*is_private=*/true);
  if (const auto over = parse_flags(terminal, flags, arguments)) return *over;
  return run_interruptible(terminal,
                           [&](Interrupts& interrupts) { return verb.run(terminal, interrupts); });
}

}  // namespace trireme
