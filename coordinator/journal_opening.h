// Opens the journal of a coordinator at its start: locks the state folder, reads what an earlier
// coordinator has promised, begins the next epoch. Main thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "coordinator/coordinator_options.h"
#include "coordinator/doors/public_id.h"
#include "coordinator/engine/journal.h"
#include "coordinator/journal/file_journal.h"
#include "coordinator/journal/state_lock.h"

namespace trireme {

class ChatFormat;
struct ModelSource;

struct OpenedJournal {
  std::optional<journal::StateLock> lock;      // of the state folder, where there is one
  std::unique_ptr<journal::FileJournal> file;  // null: --journal off
  std::vector<RestoredRequest> restored;
  std::string journal_id;       // kJournalIdBytes; "": --journal off
  PublicIdKey public_id_key{};  // the same in every life of one journal
};

// `chat`: null where the model takes none. `wake` is called from another thread. TRI-JRN-002: of a
// newer format; TRI-JRN-003: the folder is in use; TRI-JRN-004, TRI-JRN-005: the disk.
StatusOr<OpenedJournal> open_journal(const CoordinatorOptions& options,
                                     const ModelSource& source,
                                     const ChatFormat* chat,
                                     std::function<void()> wake);

}  // namespace trireme
