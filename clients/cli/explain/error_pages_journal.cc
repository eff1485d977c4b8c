#include "clients/cli/explain/error_pages.h"

namespace trireme {

namespace {

constexpr ErrorPage kJournalPages[] = {
    {"TRI-JRN-001",
     "A part of the journal is damaged. The coordinator starts all the same: the message names the "
     "bytes or records, and what is lost with them.",
     "A faulty disk or memory, a file that was changed or copied while the cluster ran, or a loss "
     "of power without --fsync.",
     "Check the disk. Requests that the damage hits end with an error or go on from their last "
     "certain token; their clients can send lost ones again."},
    {"TRI-JRN-002",
     "The journal was written by a newer release in a format that this one does not know. Nothing "
     "was changed.",
     "A release was taken back while its journal stayed.",
     "Start the newer release again and drain it, or give another --state folder."},
    {"TRI-JRN-003",
     "The --state folder is in use.",
     "Another coordinator runs on it; the message names its process.",
     "Stop that process, or give another --state folder."},
    {"TRI-JRN-004",
     "The disk of the journal is full.",
     "Other files fill it, or --journal-size is larger than the room that the disk has. While the "
     "cluster runs, new requests are refused; those that run have their room already.",
     "Free space on that disk, lower --journal-size, or give a --state folder on a larger disk."},
    {"TRI-JRN-005",
     "A file of the journal, or the --state folder, cannot be opened, read or written.",
     "Missing rights, a read-only file system, or a faulty disk. While the cluster runs, the "
     "journal goes on in a fresh file for 60 s before requests end with an error.",
     "Look at the reason in the message, at the rights of the folder, and at the kernel's log."},
    {"TRI-JRN-006",
     "The journal has no room for another request.",
     "Requests that run and answers that are kept have taken the room of --journal-size, or the "
     "disk cannot be written at the moment.",
     "Try again later; give the journal more room, or keep answers for a shorter time "
     "(--answer-ttl)."},
    {"TRI-JRN-007",
     "The longest answer that a request allows does not fit into the journal.",
     "max_tokens (by default the model's length), the number of choices and log-probabilities "
     "decide how much room it may need; a quarter of --journal-size is the limit.",
     "Lower max_tokens, or give the journal more room (--journal-size)."},
};

}  // namespace

std::span<const ErrorPage> journal_error_pages() { return kJournalPages; }

}  // namespace trireme
