// The journal of a coordinator at its start: locks the state folder, reads what an earlier
// coordinator has promised, begins the next epoch. Main thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "coordinator/coordinator_options.h"
#include "coordinator/doors/clients/public_id.h"
#include "coordinator/engine/journal.h"
#include "coordinator/journal/file_journal.h"
#include "coordinator/journal/state_lock.h"

namespace trireme {

class ChatFormat;
struct ModelSource;

// Before the doors open: an earlier coordinator of this folder, which may still be ending, has the
// same ports. Nothing: there is no folder. TRI-JRN-003: it is in use; TRI-JRN-005: it cannot be
// written.
StatusOr<std::optional<journal::StateLock>> lock_state(const CoordinatorOptions& options);

struct OpenedJournal {
  std::unique_ptr<journal::FileJournal> file;  // null: --journal off
  std::vector<RestoredRequest> restored;
  std::string journal_id;       // kJournalIdBytes; "": --journal off
  PublicIdKey public_id_key{};  // the same in every life of one journal
};

// `chat`: null where the model takes none. `wake` is called from another thread. TRI-JRN-002: of a
// newer format; TRI-JRN-004, TRI-JRN-005: the disk.
StatusOr<OpenedJournal> open_journal(const CoordinatorOptions& options,
                                     const ModelSource& source,
                                     const ChatFormat* chat,
                                     std::function<void()> wake);

}  // namespace trireme
