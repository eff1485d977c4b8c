#include "model/checkpoint/model_source.h"

#include <algorithm>
#include <filesystem>

#include "model/checkpoint/dummy_checkpoint.h"
#include "model/checkpoint/tokenizer_files.h"
#include "model/config/read_model_config.h"
#include "model/file_text.h"
#include "model/json_reader.h"

namespace trireme {

namespace {

// Sampling defaults and further end-of-sequence ids of generation_config.json. The file is
// optional.
Status read_generation_config(const std::string& dir, ModelSource& source) {
  const std::string path = dir + "/generation_config.json";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return ok_status();
  ASSIGN_OR_RETURN(const std::string text, read_text_file(path, 4 << 20, "TRI-CONF-001"));
  ASSIGN_OR_RETURN(const JsonValue json, parse_json_object(text, path));
  JsonReader reader(json, "TRI-CONF-007", path);
  SamplingParams& sampling = source.sampling_defaults;
  const bool samples = reader.boolean("do_sample", true);
  sampling.temperature = samples ? static_cast<float>(reader.number("temperature", 0, 100, 1)) : 0;
  sampling.top_k = static_cast<int32_t>(reader.integer("top_k", 0, 1 << 24, 0));
  sampling.top_p = static_cast<float>(reader.number("top_p", 1e-6, 1, 1));
  sampling.min_p = static_cast<float>(reader.number("min_p", 0, 1, 0));
  sampling.repetition_penalty =
      static_cast<float>(reader.number("repetition_penalty", 1e-2, 100, 1));
  const std::vector<TokenId> eos = reader.token_ids("eos_token_id");
  source.eos_ids.insert(source.eos_ids.end(), eos.begin(), eos.end());
  return reader.status();
}

}  // namespace

StatusOr<ModelSource> open_model(const std::string& model,
                                 uint64_t weights_seed,
                                 const ReadProgress& progress) {
  ModelSource source;
  source.name = model;
  if (model.starts_with("dummy:")) {
    ASSIGN_OR_RETURN(const std::string config_text, dummy_config(model.substr(6)));
    ASSIGN_OR_RETURN(source.config, parse_model_config(config_text, model));
    source.checkpoint = make_dummy_checkpoint(source.config, config_text, weights_seed);
    source.no_tokenizer = "it has no tokenizer.json";
    return source;
  }
  source.dir = model;
  ASSIGN_OR_RETURN(source.config, load_model_config(model));
  ASSIGN_OR_RETURN(source.checkpoint, open_checkpoint(model, source.notes));
  RETURN_IF_ERROR(resolve_stored_names(*source.checkpoint, source.config, source.notes, progress));
  source.eos_ids = source.config.eos_ids;
  RETURN_IF_ERROR(read_generation_config(model, source));
  std::sort(source.eos_ids.begin(), source.eos_ids.end());
  source.eos_ids.erase(std::unique(source.eos_ids.begin(), source.eos_ids.end()),
                       source.eos_ids.end());
  const TokenizerFiles files = find_tokenizer_files(model);
  source.has_tokenizer = files.has_json;
  source.no_tokenizer = files.missing;
  source.tells_no_tokenizer = files.has_others;
  return source;
}

}  // namespace trireme
