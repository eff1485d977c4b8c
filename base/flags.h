// The configuration of a program. Every flag can also be set by the environment variable
// TRIREME_<FLAG> and by a key of the TOML file of --config. Precedence: flag, environment, file,
// default. Parsed once in main, before other threads start; const afterwards.
//
//   FlagSet flags("run", "answers prompts");
//   flags.add("max-tokens", &options.max_tokens, "longest answer", "Sampling");
//   ASSIGN_OR_RETURN(std::vector<std::string> rest, flags.parse(arguments));
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace trireme {

enum class FlagOrigin : uint8_t { kDefault, kFile, kEnvironment, kFlag };

class FlagSet {
 public:
  explicit FlagSet(std::string program, std::string summary = "");

  // Names are given without dashes. A bool takes no value and has a --no-<name> twin.
  void add(const std::string& name,
           bool* target,
           const std::string& help,
           const std::string& group = "");
  void add(const std::string& name,
           std::string* target,
           const std::string& help,
           const std::string& group = "");
  // A switch that stays empty unless it is given; "--name true" and "--name false" also work.
  void add(const std::string& name,
           std::optional<bool>* target,
           const std::string& help,
           const std::string& group = "");
  void add(const std::string& name,
           int* target,
           const std::string& help,
           const std::string& group = "");
  void add(const std::string& name,
           int64_t* target,
           const std::string& help,
           const std::string& group = "");
  void add(const std::string& name,
           uint64_t* target,
           const std::string& help,
           const std::string& group = "");
  void add(const std::string& name,
           double* target,
           const std::string& help,
           const std::string& group = "");
  void add(const std::string& name,
           float* target,
           const std::string& help,
           const std::string& group = "");
  void add(const std::string& name,
           std::vector<std::string>* target,
           const std::string& help,
           const std::string& group = "");  // repeated flags append
  void add_size(const std::string& name,
                int64_t* bytes,
                const std::string& help,
                const std::string& group = "");
  void add_length(const std::string& name,
                  int64_t* count,
                  const std::string& help,
                  const std::string& group = "");
  void add_list(const std::string& name,
                std::vector<int64_t>* values,
                const std::string& help,
                const std::string& group = "");
  // A flag of any other type: `read` parses the text.
  void add_custom(const std::string& name,
                  const std::string& help,
                  const std::string& group,
                  std::function<Status(const std::string&)> read);
  // "-tp" as another spelling of "tensor-parallel-size".
  void alias(const std::string& dashed, const std::string& name);

  // Reads the arguments (without the program), the environment and the file; returns the positional
  // arguments. All problems are reported at once, one per line: TRI-ARGS-001 unknown flag (names
  // the nearest), TRI-ARGS-002 value missing, TRI-ARGS-003 value does not fit, TRI-ARGS-004 file of
  // --config, TRI-ARGS-005 unknown key in that file.
  StatusOr<std::vector<std::string>> parse(const std::vector<std::string>& arguments);

  bool help_wanted() const { return help_wanted_; }
  // The help text: one screen (the first flags), or all flags.
  std::string help(bool all = false) const;
  bool help_all_wanted() const { return help_all_wanted_; }

  FlagOrigin origin(const std::string& name) const;

 private:
  struct Flag {
    std::string name;
    std::string help;
    std::string group;
    bool is_switch = false;
    bool takes_word = false;  // a switch that may be followed by "true" or "false"
    bool repeats = false;
    std::function<Status(const std::string&)> read;
    std::string default_text;
    FlagOrigin origin = FlagOrigin::kDefault;
  };

  Flag& insert(const std::string& name, const std::string& help, const std::string& group);
  Flag* find(const std::string& name);
  const Flag* find(const std::string& name) const;
  void set(Flag& flag, const std::string& text, FlagOrigin origin);
  size_t read_argument(const std::vector<std::string>& arguments,
                       size_t at,
                       std::vector<std::string>& rest);
  void read_environment();
  void read_file(const std::string& path);
  void add_problem(const Status& status);
  std::vector<std::string> names() const;

  std::string program_;
  std::string summary_;
  std::vector<Flag> flags_;
  std::vector<std::pair<std::string, std::string>> aliases_;
  std::vector<std::string> problems_;
  bool help_wanted_ = false;
  bool help_all_wanted_ = false;
};

}  // namespace trireme
