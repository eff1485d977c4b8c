// models ls | show DIR | make: lists and describes checkpoints, and writes ones of random weights.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/utf8.h"
#include "clients/cli/json_text.h"
#include "clients/cli/models/model_description.h"
#include "clients/cli/verbs.h"
#include "model/checkpoint/model_source.h"
#include "model/checkpoint/random_checkpoint.h"
#include "model/checkpoint/tensor_check.h"

namespace trireme {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Status show(Terminal& terminal, const std::string& model, bool tensors, bool json) {
  ASSIGN_OR_RETURN(const ModelSource source, open_model(model));
  const TensorTable table(source.config);
  const auto unused = check_tensors(table, *source.checkpoint);
  for (const std::string& note : source.notes) terminal.warn(note);
  Json description = describe(source);
  description["chat"] = describe_chat(source);
  description["complete"] = unused.ok();
  if (unused.ok()) description["unused_tensors"] = *unused;
  if (tensors) {
    for (const std::string& name : source.checkpoint->names()) {
      const StoredTensor* tensor = source.checkpoint->find(name);
      description["tensor_list"].push_back({{"name", name},
                                            {"dtype", std::string(name_of(tensor->dtype))},
                                            {"shape", tensor->shape}});
    }
  }
  if (json) {
    terminal.answer_line(json_text(description));
    return unused.status();
  }
  print_description(terminal, description);
  if (unused.ok() && !unused->empty()) {
    terminal.answer_line(format_text("  {}{}", padded("not used", 16), join(*unused)));
  }
  if (tensors) {
    for (const Json& tensor : description["tensor_list"]) {
      terminal.answer_line(format_text("  {}{}{}",
                                       padded(tensor["dtype"].get<std::string>(), 10),
                                       padded(tensor["shape"].dump(), 16),
                                       tensor["name"].get<std::string>()));
    }
  }
  return unused.status();
}

int show_all(Terminal& terminal, const Arguments& models, bool tensors, bool json) {
  if (models.empty()) {
    return terminal.fail(invalid("TRI-MOD-010", "models show needs a folder or dummy:SHAPE"));
  }
  for (const std::string& model : models) {
    if (const Status status = show(terminal, model, tensors, json); !status.ok()) {
      return terminal.fail(status);
    }
  }
  return kDone;
}

// Lists the folders with a config.json up to two levels below each of `roots`; an unreadable one
// becomes a line with its error.
int list(Terminal& terminal, Arguments roots, bool json) {
  if (roots.empty()) roots.emplace_back("models");
  std::vector<std::string> folders;
  for (const std::string& root : roots) {
    std::error_code error;
    if (!fs::is_directory(root, error)) {
      return terminal.fail(
          invalid("TRI-MOD-011", "{} is not a folder; name folders that hold models", root));
    }
    if (fs::exists(root + "/config.json", error)) folders.push_back(root);
    for (const auto& entry : fs::directory_iterator(root, error)) {
      if (fs::exists(entry.path() / "config.json", error)) folders.push_back(entry.path().string());
    }
  }
  std::ranges::sort(folders);
  for (const std::string& folder : folders) {
    const auto source = open_model(folder);
    if (!source.ok()) {
      const Json broken = {{"model", folder}, {"error", message_of(source.status())}};
      terminal.answer_line(json ? json_text(broken)
                                : format_text("{}  {}",
                                              padded(escape_controls(folder), 32),
                                              message_of(source.status())));
      continue;
    }
    const Json row = describe(*source);
    terminal.answer_line(
        json ? json_text(row)
             : format_text("{}  {}{}{}{} layers",
                           padded(escape_controls(folder), 32),
                           padded(row["model_type"].get<std::string>(), 8),
                           padded(short_count(row["parameters"]), 9),
                           padded(format_bytes(row["weight_bytes"].get<double>()), 10),
                           row["layers"].get<int>()));
  }
  if (folders.empty()) terminal.note("no folder with a config.json in " + join(roots));
  if (!json) terminal.note("shapes for dummy: and models make: " + join(dummy_shape_names()));
  return kDone;
}

int make(Terminal& terminal,
         const RandomCheckpointOptions& options,
         const std::string& dtype,
         bool json) {
  RandomCheckpointOptions checked = options;
  if (dtype == "float32") checked.dtype = DType::kFloat32;
  if (dtype == "float16") checked.dtype = DType::kFloat16;
  if (dtype != "float32" && dtype != "float16" && dtype != "bfloat16") {
    return terminal.fail(invalid(
        "TRI-MOD-012", "--dtype {} cannot be stored; use bfloat16, float16 or float32", dtype));
  }
  if (options.like.empty() || options.out.empty()) {
    return terminal.fail(invalid("TRI-MOD-013",
                                 "models make needs --like SHAPE and --out DIR; shapes: {}",
                                 join(dummy_shape_names())));
  }
  SteadyClock clock;
  ProgressBar bar(terminal, clock, "writing", ProgressBar::Unit::kBytes);
  const auto made =
      make_checkpoint(checked, [&](int64_t done, int64_t total) { bar.update(done, total); });
  terminal.set_bar("");
  if (!made.ok()) return terminal.fail(made.status());
  const Json object = {{"model", options.out},
                       {"tensors", made->tensors},
                       {"weight_bytes", made->bytes},
                       {"files", made->files}};
  terminal.answer_line(json ? json_text(object)
                            : format_text("wrote {}: {} tensors, {} in {} file{}",
                                          escape_not_utf8(options.out),
                                          made->tensors,
                                          format_bytes(static_cast<double>(made->bytes)),
                                          made->files,
                                          made->files == 1 ? "" : "s"));
  return kDone;
}

}  // namespace

int verb_models(Terminal& terminal, const Arguments& arguments) {
  bool json = false;
  bool tensors = false;
  std::string dtype = "bfloat16";
  RandomCheckpointOptions options;
  Arguments words;
  FlagSet flags("trireme models ls [FOLDER...] | show DIR... | make --like SHAPE --out DIR",
                "lists and describes checkpoints; `make` writes one with random weights");
  flags.add("json", &json, "JSON");
  flags.add("tensors", &tensors, "list every tensor", "models show");
  flags.add("like", &options.like, "name of a published shape, or a config.json", "models make");
  flags.add("out", &options.out, "folder to write", "models make");
  flags.add("dtype", &dtype, "bfloat16, float16 or float32", "models make");
  flags.add("seed", &options.seed, "seed of the random weights", "models make");
  flags.add("scale", &options.scale, "factor of every matrix value", "models make");
  if (const auto over = parse_flags(terminal, flags, arguments, &words)) return *over;
  const std::string what = words.empty() ? "ls" : words.front();
  const Arguments rest(words.begin() + (words.empty() ? 0 : 1), words.end());
  if (what == "ls") return list(terminal, rest, json);
  if (what == "show") return show_all(terminal, rest, tensors, json);
  if (what == "make") return make(terminal, options, dtype, json);
  return terminal.fail(
      invalid("TRI-MOD-014", "models knows ls, show and make, not \"{}\" (models --help)", what));
}

}  // namespace trireme
