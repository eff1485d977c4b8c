// Conversion between protobuf fields and plain values: packed lists, ranges, whole frames. For the
// .cc files of the codecs only. A RangeCheck keeps the first field that fails; the caller looks at
// it once at the end. No state.
#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message_lite.h>
#include <google/protobuf/repeated_field.h>
#include <google/protobuf/stubs/logging.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/status.h"
#include "proto/frame.h"

namespace trireme::wire {

template <class T>
using Packed = google::protobuf::RepeatedField<T>;

// Replaces the content of `frame` by header and body.
inline void write_frame(int type,
                        const google::protobuf::MessageLite& message,
                        std::string& frame) {
  const size_t size = message.ByteSizeLong();
  // The library would write a line to stderr for every text that is not UTF-8: the receiver refuses
  // such a message.
  const google::protobuf::LogSilencer silencer;
  frame.resize(kFrameHeaderBytes + size);
  frame[0] = static_cast<char>(kProtocolMajor);
  frame[1] = static_cast<char>(type);
  message.SerializeWithCachedSizesToArray(
      reinterpret_cast<uint8_t*>(frame.data() + kFrameHeaderBytes));
}

// Parses `body` into `message`. TRI-NET-004: too large; TRI-NET-003: not a message of this type.
inline Status parse(std::string_view body,
                    int64_t max_bytes,
                    google::protobuf::MessageLite& message) {
  if (static_cast<int64_t>(body.size()) > max_bytes) {
    return too_large("TRI-NET-004",
                     "a {} has {} bytes, at most {} are taken",
                     message.GetTypeName(),
                     body.size(),
                     max_bytes);
  }
  message.Clear();
  // The library would write a line to stderr for every malformed frame; the Status suffices.
  const google::protobuf::LogSilencer silencer;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(body.data()),
                                            static_cast<int>(body.size()));
  in.SetRecursionLimit(kMaxMessageDepth);
  if (!message.MergeFromCodedStream(&in) || !in.ConsumedEntireMessage()) {
    return invalid("TRI-NET-003",
                   "a body of {} bytes is no {}; compare proto/*.proto of this release",
                   body.size(),
                   message.GetTypeName());
  }
  return ok_status();
}

class RangeCheck {
 public:
  // `field` may be followed by a remark: "client (its bytes)".
  void fail(const char* field, const std::string& problem) {
    if (!status_.ok()) return;
    const std::string_view words = field;
    status_ = with_field(invalid("TRI-NET-006", "field {} {}", field, problem),
                         words.substr(0, words.find(' ')));
  }
  template <class T>
  void number(T value, int64_t high, const char* field, int64_t low = 0) {
    const bool above = value > T{} && static_cast<uint64_t>(value) > static_cast<uint64_t>(high);
    const bool below = value < T{} && static_cast<int64_t>(value) < low;
    if (above || below) fail(field, format_text("is {}, allowed is {} to {}", value, low, high));
  }
  // Reports a value of a wire enum that has no counterpart here.
  void unknown(int value, int high, const char* field, int low = 0) {
    fail(field, format_text("is {}, allowed is {} to {}", value, low, high));
  }
  void same_length(int64_t a, int64_t b, const char* field) {
    if (a != b) fail(field, format_text("has {} entries beside {} in its parallel list", b, a));
  }
  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }

 private:
  Status status_;
};

constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();
constexpr int64_t kInt64Max = std::numeric_limits<int64_t>::max();

template <class T>
int32_t to_int32(RangeCheck& check, T value, const char* field) {
  check.number(value, kInt32Max, field);
  return check.ok() ? static_cast<int32_t>(value) : 0;
}

template <class T>
int64_t to_int64(RangeCheck& check, T value, const char* field) {
  check.number(value, kInt64Max, field);
  return check.ok() ? static_cast<int64_t>(value) : 0;
}

// Packed lists of numbers that are never negative.
inline void put(const std::vector<int32_t>& from, Packed<uint32_t>* to) {
  to->Clear();
  to->Add(from.begin(), from.end());
}

inline void take(RangeCheck& check,
                 const Packed<uint32_t>& from,
                 std::vector<int32_t>& to,
                 const char* field) {
  uint32_t all_bits = 0;
  for (const uint32_t value : from) all_bits |= value;
  if (all_bits > static_cast<uint32_t>(kInt32Max)) check.fail(field, "has a value above 2^31 - 1");
  to.assign(from.begin(), from.end());
}

// One member of a list of structs, as a packed list.
template <class Struct, class Wire>
void put_member(const std::vector<Struct>& from, int32_t Struct::*member, Packed<Wire>* to) {
  to->Clear();
  to->Reserve(static_cast<int>(from.size()));
  for (const Struct& value : from) to->AddAlreadyReserved(static_cast<Wire>(value.*member));
}

// Fills one member of every struct of `to`, which already has the length of the parallel lists.
template <class Struct>
void take_member(RangeCheck& check,
                 const Packed<uint32_t>& from,
                 std::vector<Struct>& to,
                 int32_t Struct::*member,
                 const char* field) {
  check.same_length(static_cast<int64_t>(to.size()), from.size(), field);
  if (!check.ok()) return;
  uint32_t all_bits = 0;
  for (size_t i = 0; i < to.size(); ++i) {
    all_bits |= from[static_cast<int>(i)];
    to[i].*member = static_cast<int32_t>(from[static_cast<int>(i)]);
  }
  if (all_bits > static_cast<uint32_t>(kInt32Max)) check.fail(field, "has a value above 2^31 - 1");
}

}  // namespace trireme::wire
