#include "coordinator/journal_opening.h"

#include <sodium.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "coordinator/journal/posix_disk.h"
#include "model/chat/answer/answer_format.h"
#include "model/chat/chat_format.h"
#include "model/checkpoint/model_source.h"
#include "model/file_text.h"

namespace trireme {
namespace {

// A coordinator whose `up` died ends at once: the next one waits for that.
constexpr TimeUs kLockWaitUs = 5'000'000;
constexpr int64_t kMaxTokenizerBytes = int64_t{1} << 30;  // it was read before

std::string digest_of(const std::string& text) {
  std::string digest(crypto_generichash_BYTES_MIN, '\0');
  crypto_generichash(reinterpret_cast<unsigned char*>(digest.data()),
                     digest.size(),
                     reinterpret_cast<const unsigned char*>(text.data()),
                     text.size(),
                     nullptr,
                     0);
  return digest;
}

StatusOr<journal::Origin> origin_of(const ModelSource& source, const ChatFormat* chat) {
  journal::Origin origin;
  origin.model = source.checkpoint->fingerprint();
  if (source.tokenizer_files.has_json) {
    ASSIGN_OR_RETURN(
        const std::string text,
        read_text_file(source.dir + "/tokenizer.json", kMaxTokenizerBytes, "TRI-TOK-001"));
    origin.tokenizer = digest_of(text);
  }
  if (chat != nullptr) origin.chat_template = digest_of(chat->sources());
  return origin;
}

int64_t wall_offset_us() {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(wall).count() -
         SteadyClock().now_us();
}

// Replay gives every chat the dialect of chats without tools.
void set_dialects(std::vector<RestoredRequest>& requests, const ChatFormat& chat) {
  for (RestoredRequest& request : requests) {
    auto& format = request.accepted.submit.format;
    if (format == nullptr || format->tools.empty()) continue;
    auto with_tools = std::make_shared<AnswerFormat>(*format);
    with_tools->dialect = chat.dialect(true);
    format = std::move(with_tools);
  }
}

}  // namespace

StatusOr<std::optional<journal::StateLock>> lock_state(const CoordinatorOptions& options) {
  std::optional<journal::StateLock> lock;
  if (options.state_dir.empty()) return lock;
  std::error_code error;  // of a folder that cannot be made: the lock names it
  std::filesystem::create_directories(options.state_dir, error);
  ASSIGN_OR_RETURN(lock, journal::StateLock::take(options.state_dir, kLockWaitUs));
  return lock;
}

StatusOr<OpenedJournal> open_journal(const CoordinatorOptions& options,
                                     const ModelSource& source,
                                     const ChatFormat* chat,
                                     std::function<void()> wake) {
  OpenedJournal opened;
  randombytes_buf(opened.public_id_key.data(), opened.public_id_key.size());
  if (options.state_dir.empty() || options.journal.mode != "on") return opened;
  const std::string folder = options.state_dir + "/journal";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  ASSIGN_OR_RETURN(auto disk, journal::PosixDisk::open(folder));
  journal::FileJournalOptions settings;
  ASSIGN_OR_RETURN(settings.log.origin, origin_of(source, chat));
  settings.log.journal_bytes = options.journal.bytes;
  settings.log.segment_bytes = std::min(settings.log.segment_bytes, options.journal.bytes / 8);
  settings.log.fsync = options.journal.fsync;
  settings.wall_offset_us = wall_offset_us();
  if (chat != nullptr) settings.dialect = chat->dialect(false);
  settings.wake = std::move(wake);
  ASSIGN_OR_RETURN(opened.file, journal::FileJournal::open(std::move(disk), settings));
  const journal::JournalId id = opened.file->journal_id();
  opened.journal_id.assign(reinterpret_cast<const char*>(&id), sizeof id);
  crypto_generichash(opened.public_id_key.data(),
                     opened.public_id_key.size(),
                     reinterpret_cast<const unsigned char*>(&id),
                     sizeof id,
                     nullptr,
                     0);
  opened.restored = opened.file->take_restored();
  if (chat != nullptr) set_dialects(opened.restored, *chat);
  for (const Status& damage : opened.file->damage()) {
    log_event(LogLevel::kError, "journal_damage", {{"cause", damage}});
  }
  log_event(LogLevel::kInfo,
            "journal",
            {{"epoch", static_cast<int64_t>(opened.file->epoch())},
             {"requests", static_cast<int64_t>(opened.restored.size())},
             {"foreign", opened.file->num_foreign()},
             {"incomplete", static_cast<int64_t>(opened.file->incomplete().size())}});
  return opened;
}

}  // namespace trireme
