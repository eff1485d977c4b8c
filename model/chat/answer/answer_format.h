// The form of a model's answers: the markers of reasoning and tool calls. Plain values: a Dialect
// is derived once per template, an AnswerFormat once per request; both are const afterwards.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trireme {

// A literal that separates parts of an answer. It is recognised by its core; the white space around
// it belongs to it as far as the answer has it.
struct Marker {
  std::string before;
  std::string core;
  std::string after;

  bool present() const { return !core.empty(); }
  std::string text() const { return before + core + after; }
  bool operator==(const Marker&) const = default;
};

// The literal without its outer white space, and that white space.
Marker make_marker(std::string_view literal);

enum class CallStyle { kNone, kJsonObject, kHeader, kTagged };

// One call is `open` {"name": N, "arguments": A} `close` (kJsonObject), `open` N `name_end` A
// `close` (kHeader), or `open` N `name_end` (`parameter_open` K `parameter_name_end` V
// `parameter_close`)* `close` (kTagged). All calls stand between section_open and section_close.
struct CallDialect {
  CallStyle style = CallStyle::kNone;
  Marker section_open;
  Marker section_close;
  Marker open;
  Marker close;
  bool list = false;                   // kJsonObject: the section holds a JSON array
  std::vector<std::string> name_path;  // kJsonObject: keys from the outermost object
  std::vector<std::string> arguments_path;
  std::vector<std::string> other_keys;  // their values are scalars and are skipped
  Marker id_open;         // kHeader: the model may write an id between the name and name_end
  bool numbered = false;  // kHeader: ':' and a number follow the name
  Marker name_end;
  Marker parameter_open;
  Marker parameter_name_end;
  Marker parameter_close;
  std::string tagged_end;   // the first tag of `close`, which ends the parameters by itself
  std::string before_name;  // as the template writes it: the opening of a call that the server
  std::string after_name;   // begins
  bool short_ids = false;   // ids of calls are 9 letters or digits

  // A marker begins a call wherever it stands; else the head of a segment may name a recipient.
  bool has_tag() const {
    return section_open.present() || open.core.find_first_of("<[") != std::string::npos;
  }
  // Nothing but the JSON itself begins a call: it counts only where an answer begins.
  bool bare() const { return !section_open.present() && !open.present(); }
  bool operator==(const CallDialect&) const = default;
};

struct Dialect {
  std::string header;  // the end of a prompt, after which an answer begins
  Marker reasoning_open;
  Marker reasoning_close;
  // With a core: an answer consists of segments, each a head (channel, recipient), then a body.
  Marker content_open;
  Marker segment_end;  // between two segments
  CallDialect calls;
  bool operator==(const Dialect&) const = default;
};

// The types of a tool's parameters, for dialects without types.
enum class ParameterType { kAny, kString, kStringOrNull };
struct ToolTypes {
  std::string name;
  std::vector<std::pair<std::string, ParameterType>> parameters;
};

struct AnswerFormat {
  std::shared_ptr<const Dialect> dialect;  // shared with the ChatFormat and other requests
  std::vector<ToolTypes> tools;
  bool reads_calls = false;
  bool one_call = false;
  std::string opened;  // the prompt after `header`: part of the answer's form, but not shown
  std::string forced;  // the end of the prompt that is shown: the opening of a call
};

}  // namespace trireme
