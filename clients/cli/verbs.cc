#include "clients/cli/verbs.h"

#include <algorithm>

#include "base/text.h"

namespace trireme {

namespace {

constexpr Verb kVerbs[] = {
    {"up", "run a cluster in the foreground", verb_up},
    {"run", "answer prompts, with a private cluster or a running one", verb_run},
    {"chat", "a conversation, with a private cluster or a running one", verb_chat},
    {"verify", "compare logits and greedy tokens with reference outputs", verb_verify},
    {"bench", "measure: step, serve, report", verb_bench},
    {"plan", "what each rank will hold and what fits, before anything loads", verb_plan},
    {"doctor", "check this machine and the hosts of a hostfile", verb_doctor},
    {"status", "groups, ranks and queues of a running cluster", verb_status},
    {"drain", "end a cluster; what still runs stays in its journal", verb_drain},
    {"models", "inspect and make checkpoints: ls, show, make", verb_models},
    {"tokenize", "text to token ids", verb_tokenize},
    {"detokenize", "token ids to text", verb_detokenize},
    {"explain", "show cause and remedy of an error id", verb_explain},
    {"version", "release, backends and build", verb_version},
};

struct LaterVerb {
  const char* name;
  const char* comes_with;
};
constexpr LaterVerb kLaterVerbs[] = {{"top", "the HTTP door"}, {"completion", "the HTTP door"}};

std::string overview() {
  std::string text =
      "trireme: distributed inference of large transformer models\n\nusage: trireme VERB "
      "[flags]\n\n";
  for (const Verb& verb : kVerbs) {
    std::string name = format_text("  {}", verb.name);
    name.resize(14, ' ');
    text += name + verb.summary + "\n";
  }
  text +=
      "\nFirst steps:\n"
      "  trireme run --model models/demo --prompt \"A vector is\"\n"
      "  trireme chat --model models/demo\n"
      "  trireme up --model models/demo -tp 2 -pp 2\n"
      "\ntrireme VERB --help shows a verb's main flags, --help-all all of them.\n";
  return text;
}

Status no_such_verb(const std::string& name) {
  for (const LaterVerb& later : kLaterVerbs) {
    if (name != later.name) continue;
    return invalid("TRI-ARGS-021",
                   "the verb {} is not built yet, it comes with {}; `trireme help` lists the verbs",
                   name,
                   later.comes_with);
  }
  std::vector<std::string> names;
  for (const Verb& verb : kVerbs) names.emplace_back(verb.name);
  const std::string near = nearest(name, names);
  return invalid("TRI-ARGS-020",
                 "there is no verb \"{}\"{} (`trireme help` lists them)",
                 name,
                 near.empty() ? "" : format_text("; did you mean {}?", near));
}

}  // namespace

std::span<const Verb> verbs() { return kVerbs; }

std::optional<int> parse_flags(Terminal& terminal,
                               FlagSet& flags,
                               const Arguments& arguments,
                               Arguments* rest) {
  const auto parsed = flags.parse(arguments);
  if (flags.help_wanted() || flags.help_all_wanted()) {
    terminal.answer(flags.help(flags.help_all_wanted()));
    return kDone;
  }
  if (!parsed.ok()) return terminal.fail(parsed.status());
  if (rest != nullptr) {
    *rest = *parsed;
    return std::nullopt;
  }
  if (!parsed->empty()) return terminal.fail(unknown_argument(parsed->front()));
  return std::nullopt;
}

Status unknown_argument(const std::string& word) {
  return invalid(
      "TRI-ARGS-022",
      "\"{}\" is not a flag of this verb; --help lists them, and values with spaces need quotes",
      word);
}

int run_interruptible(Terminal& terminal, const std::function<StatusOr<int>(Interrupts&)>& work) {
  Interrupts interrupts;
  terminal.survive_lost_reader();
  const StatusOr<int> exit_status = work(interrupts);
  if (exit_status.ok()) return *exit_status;
  if (error_id(exit_status.status()) == kOutputLostId) return terminal.finish(kDone);
  const int failure = terminal.fail(exit_status.status());
  return interrupts.count() > 0 ? kInterrupted : failure;
}

int run_command_line(Terminal& terminal, const Arguments& arguments) {
  if (arguments.empty()) {
    terminal.note(overview());
    return kBadInput;
  }
  const std::string& name = arguments.front();
  const Arguments rest(arguments.begin() + 1, arguments.end());
  if (name == "help" || name == "--help" || name == "-h" || name == "--help-all") {
    if (rest.empty() || rest.front().starts_with("-")) {
      terminal.answer(overview());
      return kDone;
    }
    return run_command_line(terminal, {rest.front(), "--help"});
  }
  if (name == "--version") return verb_version(terminal, rest);
  const auto* verb =
      std::ranges::find_if(kVerbs, [&](const Verb& row) { return name == row.name; });
  if (verb == std::end(kVerbs)) return terminal.fail(no_such_verb(name));
  return verb->run(terminal, rest);
}

}  // namespace trireme
