// CHECK states an invariant of this program: a failure is a bug here and aborts the process. Input
// from a client, a file or a peer is never checked this way; it gets a Status. Any thread.
#pragma once

namespace trireme {

// Prints "file:line: CHECK failed: condition (detail)" to stderr and aborts.
[[noreturn]] void check_failed(const char* file,
                               int line,
                               const char* condition,
                               const char* detail = "");

}  // namespace trireme

#define CHECK(condition)                                       \
  do {                                                         \
    if (!(condition)) [[unlikely]]                             \
      ::trireme::check_failed(__FILE__, __LINE__, #condition); \
  } while (false)

// CHECK with a C string that names the value which broke the invariant.
#define CHECK_THAT(condition, detail)                                  \
  do {                                                                 \
    if (!(condition)) [[unlikely]]                                     \
      ::trireme::check_failed(__FILE__, __LINE__, #condition, detail); \
  } while (false)
