// Reads an answer while it grows: which bytes are markers, content, reasoning and tool calls. One
// per choice; its owner's thread. Every step waits until the text decides it, so the events do not
// depend on how the text arrives, and the sources of all events concatenate to the text.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "model/chat/answer/answer_format.h"
#include "model/chat/answer/call_opening.h"
#include "model/chat/answer/json_scanner.h"

namespace trireme {

enum class ReadKind : uint8_t {
  kMarker,   // belongs to the form: not shown
  kDropped,  // a special token that is no marker
  kContent,
  kReasoning,
  kCallBegin,  // text: the name
  kArguments,
  kCallEnd,  // the call is complete
};

struct ReadEvent {
  ReadKind kind = ReadKind::kMarker;
  std::string_view source;  // bytes of the answer
  std::string_view text;    // shown for them
};

class AnswerReader {
 public:
  using Sink = std::function<void(const ReadEvent&)>;

  explicit AnswerReader(std::shared_ptr<const AnswerFormat> format);

  void push(std::string_view text, bool special, const Sink& sink);
  void finish(const Sink& sink);
  // The text so far was the end of a prompt, which may have begun reasoning or content; all else
  // that it began is left to it, and the answer goes on as content.
  void begin_answer();

  int32_t num_calls() const { return num_complete_; }
  bool in_reasoning() const { return state_ == State::kReasoning; }
  bool wants_end() const { return state_ == State::kEnded; }
  // The bytes that were looked at for markers so far: a measure of the work.
  uint64_t num_searched_bytes() const { return num_searched_bytes_; }

 private:
  enum class State : uint8_t {
    kHead,  // segments: channel and recipient of the next segment
    kContent,
    kReasoning,
    kCall,        // at the marker of a call, which may prove to be none
    kArguments,   // a JSON object as the model writes it
    kTail,        // the objects around it
    kParameters,  // between two parameters
    kParameterName,
    kText,     // a parameter that is text
    kTyped,    // a parameter of another type
    kClose,    // the marker after a call
    kBetween,  // after a call
    kEnded,
  };
  struct Found {
    size_t at = 0;  // a marker, or where one may begin
    size_t length = 0;
    int which = -1;  // index; -1: none
  };

  const CallDialect& calls() const { return format_->dialect->calls; }
  bool segments() const { return format_->dialect->content_open.present(); }
  std::string_view rest() const { return std::string_view(buffer_).substr(at_); }
  bool run();  // false: more text is needed

  bool swallow_blanks();
  bool read_head();
  bool open_head(std::string_view head, size_t length);
  bool read_fresh();
  bool drop_special();
  bool read_content();
  bool read_reasoning();
  bool read_call();
  bool read_arguments();
  bool read_tail();
  bool read_parameters();
  bool read_parameter_name();
  bool read_text();
  bool read_typed();
  bool read_close();
  bool read_between();

  Found find(const Marker* const* markers, int count, size_t from = 0);
  bool begin_call(const CallOpening& opening);
  void begin_next_call(size_t blanks);
  void end_call(State next);
  bool is_declared(std::string_view name) const;
  ParameterType type_of(std::string_view parameter) const;
  void emit_text(size_t length);
  void fail_call();
  void enter(State state) {
    state_ = state;
    searched_ = 0;
  }

  void emit(ReadKind kind, size_t length);
  void emit_as(ReadKind kind, size_t length, std::string_view text);
  void note(ReadKind kind, std::string_view text);  // without a source
  void marker(const Marker& marker, size_t length);

  std::shared_ptr<const AnswerFormat> format_;
  const Sink* sink_ = nullptr;
  std::string buffer_;
  std::string special_;  // a byte of buffer_ each: not 0 in a special token
  size_t at_ = 0;        // what is before it is read
  bool end_ = false;

  State state_ = State::kContent;
  bool fresh_ = true;         // content: nothing but white space so far
  bool bare_allowed_ = true;  // a call without a marker may begin here
  bool after_call_ = false;
  bool reasoned_ = false;     // some reasoning has ended
  std::string swallow_;       // white space that belongs to the last marker
  size_t blanks_before_ = 0;  // kCall: white space and a comma in front of the marker
  CallPlace place_ = CallPlace::kFirst;
  bool in_section_ = false;
  int nesting_ = 0;
  JsonScanner scanner_;
  std::string tool_;  // kTagged: the function
  ParameterType parameter_type_ = ParameterType::kAny;
  bool has_parameters_ = false;
  size_t searched_ = 0;  // kTyped: no marker begins in these bytes of rest()
  uint64_t num_searched_bytes_ = 0;
  int32_t num_complete_ = 0;
};

}  // namespace trireme
