#include "model/config/generation_config.h"

#include "base/text.h"
#include "model/file_text.h"
#include "model/json_reader.h"
#include "model/sampling_ranges.h"

namespace trireme {

namespace {

constexpr char kGenerationId[] = "TRI-CONF-007";
constexpr int64_t kMaxBytes = 4 << 20;

// Reads values of the file; one that cannot be used becomes its fallback and a note.
class DefaultsReader {
 public:
  DefaultsReader(JsonValue json, const std::string& source, std::vector<std::string>& notes)
      : json_(json), source_(source), notes_(notes) {}

  // A sampling field; its range is that of a request.
  float number(const char* key, float fallback) {
    const NumberRange& range = sampling_range(key);
    return read(fallback, [&](JsonReader& reader) {
      const double value = reader.number(key, range.low, range.high, fallback);
      const auto rounded = static_cast<float>(value);
      if (!range.holds(rounded)) {
        reader.fail("\"{}\" is {:g}, allowed are {}", key, value, range.allowed);
      }
      return rounded;
    });
  }
  int32_t integer(const char* key, int32_t fallback) {
    const NumberRange& range = sampling_range(key);
    const auto low = static_cast<int64_t>(range.low);
    const auto high = static_cast<int64_t>(range.high);
    return read(fallback, [&](JsonReader& reader) {
      return static_cast<int32_t>(reader.integer(key, low, high, fallback));
    });
  }
  bool boolean(const char* key, bool fallback) {
    return read(fallback, [&](JsonReader& reader) { return reader.boolean(key, fallback); });
  }
  // Those of the list that can be used.
  std::vector<TokenId> token_ids(const char* key) {
    std::vector<TokenId> ids;
    read(0, [&](JsonReader& reader) {
      ids = reader.token_ids(key);
      return 0;
    });
    return ids;
  }

 private:
  template <class T, class Read>
  T read(const T& fallback, const Read& read_value) {
    JsonReader reader(json_, kGenerationId, source_);
    const T value = read_value(reader);
    if (reader.status().ok()) return value;
    notes_.push_back(message_of(reader.status()) + "; the value is ignored");
    return fallback;
  }

  JsonValue json_;
  const std::string& source_;
  std::vector<std::string>& notes_;
};

// Fields that change what the reference implementation generates, and that are not supported.
struct UnsupportedField {
  const char* key;
  bool one_is_neutral = false;  // beside null, false, 0 and what is empty
};

constexpr UnsupportedField kUnsupported[] = {{"stop_strings"},
                                             {"suppress_tokens"},
                                             {"begin_suppress_tokens"},
                                             {"bad_words_ids"},
                                             {"force_words_ids"},
                                             {"constraints"},
                                             {"sequence_bias"},
                                             {"no_repeat_ngram_size"},
                                             {"encoder_no_repeat_ngram_size"},
                                             {"encoder_repetition_penalty", true},
                                             {"forced_bos_token_id"},
                                             {"forced_eos_token_id"},
                                             {"min_length"},
                                             {"min_new_tokens"},
                                             {"typical_p", true},
                                             {"top_h"},
                                             {"epsilon_cutoff"},
                                             {"eta_cutoff"},
                                             {"penalty_alpha"},
                                             {"dola_layers"},
                                             {"num_beams", true},
                                             {"num_beam_groups", true},
                                             {"diversity_penalty"},
                                             {"exponential_decay_length_penalty"},
                                             {"guidance_scale", true},
                                             {"watermarking_config"}};

bool is_neutral(const UnsupportedField& field, JsonValue value) {
  // 0 is a token like others.
  if (std::string_view(field.key).ends_with("_token_id")) return value.is(JsonValue::Kind::kNull);
  return is_off(value) || (field.one_is_neutral && is_number(value, 1));
}

void note_unsupported(JsonValue json, const std::string& source, std::vector<std::string>& notes) {
  std::vector<std::string> keys;
  for (const UnsupportedField& field : kUnsupported) {
    const auto value = json.find(field.key);
    if (value && !is_neutral(field, *value)) keys.emplace_back(field.key);
  }
  if (keys.empty()) return;
  const bool one = keys.size() == 1;
  notes.push_back(format_text("{}: {} sets {}, which {} not supported; {} ignored",
                              kGenerationId,
                              source,
                              join(keys),
                              one ? "is" : "are",
                              one ? "it is" : "they are"));
}

std::string unused_file(const Status& status) {
  return message_of(status) + "; its defaults are ignored";
}

}  // namespace

GenerationDefaults parse_generation_config(const std::string& json_text,
                                           const std::string& source) {
  GenerationDefaults defaults;
  const auto json = parse_json_object(json_text, source);
  if (!json.ok()) {
    defaults.notes.push_back(unused_file(json.status()));
    return defaults;
  }
  DefaultsReader reader(*json, source, defaults.notes);
  SamplingParams& sampling = defaults.sampling;
  const bool samples = reader.boolean("do_sample", true);
  sampling.temperature = samples ? reader.number("temperature", 1) : 0;
  sampling.top_k = reader.integer("top_k", 0);
  sampling.top_p = reader.number("top_p", 1);
  sampling.min_p = reader.number("min_p", 0);
  sampling.repetition_penalty = reader.number("repetition_penalty", 1);
  defaults.eos_ids = reader.token_ids("eos_token_id");
  note_unsupported(*json, source, defaults.notes);
  return defaults;
}

GenerationDefaults load_generation_config(const std::string& model_dir) {
  const std::string path = model_dir + "/generation_config.json";
  if (!is_there(path)) return {};
  const auto text = read_text_file(path, kMaxBytes, kGenerationId);
  if (text.ok()) return parse_generation_config(*text, path);
  GenerationDefaults defaults;
  defaults.notes.push_back(unused_file(text.status()));
  return defaults;
}

}  // namespace trireme
