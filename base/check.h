// CHECK for promises of ours: a failure is our bug and stops the process.
// Never used on anything that a client, a file or a peer sent; those get a Status.
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

// CHECK with a C string that says which value broke the promise.
#define CHECK_THAT(condition, detail)                                  \
  do {                                                                 \
    if (!(condition)) [[unlikely]]                                     \
      ::trireme::check_failed(__FILE__, __LINE__, #condition, detail); \
  } while (false)
