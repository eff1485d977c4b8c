#include <nlohmann/json.hpp>

#include "base/text.h"
#include "clients/cli/json_text.h"
#include "clients/cli/launch_display.h"
#include "clients/cli/verbs.h"
#include "launch/cluster.h"

namespace trireme {

namespace {

using Kind = CoordinatorEvent::Kind;

constexpr int kPumpMs = 200;

struct UpVerb {
  ClusterOptions options;
  bool json = false;

  StatusOr<int> run(Terminal& terminal, Interrupts& interrupts) const;
  void announce(Terminal& terminal, const Cluster& cluster) const;
};

// Prints lost and ready groups as JSON lines, for programs that supervise a cluster.
class EventPrinter : public LaunchDisplay {
 public:
  EventPrinter(Terminal& terminal, bool json)
      : LaunchDisplay(terminal), terminal_(terminal), json_(json) {}

  void on_event(const CoordinatorEvent& event) override;

 private:
  Terminal& terminal_;
  const bool json_;
};

void UpVerb::announce(Terminal& terminal, const Cluster& cluster) const {
  if (!json) return terminal.answer_line(format_text("ready {}", cluster.endpoint()));
  const nlohmann::ordered_json line = {
      {"event", "ready"}, {"endpoint", cluster.endpoint()}, {"groups", options.flags.groups}};
  terminal.answer_line(json_text(line));
}

void EventPrinter::on_event(const CoordinatorEvent& event) {
  if (!json_ || (event.kind != Kind::kGroupReady && event.kind != Kind::kGroupLost)) return;
  nlohmann::ordered_json line = {
      {"event", event.kind == Kind::kGroupReady ? "group_ready" : "group_lost"},
      {"group", event.group}};
  if (event.kind == Kind::kGroupLost) {
    line["rank"] = event.rank >= 0 ? nlohmann::ordered_json(event.rank) : nullptr;
    line["host"] = event.host;
    line["id"] = event.id;
    line["cause"] = event.text;
  }
  terminal_.answer_line(json_text(line));
}

StatusOr<int> UpVerb::run(Terminal& terminal, Interrupts& interrupts) const {
  ASSIGN_OR_RETURN(const Preflight preflight, check_before_launch(options.flags));
  for (const std::string& warning : preflight.warnings) terminal.warn(warning);
  EventPrinter printer(terminal, json);
  ASSIGN_OR_RETURN(const auto cluster, Cluster::start(options, preflight, printer, interrupts));
  RETURN_IF_ERROR(cluster->wait_until_ready());
  announce(terminal, *cluster);
  while (interrupts.count() == 0) RETURN_IF_ERROR(cluster->pump(kPumpMs));
  terminal.note(
      "draining: running requests finish, new ones are refused; Ctrl-C again stops at once");
  RETURN_IF_ERROR(cluster->drain());
  return kDone;
}

}  // namespace

int verb_up(Terminal& terminal, const Arguments& arguments) {
  UpVerb verb;
  FlagSet flags("trireme up", "runs a cluster in the foreground until Ctrl-C");
  flags.add("json", &verb.json, "events as JSON lines", "Cluster");
  add_cluster_flags(flags, verb.options.flags, /*is_private=*/false);
  flags.add("allow-probes",
            &verb.options.allow_probes,
            "clients may read logits and hidden states (verify does)",
            "More of the cluster");
  if (const auto over = parse_flags(terminal, flags, arguments)) return *over;
  return run_interruptible(terminal,
                           [&](Interrupts& interrupts) { return verb.run(terminal, interrupts); });
}

}  // namespace trireme
