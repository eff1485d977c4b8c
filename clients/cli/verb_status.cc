#include <nlohmann/json.hpp>

#include "base/text.h"
#include "clients/cli/json_text.h"
#include "clients/cli/verbs.h"
#include "clients/cpp/client.h"

namespace trireme {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::chrono::milliseconds kTimeout{5'000};

Json to_json(const door::RankStatus& rank) {
  return {{"rank", rank.rank},
          {"host", rank.host},
          {"pid", rank.pid},
          {"phase", rank.phase},
          {"heartbeat_age_ms", rank.heartbeat_age_ms},
          {"load_bytes", rank.load_bytes},
          {"load_total_bytes", rank.load_total_bytes}};
}

Json to_json(const door::GroupStatus& group) {
  Json ranks = Json::array();
  for (const door::RankStatus& rank : group.ranks) ranks.push_back(to_json(rank));
  return {{"group", group.group},
          {"epoch", group.epoch},
          {"state", group.state},
          {"tp", group.tp},
          {"pp", group.pp},
          {"backend", group.backend},
          {"dtype", group.dtype},
          {"pages", group.pages},
          {"pages_held", group.pages_held},
          {"pages_cached", group.pages_cached},
          {"page_tokens", group.page_tokens},
          {"slots_used", group.slots_used},
          {"max_slots", group.max_slots},
          {"steps", group.steps},
          {"plans_in_flight", group.plans_in_flight},
          {"last_cause", group.last_cause},
          {"ranks", ranks}};
}

Json to_json(const door::JournalStatus& journal) {
  return {{"state", journal.state},
          {"bytes", journal.bytes},
          {"max_bytes", journal.max_bytes},
          {"reserved_bytes", journal.reserved_bytes},
          {"undurable_bytes", journal.undurable_bytes},
          {"unfinished", journal.unfinished},
          {"kept", journal.kept},
          {"foreign", journal.foreign}};
}

Json to_json(const door::StatusReply& reply) {
  Json groups = Json::array();
  for (const door::GroupStatus& group : reply.groups) groups.push_back(to_json(group));
  Json models = Json::array();
  for (const door::ModelInfo& model : reply.models) {
    models.push_back({{"name", model.name},
                      {"max_model_len", model.max_model_len},
                      {"vocabulary_size", model.vocabulary_size},
                      {"ready_groups", model.ready_groups}});
  }
  return {{"server", reply.server},
          {"uptime_ms", reply.uptime_ms},
          {"healthy", reply.healthy},
          {"reason", reply.reason},
          {"token_age_ms", reply.token_age_ms},
          {"draining", reply.draining},
          {"connections", reply.connections},
          {"waiting", reply.waiting},
          {"running", reply.running},
          {"finished", reply.finished},
          {"preemptions", reply.preemptions},
          {"prompt_tokens", reply.prompt_tokens},
          {"cached_tokens", reply.cached_tokens},
          {"output_tokens", reply.output_tokens},
          {"journal", to_json(reply.journal)},
          {"models", models},
          {"groups", groups}};
}

std::string percent(int64_t part, int64_t whole) {
  return whole > 0 ? format_text("{}%", 100 * part / whole) : std::string("-");
}

void print_group(Terminal& terminal, const door::GroupStatus& group) {
  const bool ready = group.state == "ready";
  terminal.answer_line(format_text(
      "{}  {}{}{}{}",
      terminal.paint_out(Style::kBold, format_text("group {}", group.group)),
      terminal.paint_out(ready ? Style::kGood : Style::kWarning, group.state),
      group.tp == 0 ? std::string(": no rank has connected")
                    : format_text("  -tp {} -pp {}", group.tp, group.pp),
      group.dtype.empty() ? "" : format_text(", {} on {}", group.dtype, group.backend),
      group.epoch == 0 ? "" : format_text(", epoch {}, {} steps", group.epoch, group.steps)));
  if (ready) {
    terminal.answer_line(format_text(
        "  slots {} of {}; KV pages {} held, {} cached of {} ({} in use); {} plans in flight",
        group.slots_used,
        group.max_slots,
        group.pages_held,
        group.pages_cached,
        group.pages,
        percent(group.pages_held, group.pages),
        group.plans_in_flight));
  }
  if (!group.last_cause.empty()) terminal.answer_line("  last loss: " + group.last_cause);
  for (const door::RankStatus& rank : group.ranks) {
    std::string line =
        format_text("  rank {} on {} (process {}): ", rank.rank, rank.host, rank.pid);
    line += rank.phase;
    if (rank.load_total_bytes > rank.load_bytes) {
      line += format_text(" {}", percent(rank.load_bytes, rank.load_total_bytes));
    }
    terminal.answer_line(format_text("{}, last heartbeat {} ms ago", line, rank.heartbeat_age_ms));
  }
}

void print_journal(Terminal& terminal, const door::JournalStatus& journal) {
  if (journal.state.empty()) return;  // a coordinator of an earlier release
  const bool is_well = journal.state == "on" || journal.state == "off";
  std::string line = format_text(
      "journal   {}", terminal.paint_out(is_well ? Style::kPlain : Style::kWarning, journal.state));
  if (journal.state != "off") {
    line += format_text(", {} of {} on the disk, {} reserved; {} unfinished, {} kept",
                        format_bytes(static_cast<double>(journal.bytes)),
                        format_bytes(static_cast<double>(journal.max_bytes)),
                        format_bytes(static_cast<double>(journal.reserved_bytes)),
                        journal.unfinished,
                        journal.kept);
  }
  if (journal.foreign > 0) {
    line += format_text(", {} of another model, which wait for a cluster that serves it",
                        journal.foreign);
  }
  terminal.answer_line(line);
}

void print(Terminal& terminal, const std::string& endpoint, const door::StatusReply& reply) {
  terminal.answer_line(format_text("{}  {}, up {}{}",
                                   terminal.paint_out(Style::kBold, endpoint),
                                   reply.server,
                                   format_seconds(static_cast<double>(reply.uptime_ms) * 1e-3),
                                   reply.draining ? ", draining" : ""));
  terminal.answer_line(reply.healthy
                           ? "health    good"
                           : format_text("health    {}: {}",
                                         terminal.paint_out(Style::kWarning, "no token can be had"),
                                         reply.reason));
  for (const door::ModelInfo& model : reply.models) {
    std::string line = format_text("model     {}", model.name);
    if (model.max_model_len > 0) {
      line += format_text(", sequences up to {} tokens", model.max_model_len);
    }
    line += format_text(
        ", {}{} ready", model.ready_groups, model.ready_groups == 1 ? " group" : " groups");
    terminal.answer_line(line);
  }
  terminal.answer_line(
      format_text("requests  {} running, {} waiting, {} finished, {} preempted; {}{}",
                  reply.running,
                  reply.waiting,
                  reply.finished,
                  reply.preemptions,
                  reply.connections,
                  reply.connections == 1 ? " connection" : " connections"));
  terminal.answer_line(format_text("tokens    {} of prompts ({} from the cache), {} of answers",
                                   reply.prompt_tokens,
                                   percent(reply.cached_tokens, reply.prompt_tokens),
                                   reply.output_tokens));
  print_journal(terminal, reply.journal);
  for (const door::GroupStatus& group : reply.groups) print_group(terminal, group);
}

}  // namespace

int verb_status(Terminal& terminal, const Arguments& arguments) {
  std::string endpoint = "tcp://127.0.0.1:8900";
  bool json = false;
  FlagSet flags("trireme status", "groups, ranks and queues of a running cluster");
  flags.add("endpoint", &endpoint, "tcp://HOST:PORT of its `ready` line");
  flags.add("json", &json, "JSON");
  if (const auto over = parse_flags(terminal, flags, arguments)) return *over;
  auto client = Client::connect(endpoint, kTimeout);
  if (!client.ok()) return terminal.fail(client.status());
  const auto reply = (*client)->status(kTimeout);
  if (!reply.ok()) return terminal.fail(reply.status());
  if (json) {
    terminal.answer_line(json_text(to_json(*reply)));
  } else {
    print(terminal, endpoint, *reply);
  }
  return kDone;
}

}  // namespace trireme
