#include "base/flags.h"

#include <algorithm>

#include "base/config_file.h"
#include "base/environment.h"
#include "base/flag_values.h"
#include "base/text.h"

namespace trireme {

namespace {

// "max-tokens" -> "TRIREME_MAX_TOKENS"
std::string environment_name(const std::string& name) {
  std::string twin = "TRIREME_";
  for (const char letter : name) {
    twin += letter == '-' ? '_' : static_cast<char>(std::toupper(letter));
  }
  return twin;
}

template <class Number>
std::function<Status(const std::string&)> number_reader(Number* target) {
  return [target](const std::string& text) -> Status {
    ASSIGN_OR_RETURN(*target, parse_number<Number>(text));
    return ok_status();
  };
}

}  // namespace

FlagSet::FlagSet(std::string program, std::string summary)
    : program_(std::move(program)), summary_(std::move(summary)) {}

FlagSet::Flag& FlagSet::insert(const std::string& name,
                               const std::string& help,
                               const std::string& group) {
  Flag flag;
  flag.name = name;
  flag.help = help;
  flag.group = group;
  flags_.push_back(std::move(flag));
  return flags_.back();
}

void FlagSet::add(const std::string& name,
                  bool* target,
                  const std::string& help,
                  const std::string& group) {
  Flag& flag = insert(name, help, group);
  flag.is_switch = true;
  flag.default_text = *target ? "on" : "";
  flag.read = [target](const std::string& text) -> Status {
    ASSIGN_OR_RETURN(*target, parse_switch(text));
    return ok_status();
  };
}

void FlagSet::add(const std::string& name,
                  std::string* target,
                  const std::string& help,
                  const std::string& group) {
  Flag& flag = insert(name, help, group);
  flag.default_text = *target;
  flag.read = [target](const std::string& text) {
    *target = text;
    return ok_status();
  };
}

void FlagSet::add(const std::string& name,
                  std::optional<bool>* target,
                  const std::string& help,
                  const std::string& group) {
  Flag& flag = insert(name, help, group);
  flag.is_switch = flag.takes_word = true;
  flag.read = [target](const std::string& text) -> Status {
    ASSIGN_OR_RETURN(*target, parse_switch(text));
    return ok_status();
  };
}

void FlagSet::add(const std::string& name,
                  int* target,
                  const std::string& help,
                  const std::string& group) {
  Flag& flag = insert(name, help, group);
  flag.default_text = format_text("{}", *target);
  flag.read = number_reader(target);
}

void FlagSet::add(const std::string& name,
                  int64_t* target,
                  const std::string& help,
                  const std::string& group) {
  Flag& flag = insert(name, help, group);
  flag.default_text = format_text("{}", *target);
  flag.read = number_reader(target);
}

void FlagSet::add(const std::string& name,
                  uint64_t* target,
                  const std::string& help,
                  const std::string& group) {
  Flag& flag = insert(name, help, group);
  flag.default_text = format_text("{}", *target);
  flag.read = number_reader(target);
}

void FlagSet::add(const std::string& name,
                  double* target,
                  const std::string& help,
                  const std::string& group) {
  Flag& flag = insert(name, help, group);
  flag.default_text = format_text("{:g}", *target);
  flag.read = number_reader(target);
}

void FlagSet::add(const std::string& name,
                  float* target,
                  const std::string& help,
                  const std::string& group) {
  Flag& flag = insert(name, help, group);
  flag.default_text = format_text("{:g}", *target);
  flag.read = number_reader(target);
}

void FlagSet::add(const std::string& name,
                  std::vector<std::string>* target,
                  const std::string& help,
                  const std::string& group) {
  Flag& flag = insert(name, help, group);
  flag.repeats = true;
  flag.read = [target](const std::string& text) {
    target->push_back(text);
    return ok_status();
  };
}

void FlagSet::add_size(const std::string& name,
                       int64_t* bytes,
                       const std::string& help,
                       const std::string& group) {
  add_custom(name, help, group, [bytes](const std::string& text) -> Status {
    ASSIGN_OR_RETURN(*bytes, parse_size(text));
    return ok_status();
  });
}

void FlagSet::add_length(const std::string& name,
                         int64_t* count,
                         const std::string& help,
                         const std::string& group) {
  add_custom(name, help, group, [count](const std::string& text) -> Status {
    ASSIGN_OR_RETURN(*count, parse_length(text));
    return ok_status();
  });
}

void FlagSet::add_list(const std::string& name,
                       std::vector<int64_t>* values,
                       const std::string& help,
                       const std::string& group) {
  insert(name, help, group).default_text = join(*values, ",");
  flags_.back().read = [values](const std::string& text) -> Status {
    std::vector<int64_t> parsed;
    for (const std::string& part : split(text, ',')) {
      ASSIGN_OR_RETURN(const int64_t value, parse_length(part));
      parsed.push_back(value);
    }
    *values = parsed;
    return ok_status();
  };
}

void FlagSet::add_custom(const std::string& name,
                         const std::string& help,
                         const std::string& group,
                         std::function<Status(const std::string&)> read) {
  insert(name, help, group).read = std::move(read);
}

void FlagSet::alias(const std::string& dashed, const std::string& name) {
  aliases_.emplace_back(dashed, name);
}

FlagSet::Flag* FlagSet::find(const std::string& name) {
  for (Flag& flag : flags_) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

const FlagSet::Flag* FlagSet::find(const std::string& name) const {
  return const_cast<FlagSet*>(this)->find(name);
}

std::vector<std::string> FlagSet::names() const {
  std::vector<std::string> names;
  for (const Flag& flag : flags_) names.push_back(flag.name);
  return names;
}

void FlagSet::add_problem(const Status& status) { problems_.push_back(message_of(status)); }

void FlagSet::set(Flag& flag, const std::string& text, FlagOrigin origin) {
  if (flag.origin > origin || (flag.origin == origin && !flag.repeats &&
                               origin != FlagOrigin::kFlag && origin != FlagOrigin::kDefault)) {
    return;
  }
  if (const Status status = flag.read(text); !status.ok()) {
    const std::string where = origin == FlagOrigin::kEnvironment ? environment_name(flag.name)
                              : origin == FlagOrigin::kFile      ? flag.name
                                                                 : "--" + flag.name;
    return add_problem(invalid(error_id(status), "{}: {}", where, message_without_id(status)));
  }
  flag.origin = origin;
}

// Reads the argument at `at` and its value; returns the index of the next argument.
size_t FlagSet::read_argument(const std::vector<std::string>& arguments,
                              size_t at,
                              std::vector<std::string>& rest) {
  std::string name = arguments[at];
  std::optional<std::string> value;
  if (const size_t equals = name.find('='); equals != std::string::npos) {
    value = name.substr(equals + 1);
    name = name.substr(0, equals);
  }
  for (const auto& [dashed, long_name] : aliases_) {
    if (name == dashed) name = "--" + long_name;
  }
  if (!name.starts_with("--")) {
    if (name.size() > 1 && name[0] == '-') {
      add_problem(invalid("TRI-ARGS-001", "unknown flag {}; see {} --help", name, program_));
    } else {
      rest.push_back(arguments[at]);
    }
    return at + 1;
  }
  name = name.substr(2);
  Flag* flag = find(name);
  if (flag == nullptr && name.starts_with("no-")) {
    flag = find(name.substr(3));
    if (flag != nullptr && flag->is_switch && !value) {
      set(*flag, "false", FlagOrigin::kFlag);
      return at + 1;
    }
    flag = nullptr;
  }
  if (flag == nullptr) {
    const std::string near = nearest(name, names());
    add_problem(invalid("TRI-ARGS-001",
                        "unknown flag --{}{} ({} --help lists them)",
                        name,
                        near.empty() ? "" : format_text("; did you mean --{}?", near),
                        program_));
    const bool has_value = at + 1 < arguments.size() && !arguments[at + 1].starts_with("-");
    return at + (has_value && !value ? 2 : 1);
  }
  if (flag->is_switch && !value) {
    const std::string next = at + 1 < arguments.size() ? arguments[at + 1] : "";
    const bool has_word = flag->takes_word && (next == "true" || next == "false");
    set(*flag, has_word ? next : "true", FlagOrigin::kFlag);
    return at + (has_word ? 2 : 1);
  }
  if (!value && at + 1 >= arguments.size()) {
    add_problem(invalid("TRI-ARGS-002", "--{} needs a value", name));
    return at + 1;
  }
  set(*flag, value ? *value : arguments[at + 1], FlagOrigin::kFlag);
  return at + (value ? 1 : 2);
}

void FlagSet::read_environment() {
  for (Flag& flag : flags_) {
    if (const auto value = environment(environment_name(flag.name))) {
      set(flag, *value, FlagOrigin::kEnvironment);
    }
  }
}

void FlagSet::read_file(const std::string& path) {
  const StatusOr<std::vector<ConfigEntry>> entries = read_config_file(path);
  if (!entries.ok()) return add_problem(entries.status());
  for (const ConfigEntry& entry : *entries) {
    std::string name = entry.key;
    std::replace(name.begin(), name.end(), '_', '-');
    if (Flag* flag = find(name)) {
      if (!flag->repeats) {
        set(*flag, join(entry.values, ","), FlagOrigin::kFile);
        continue;
      }
      for (const std::string& value : entry.values) set(*flag, value, FlagOrigin::kFile);
      continue;
    }
    const std::string near = nearest(name, names());
    add_problem(invalid("TRI-ARGS-005",
                        "{}: unknown key \"{}\"{}",
                        path,
                        entry.key,
                        near.empty() ? "" : format_text("; did you mean \"{}\"?", near)));
  }
}

StatusOr<std::vector<std::string>> FlagSet::parse(const std::vector<std::string>& arguments) {
  std::string config;
  if (find("config") == nullptr) {
    add("config", &config, "read flags from this TOML file", "Configuration");
  }
  std::vector<std::string> rest;
  size_t at = 0;
  while (at < arguments.size()) {
    const std::string& argument = arguments[at];
    if (argument == "--") {
      rest.insert(rest.end(), arguments.begin() + static_cast<int64_t>(at) + 1, arguments.end());
      break;
    }
    help_wanted_ |= argument == "--help" || argument == "-h";
    help_all_wanted_ |= argument == "--help-all";
    if (argument == "--help" || argument == "-h" || argument == "--help-all") {
      ++at;
      continue;
    }
    at = read_argument(arguments, at, rest);
  }
  read_environment();
  if (!config.empty()) read_file(config);
  find("config")->read = [](const std::string&) { return ok_status(); };
  if (!problems_.empty() && !help_wanted_ && !help_all_wanted_) {
    return absl::InvalidArgumentError(join(problems_, "\n"));
  }
  return rest;
}

std::string FlagSet::help(bool all) const {
  constexpr size_t kScreenFlags = 18;
  std::string text = format_text("usage: {} [flags]\n", program_);
  if (!summary_.empty()) text += summary_ + "\n";
  std::string group = "\n";
  size_t shown = 0;
  for (const Flag& flag : flags_) {
    if (!all && ++shown > kScreenFlags) {
      text += "\n--help-all lists " + format_text("{}", flags_.size() - kScreenFlags) + " more\n";
      break;
    }
    if (flag.group != group) text += "\n" + (flag.group.empty() ? "Flags" : flag.group) + "\n";
    group = flag.group;
    std::string name = "  --" + flag.name;
    for (const auto& [dashed, long_name] : aliases_) {
      if (long_name == flag.name) name += ", " + dashed;
    }
    name.resize(std::max<size_t>(name.size() + 1, 34), ' ');
    text += name + flag.help;
    if (!flag.default_text.empty()) text += " (default " + flag.default_text + ")";
    text += "\n";
  }
  return text;
}

FlagOrigin FlagSet::origin(const std::string& name) const {
  const Flag* flag = find(name);
  return flag == nullptr ? FlagOrigin::kDefault : flag->origin;
}

}  // namespace trireme
