// trireme-coordinator: holds all requests of a cluster and plans every step. Reads its
// configuration, opens both doors, runs the loop. Exit status: 0 drained, 2 bad usage or model, 3 a
// door cannot open, 130 stopped.
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>

#include "base/check.h"
#include "base/log.h"
#include "base/output_file.h"
#include "base/process_limits.h"
#include "coordinator/coordinator_loop.h"
#include "coordinator/coordinator_options.h"
#include "coordinator/doors/zmq_doors.h"
#include "coordinator/journal_opening.h"
#include "coordinator/tokenizer_work.h"
#include "model/chat/chat_format.h"
#include "model/checkpoint/model_source.h"
#include "model/tokenizer/tokenizer.h"

namespace trireme {
namespace {

constexpr char kServer[] = "trireme " TRIREME_VERSION;
// Descriptors: its own sockets, a few ranks and clients; and as many clients as may be.
constexpr int64_t kLeastFiles = 40;
constexpr int64_t kManyFiles = 65'536;
constexpr int kOwnThreads = 4;  // transport and main
constexpr TimeUs kCanaryUs = 5'000'000;
constexpr int kExitUsage = 2;
constexpr int kExitUnreachable = 3;

uint64_t random_word() {
  uint64_t word = 0;
  CHECK(::getrandom(&word, sizeof word, 0) == sizeof word);
  return word | 1;  // never 0, which means "none" on the wire
}

// SIGINT and SIGTERM as a file descriptor for the loop; blocked in every thread that starts later.
int open_signal_fd() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  CHECK(::pthread_sigmask(SIG_BLOCK, &signals, nullptr) == 0);
  std::signal(SIGPIPE, SIG_IGN);
  return ::signalfd(-1, &signals, SFD_CLOEXEC);
}

// Seconds since 1970: of the configuration file, or of now for weights that have no file.
int64_t created_s_of(const ModelSource& source) {
  struct stat file {};
  const std::string path = source.dir + "/config.json";
  if (!source.dir.empty() && ::stat(path.c_str(), &file) == 0) return file.st_mtime;
  return ::time(nullptr);
}

// The parts that serve text, absent for a model without a tokenizer, or without a template that
// works.
struct TextParts {
  std::unique_ptr<const Tokenizer> tokenizer;
  std::unique_ptr<const ChatFormat> chat;
  Status no_chat;
};

void describe_chat(const TextParts& text, FrontDoorOptions& door) {
  door.rules.has_tokenizer = door.model.has_tokenizer = text.tokenizer != nullptr;
  door.rules.chat = text.no_chat;
  door::ChatInfo& chat = door.model.chat;
  chat.available = text.chat != nullptr;
  chat.reason = message_of(text.no_chat);
  if (text.chat == nullptr) return;
  const ChatAbilities& abilities = text.chat->abilities();
  chat.tools = abilities.tools;
  chat.reasoning = abilities.reasoning;
  chat.parts = abilities.parts;
}

FrontDoorOptions front_door_options(const CoordinatorOptions& options,
                                    const ModelSource& source,
                                    const TextParts& text,
                                    const OpenedJournal& opened) {
  FrontDoorOptions door;
  door.server = kServer;
  door.public_id_key = opened.public_id_key;
  door.model.version = "1";
  door.model.fingerprint = source.checkpoint->fingerprint();
  door.model.created_s = created_s_of(source);
  door.model.state = "LOADING";
  describe_chat(text, door);
  door.model.name = served_name(options);
  door.model.vocabulary_size = static_cast<int32_t>(source.config.vocabulary_size);
  door.model.eos_token_ids = source.eos_ids;
  door.model.allows_probes = options.allow_probes;
  door.model.num_layers = static_cast<int32_t>(source.config.num_layers);
  door.model.hidden_size = static_cast<int32_t>(source.config.hidden_size);
  door.rules.model_name = door.model.name;
  door.rules.vocabulary_size = source.config.vocabulary_size;
  door.rules.max_model_len = static_cast<int32_t>(source.config.max_positions);
  door.rules.num_layers = door.model.num_layers;
  door.rules.no_tokenizer = source.tokenizer_files.missing;
  door.rules.allow_probes = options.allow_probes;
  door.rules.sampling_defaults = source.sampling_defaults;
  return door;
}

FrontDoorOptions with_early_checks(FrontDoorOptions door, const Engine& engine) {
  door.early.knows_key = [&engine](const SubmitRequest& submit) {
    return engine.knows_key(submit);
  };
  door.early.may_wait = [&engine](const SubmitRequest& submit, int64_t pending, int64_t* retry) {
    return engine.may_wait(submit, pending, retry);
  };
  return door;
}

// `file` null: without a journal.
EngineOptions engine_options(const CoordinatorOptions& options,
                             const ModelSource& source,
                             const TextParts& text,
                             journal::FileJournal* file) {
  EngineOptions engine;
  engine.coordinator_epoch = random_word();
  if (file != nullptr) {
    engine.coordinator_epoch = file->epoch();
    engine.journals = true;
    engine.journal = file;
  }
  CHECK(::getrandom(engine.random_key.data(), engine.random_key.size(), 0) ==
        static_cast<ssize_t>(engine.random_key.size()));
  engine.vocabulary_size = source.config.vocabulary_size;
  engine.eos_ids = source.eos_ids;
  engine.tokenizer = text.tokenizer.get();
  engine.prefix_caching = options.prefix_caching;
  engine.max_slots = options.max_slots;
  engine.max_batched_tokens = static_cast<int32_t>(options.max_batched_tokens);
  engine.max_waiting_requests = options.max_waiting_requests;
  engine.max_waiting_bytes = options.max_waiting_bytes;
  engine.cache_salt = source.checkpoint->fingerprint();
  engine.canary_us = kCanaryUs;
  engine.answer_ttl_us = *seconds_of(options.journal.answer_ttl) * 1'000'000;
  return engine;
}

WorkerSetOptions worker_options(const CoordinatorOptions& options,
                                const ModelSource& source,
                                const std::string& journal_id,
                                uint64_t coordinator_epoch) {
  WorkerSetOptions workers;
  workers.coordinator_epoch = coordinator_epoch;
  workers.journal_id = journal_id;
  workers.num_groups = options.groups;
  workers.fingerprint = source.checkpoint->fingerprint();
  return workers;
}

StatusOr<std::unique_ptr<ZmqDoors>> open_doors(const CoordinatorOptions& options, int signal_fd) {
  ZmqDoorsOptions doors;
  doors.clients = options.clients;
  doors.workers = options.workers;
  doors.insecure_clients = options.insecure;
  doors.always_curve = options.worker_curve;
  doors.keep_worker_key = options.keep_worker_key;
  doors.state_dir = options.state_dir.empty() ? "." : options.state_dir;
  doors.watch_fds = {signal_fd};
  if (options.control_on_stdin) doors.watch_fds.push_back(STDIN_FILENO);
  std::error_code error;
  std::filesystem::create_directories(doors.state_dir, error);
  return ZmqDoors::open(doors);
}

int fail(EventLines& lines, const Status& status, int exit_status) {
  lines.error(status);
  log_event(LogLevel::kError, "failed", {{"cause", status}});
  std::fprintf(stderr, "%s\n", message_of(status).c_str());
  return exit_status;
}

// Before libraries start, which abort where the system refuses them something.
Status check_system(const CoordinatorOptions& options) {
  raise_open_files(kManyFiles);
  RETURN_IF_ERROR(require_open_files(kLeastFiles, "the coordinator"));
  RETURN_IF_ERROR(require_threads(kOwnThreads + options.tokenizer_threads, "the coordinator"));
  if (options.trace_file.empty()) return ok_status();
  return check_writable(options.trace_file, "TRI-RUN-090", "the trace");
}

StatusOr<TextParts> load_text(const CoordinatorOptions& options, const ModelSource& source) {
  TextParts text;
  if (!source.tokenizer_files.has_json) {
    text.no_chat = invalid("TRI-REQ-086",
                           "model '{}' takes no text: {}",
                           served_name(options),
                           source.tokenizer_files.missing);
    return text;
  }
  ASSIGN_OR_RETURN(text.tokenizer, Tokenizer::load_folder(source.dir));
  auto chat = ChatFormat::load(source.dir, options.chat_template, *text.tokenizer);
  if (chat.ok()) {
    text.chat = std::move(*chat);
  } else {
    text.no_chat = chat.status();
  }
  return text;
}

int serve(const CoordinatorOptions& options, EventLines& lines) {
  if (options.control_on_stdin) ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (const Status system = check_system(options); !system.ok()) {
    return fail(lines, system, kExitUsage);
  }
  const int signal_fd = open_signal_fd();
  auto source = open_model(options.model, options.weights_seed);
  if (!source.ok()) return fail(lines, source.status(), kExitUsage);
  StatusOr<TextParts> text = load_text(options, *source);
  if (!text.ok()) return fail(lines, text.status(), kExitUsage);
  CoordinatorLog log;
  log.started(options, source->checkpoint->fingerprint());
  for (const std::string& note : source->notes) {
    log_event(LogLevel::kWarning, "model_note", {{"text", note}});
  }
  if (!text->no_chat.ok()) {
    lines.no_chat(text->no_chat);
    log_event(LogLevel::kWarning, "no_chat", {{"cause", text->no_chat}});
  }
  auto lock = lock_state(options);
  if (!lock.ok()) return fail(lines, lock.status(), kExitUsage);
  auto doors = open_doors(options, signal_fd);
  if (!doors.ok()) {
    const bool usage = error_id(doors.status()) == "TRI-NET-012";
    return fail(lines, doors.status(), usage ? kExitUsage : kExitUnreachable);
  }
  auto opened = open_journal(options, *source, text->chat.get(), [&doors] { (*doors)->wake(); });
  if (!opened.ok()) return fail(lines, opened.status(), kExitUsage);
  SteadyClock clock;
  NullJournal no_journal;
  journal::FileJournal* const file = opened->file.get();
  StepTrace trace;
  const EngineOptions engine_settings = engine_options(options, *source, *text, file);
  Engine engine(engine_settings);
  FrontDoor front_door(
      with_early_checks(front_door_options(options, *source, *text, *opened), engine),
      &(*doors)->clients());
  WorkerSet worker_set(
      worker_options(options, *source, opened->journal_id, engine_settings.coordinator_epoch),
      &(*doors)->workers());
  std::unique_ptr<TokenizerPool> tokenizers;
  if (text->tokenizer != nullptr) {
    tokenizers = std::make_unique<TokenizerPool>(
        options.tokenizer_threads,
        TokenizerPool::Bounds{},
        [&text](const TokenizerJob& job) {
          return run_job(job, *text->tokenizer, text->chat.get(), ::time(nullptr));
        },
        [&doors] { (*doors)->wake(); });
  }
  CoordinatorParts parts;
  parts.clock = &clock;
  parts.transport = doors->get();
  parts.engine = &engine;
  parts.front_door = &front_door;
  parts.worker_set = &worker_set;
  parts.tokenizers = tokenizers.get();
  parts.journal = file != nullptr ? static_cast<Journal*>(file) : &no_journal;
  parts.lines = &lines;
  parts.log = &log;
  parts.trace = options.trace_file.empty() ? nullptr : &trace;
  parts.signal_fd = signal_fd;
  parts.control_fd = options.control_on_stdin ? STDIN_FILENO : -1;
  if (file != nullptr) {
    parts.drain_timeout_us = *seconds_of(options.journal.drain_timeout) * TimeUs{1'000'000};
  }
  lines.doors((*doors)->endpoints());
  log.doors_open((*doors)->endpoints());
  CoordinatorLoop loop(parts);
  if (!opened->restored.empty()) loop.restore(std::move(opened->restored));
  const int result = loop.run();
  if (result == 0 && *lock) (*lock)->note_drained();
  if (parts.trace != nullptr) {
    if (const Status written = trace.write(options.trace_file); !written.ok()) {
      return fail(lines, written, kExitUnreachable);
    }
  }
  return result;
}

int run(const std::vector<std::string>& arguments) {
  EventLines lines(STDOUT_FILENO);
  CoordinatorOptions options;
  FlagSet flags("trireme-coordinator", "holds the requests of a cluster and plans its steps");
  add_flags(flags, options);
  const auto rest = flags.parse(arguments);
  if (flags.help_wanted() || flags.help_all_wanted()) {
    std::printf("%s\n", flags.help(true).c_str());
    return 0;
  }
  if (!rest.ok()) return fail(lines, rest.status(), kExitUsage);
  if (!rest->empty()) {
    return fail(
        lines, invalid("TRI-ARGS-010", "'{}' is no flag; see --help", rest->front()), kExitUsage);
  }
  if (const Status status = check(options); !status.ok()) {
    return fail(lines, status, kExitUsage);
  }
  if (const Status status = start_log("coordinator", options.log); !status.ok()) {
    return fail(lines, status, kExitUsage);
  }
  return serve(options, lines);
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) {
  return trireme::run(std::vector<std::string>(argv + 1, argv + argc));
}
