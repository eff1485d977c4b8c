#include <nlohmann/json.hpp>

#include "base/text.h"
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
          {"draining", reply.draining},
          {"connections", reply.connections},
          {"waiting", reply.waiting},
          {"running", reply.running},
          {"finished", reply.finished},
          {"preemptions", reply.preemptions},
          {"prompt_tokens", reply.prompt_tokens},
          {"cached_tokens", reply.cached_tokens},
          {"output_tokens", reply.output_tokens},
          {"models", models},
          {"groups", groups}};
}

std::string percent(int64_t part, int64_t whole) {
  return whole > 0 ? concat(100 * part / whole, "%") : std::string("-");
}

void print_group(Terminal& terminal, const door::GroupStatus& group) {
  const bool ready = group.state == "ready";
  terminal.answer_line(
      concat(terminal.paint_out(Style::kBold, concat("group ", group.group)),
             "  ",
             terminal.paint_out(ready ? Style::kGood : Style::kWarning, group.state),
             group.tp == 0 ? std::string(": its ranks have not come")
                           : concat("  -tp ", group.tp, " -pp ", group.pp),
             group.dtype.empty() ? "" : concat(", ", group.dtype, " on ", group.backend),
             group.epoch == 0 ? "" : concat(", life ", group.epoch, ", ", group.steps, " steps")));
  if (ready) {
    terminal.answer_line(concat("  slots ",
                                group.slots_used,
                                " of ",
                                group.max_slots,
                                "; KV pages ",
                                group.pages_held,
                                " held, ",
                                group.pages_cached,
                                " cached of ",
                                group.pages,
                                " (",
                                percent(group.pages_held, group.pages),
                                " in use); ",
                                group.plans_in_flight,
                                " plans in flight"));
  }
  if (!group.last_cause.empty()) terminal.answer_line("  last loss: " + group.last_cause);
  for (const door::RankStatus& rank : group.ranks) {
    std::string line =
        concat("  rank ", rank.rank, " on ", rank.host, " (process ", rank.pid, "): ");
    line += rank.phase;
    if (rank.load_total_bytes > rank.load_bytes) {
      line += concat(" ", percent(rank.load_bytes, rank.load_total_bytes));
    }
    terminal.answer_line(concat(line, ", heard ", rank.heartbeat_age_ms, " ms ago"));
  }
}

void print(Terminal& terminal, const std::string& endpoint, const door::StatusReply& reply) {
  terminal.answer_line(concat(terminal.paint_out(Style::kBold, endpoint),
                              "  ",
                              reply.server,
                              ", up ",
                              format_seconds(static_cast<double>(reply.uptime_ms) * 1e-3),
                              reply.draining ? ", draining" : ""));
  for (const door::ModelInfo& model : reply.models) {
    std::string line = concat("model     ", model.name);
    if (model.max_model_len > 0) {
      line += concat(", sequences up to ", model.max_model_len, " tokens");
    }
    line +=
        concat(", ", model.ready_groups, model.ready_groups == 1 ? " group" : " groups", " ready");
    terminal.answer_line(line);
  }
  terminal.answer_line(concat("requests  ",
                              reply.running,
                              " running, ",
                              reply.waiting,
                              " waiting, ",
                              reply.finished,
                              " finished, ",
                              reply.preemptions,
                              " preempted; ",
                              reply.connections,
                              reply.connections == 1 ? " connection" : " connections"));
  terminal.answer_line(concat("tokens    ",
                              reply.prompt_tokens,
                              " of prompts (",
                              percent(reply.cached_tokens, reply.prompt_tokens),
                              " from the cache), ",
                              reply.output_tokens,
                              " of answers"));
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
    terminal.answer_line(to_json(*reply).dump());
  } else {
    print(terminal, endpoint, *reply);
  }
  return kDone;
}

}  // namespace trireme
