#include "model/checkpoint/model_source.h"

#include <algorithm>
#include <filesystem>

#include "base/step_memory.h"
#include "base/text.h"
#include "model/checkpoint/dummy_checkpoint.h"
#include "model/checkpoint/weight_files.h"
#include "model/config/generation_config.h"
#include "model/config/read_model_config.h"

namespace trireme {

namespace {

// With the stop ids of a request they fit into the ids that a step can ban.
constexpr size_t kMaxEndIds = 128;
static_assert(kMaxEndIds < kMaxBannedIds);

// Sorts the ids, and drops those that no step can draw or that are too many.
void settle_end_ids(ModelSource& source) {
  std::vector<TokenId>& ids = source.eos_ids;
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  const int64_t limit = source.config.vocabulary_size;
  const auto beyond = std::ranges::find_if(ids, [&](TokenId id) { return id >= limit; });
  if (beyond != ids.end()) {
    source.notes.push_back(format_text(
        "TRI-CONF-007: \"eos_token_id\" of {} holds {}, the vocabulary has ids up to {}; ids "
        "beyond that are ignored",
        source.dir,
        *beyond,
        limit - 1));
    ids.erase(beyond, ids.end());
  }
  if (ids.size() <= kMaxEndIds) return;
  source.notes.push_back(
      format_text("TRI-CONF-007: \"eos_token_id\" of {} holds {} ids, only the lowest {} are used",
                  source.dir,
                  ids.size(),
                  kMaxEndIds));
  ids.resize(kMaxEndIds);
}

void apply_generation_config(const std::string& dir, ModelSource& source) {
  GenerationDefaults defaults = load_generation_config(dir);
  source.sampling_defaults = defaults.sampling;
  if (!source.config.eos_is_implied || defaults.eos_ids.empty()) {
    source.eos_ids = source.config.eos_ids;
  }
  source.eos_ids.insert(source.eos_ids.end(), defaults.eos_ids.begin(), defaults.eos_ids.end());
  source.notes.insert(source.notes.end(), defaults.notes.begin(), defaults.notes.end());
  settle_end_ids(source);
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
    return source;
  }
  source.dir = model;
  // Adapters and formats of other programs have no config.json; their files say more than its lack.
  if (std::error_code error; !std::filesystem::exists(model + "/config.json", error)) {
    RETURN_IF_ERROR(check_weight_format(model));
  }
  ASSIGN_OR_RETURN(source.config, load_model_config(model));
  source.notes = source.config.notes;
  ASSIGN_OR_RETURN(source.checkpoint, open_checkpoint(model, source.notes));
  RETURN_IF_ERROR(resolve_stored_names(*source.checkpoint, source.config, source.notes, progress));
  apply_generation_config(model, source);
  source.tokenizer_files = find_tokenizer_files(model);
  return source;
}

}  // namespace trireme
