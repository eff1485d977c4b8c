#include "coordinator/coordinator_log.h"

#include <variant>

namespace trireme {
namespace {

// One per kind of notice: a new kind does not compile without its own.
void write(const notice::RankSeen& notice) {
  log_event(
      LogLevel::kInfo,
      "rank_seen",
      {{"group", notice.group}, {"rank", notice.rank}, {"host", notice.host}, {"pid", notice.pid}});
}

void write(const notice::RankLoading& /*notice*/) {}  // a progress bar's: too many for a log

void write(const notice::RankLoaded& notice) {
  log_event(LogLevel::kInfo,
            "rank_loaded",
            {{"group", notice.hello.group},
             {"rank", notice.hello.rank},
             {"host", notice.hello.host},
             {"pages", notice.hello.pages},
             {"isa", notice.hello.isa}});
}

void write(const notice::GroupReady& notice) {
  const GroupShape& shape = notice.shape;
  log_event(LogLevel::kInfo,
            "group_ready",
            {{"group", shape.group},
             {"epoch", shape.epoch},
             {"tp", notice.tp},
             {"pp", notice.pp},
             {"backend", notice.hello.backend},
             {"dtype", notice.hello.dtype},
             {"pages", shape.num_pages},
             {"page_tokens", shape.page_tokens},
             {"max_slots", shape.max_slots},
             {"max_batched_tokens", shape.max_batched_tokens},
             {"max_model_len", shape.max_model_len},
             {"asked_model_len", notice.asked_model_len}});
}

void write(const notice::GroupLost& notice) {
  log_event(LogLevel::kWarning,
            "group_lost",
            {{"group", notice.group},
             {"epoch", notice.epoch},
             {"rank", notice.rank},
             {"host", notice.host},
             {"phase", notice.phase},
             {"was_ready", notice.was_ready},
             {"memory", notice.memory},
             {"cause", notice.cause}});
}

}  // namespace

void CoordinatorLog::started(const CoordinatorOptions& options, const std::string& fingerprint) {
  log_event(LogLevel::kInfo,
            "start",
            {{"version", TRIREME_VERSION},
             {"model", options.model},
             {"served_name", served_name(options)},
             {"fingerprint", fingerprint},
             {"groups", options.groups},
             {"max_num_seqs", options.max_slots},
             {"max_num_batched_tokens", options.max_batched_tokens},
             {"max_waiting_requests", options.max_waiting_requests},
             {"max_waiting_bytes", options.max_waiting_bytes},
             {"prefix_caching", options.prefix_caching},
             {"allow_probes", options.allow_probes},
             {"tokenizer_threads", options.tokenizer_threads}});
}

void CoordinatorLog::doors_open(const DoorEndpoints& endpoints) {
  log_event(LogLevel::kInfo,
            "doors_open",
            {{"client", endpoints.client},
             {"worker", endpoints.worker},
             {"worker_encrypted", !endpoints.worker_key_file.empty()}});
}

void CoordinatorLog::notice(const Notice& notice) {
  std::visit([](const auto& value) { write(value); }, notice);
}

void CoordinatorLog::refusal(const Refusal& refusal, TimeUs now_us) {
  if (!refusals_.allow(now_us)) return;
  log_event(LogLevel::kInfo,
            "client_refused",
            {{"id", refusal.error_id},
             {"connection", refusal.peer},
             {"tag", refusal.tag},
             {"suppressed_before", refusals_.take_suppressed()}});
}

void CoordinatorLog::journal_failure(const Status& failure) {
  log_event(LogLevel::kError, "journal_failure", {{"cause", failure}});
}

void CoordinatorLog::draining(const EngineStatus& status) {
  log_event(
      LogLevel::kInfo, "draining", {{"waiting", status.waiting}, {"running", status.running}});
}

void CoordinatorLog::ended(bool stopped, const EngineStatus& status) {
  log_event(LogLevel::kInfo,
            stopped ? "stopped" : "drained",
            {{"waiting", status.waiting},
             {"running", status.running},
             {"finished", status.finished},
             {"preemptions", status.preemptions}});
}

}  // namespace trireme
