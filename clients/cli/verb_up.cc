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

// Prints what is lost and what is back as JSON lines, for programs that supervise a cluster.
class EventPrinter : public LaunchDisplay {
 public:
  EventPrinter(Terminal& terminal, bool json)
      : LaunchDisplay(terminal), terminal_(terminal), json_(json) {}

  void on_event(const CoordinatorEvent& event) override;
  void on_coordinator_lost(const std::string& cause, int64_t delay_ms) override;
  void on_coordinator_back(const CoordinatorEvent& doors) override;

 private:
  void print(const nlohmann::ordered_json& line);

  Terminal& terminal_;
  const bool json_;
};

void UpVerb::announce(Terminal& terminal, const Cluster& cluster) const {
  if (!json) {
    terminal.answer_line(format_text("ready {}", cluster.endpoint()));
    if (options.gateway) terminal.answer_line(format_text("http {}", cluster.http_url()));
    return;
  }
  nlohmann::ordered_json line = {
      {"event", "ready"}, {"endpoint", cluster.endpoint()}, {"groups", options.flags.groups}};
  if (options.gateway) line["http"] = cluster.http_url();
  terminal.answer_line(json_text(line));
}

void EventPrinter::on_event(const CoordinatorEvent& event) {
  if (event.kind != Kind::kGroupReady && event.kind != Kind::kGroupLost) return;
  nlohmann::ordered_json line = {
      {"event", event.kind == Kind::kGroupReady ? "group_ready" : "group_lost"},
      {"group", event.group}};
  if (event.kind == Kind::kGroupLost) {
    line["rank"] = event.rank >= 0 ? nlohmann::ordered_json(event.rank) : nullptr;
    line["host"] = event.host;
    line["id"] = event.id;
    line["cause"] = event.text;
  }
  print(line);
}

void EventPrinter::on_coordinator_lost(const std::string& cause, int64_t delay_ms) {
  print({{"event", "coordinator_lost"}, {"cause", cause}, {"restart_delay_ms", delay_ms}});
}

void EventPrinter::on_coordinator_back(const CoordinatorEvent& doors) {
  print({{"event", "coordinator_back"}, {"endpoint", doors.client_endpoint}, {"pid", doors.pid}});
}

void EventPrinter::print(const nlohmann::ordered_json& line) {
  if (json_) terminal_.answer_line(json_text(line));
}

StatusOr<int> UpVerb::run(Terminal& terminal, Interrupts& interrupts) const {
  ASSIGN_OR_RETURN(const Preflight preflight, check_before_launch(options.flags));
  for (const std::string& warning : preflight.warnings) terminal.warn(warning);
  if (!preflight.no_chat.ok()) {
    terminal.note(
        format_text("chats are refused, completions work: {}", message_of(preflight.no_chat)));
  }
  EventPrinter printer(terminal, json);
  ASSIGN_OR_RETURN(const auto cluster, Cluster::start(options, preflight, printer, interrupts));
  RETURN_IF_ERROR(cluster->wait_until_ready());
  announce(terminal, *cluster);
  while (interrupts.count() == 0 && !cluster->has_drained()) {
    RETURN_IF_ERROR(cluster->pump(kPumpMs));
  }
  if (!cluster->has_drained()) {
    terminal.note(
        "draining: running requests finish, new ones are refused; Ctrl-C again stops at once");
  }
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
  GatewayFlags gateway;
  add_gateway_flags(flags, gateway);
  if (const auto over = parse_flags(terminal, flags, arguments)) return *over;
  if (const Status status = check_gateway_flags(flags, gateway); !status.ok()) {
    return terminal.fail(status);
  }
  if (gateway.http) verb.options.gateway = std::move(gateway);
  return run_interruptible(terminal,
                           [&](Interrupts& interrupts) { return verb.run(terminal, interrupts); });
}

}  // namespace trireme
