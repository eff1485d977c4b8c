// Lets the control threads of a process report a fatal signal (SEGV, BUS, ILL, FPE, ABRT) while the
// process still lives. The handler writes to their event descriptors, waits at most two seconds
// for the report, and then lets the signal take the course that it had before, so that a core is
// dumped and the launcher sees how the process ended. One per process: a signal handler has no
// arguments. Of ranks that are threads of one process, the one whose thread it was reports; all do
// if it was none of theirs (a thread of a pool), and the coordinator counts the first.
//
// A thread that ends inside malloc holds its lock, on which a report may wait: then none is made.
#pragma once

namespace trireme {

class CrashNotice {
 public:
  // Registers the calling thread, which is a rank's, and an event descriptor (eventfd), which the
  // handler writes to. The first call in a process installs the handlers: after MPI_Init, whose own
  // handlers then run behind these.
  explicit CrashNotice(int event_fd);
  ~CrashNotice();
  CrashNotice(const CrashNotice&) = delete;
  CrashNotice& operator=(const CrashNotice&) = delete;

  // The fatal signal that this process has had; 0: none.
  static int signal();
  // It came to the thread of another rank.
  bool is_of_other_rank() const;
  // The report has been sent: the signal takes its course.
  static void report_sent();

 private:
  const int place_;
};

}  // namespace trireme
