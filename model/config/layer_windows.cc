#include "model/config/layer_windows.h"

#include <string>

#include "model/json_reader.h"

namespace trireme {

namespace {

constexpr char kFull[] = "full_attention";
constexpr char kSliding[] = "sliding_attention";

int32_t read_window(JsonReader& reader, const Family& family) {
  if (reader.is_null("sliding_window")) return 0;
  return static_cast<int32_t>(reader.integer("sliding_window", 1, 1 << 24, family.window));
}

// Calls `visit(layer, slides)` for each entry of "layer_types"; false if the key is absent.
template <class Visit>
bool each_layer_type(JsonReader& reader, int64_t num_layers, const Visit& visit) {
  const auto types = reader.field("layer_types");
  if (!types) return false;
  if (!types->is(JsonValue::Kind::kArray)) {
    reader.fail("\"layer_types\" is {}, allowed is a list or null", shown(*types));
    return true;
  }
  const size_t count = types->count();
  if (static_cast<int64_t>(count) != num_layers) {
    reader.fail("\"layer_types\" has {} entries for {} layers", count, num_layers);
    return true;
  }
  int64_t layer = 0;
  (void)types->each([&](JsonValue type) -> Status {
    const std::string name = string_of(type);
    // "attention" is the older name of full_attention.
    if (name != kFull && name != kSliding && name != "attention") {
      reader.fail("\"layer_types\"[{}] is {}, supported are \"{}\" and \"{}\"",
                  layer,
                  shown(type),
                  kFull,
                  kSliding);
    } else {
      visit(layer, name == kSliding);
    }
    ++layer;
    return reader.status();
  });
  return true;
}

// These families do not read "layer_types": the key must describe the layers as they are.
void expect_layer_types(JsonReader& reader, const Family& family, const ModelConfig& config) {
  each_layer_type(reader, config.num_layers, [&](int64_t layer, bool slides) {
    const bool has_window = config.layer_window[layer] > 0;
    if (slides == has_window) return;
    reader.fail("\"layer_types\"[{}] is \"{}\", in this model of the family {} it is \"{}\"",
                layer,
                slides ? kSliding : kFull,
                family.model_type,
                has_window ? kSliding : kFull);
  });
}

void read_switched_windows(JsonReader& reader, const Family& family, ModelConfig& config) {
  const bool switched_on = reader.boolean("use_sliding_window", false);
  const int32_t window = switched_on ? read_window(reader, family) : 0;
  const bool listed = each_layer_type(reader, config.num_layers, [&](int64_t layer, bool slides) {
    if (slides && window == 0) {
      reader.fail(
          "\"layer_types\"[{}] is \"{}\", which needs \"use_sliding_window\" true and a "
          "\"sliding_window\"",
          layer,
          kSliding);
    }
    if (slides) config.layer_window[layer] = window;
  });
  if (listed || window == 0) return;
  const int64_t first = reader.integer("max_window_layers", 0, 1 << 20, family.max_window_layers);
  for (int64_t layer = first; layer < config.num_layers; ++layer) {
    config.layer_window[layer] = window;
  }
}

}  // namespace

void read_layer_windows(JsonReader& reader, const Family& family, ModelConfig& config) {
  config.layer_window.assign(config.num_layers, 0);
  if (family.windows == WindowRule::kSwitched) {
    return read_switched_windows(reader, family, config);
  }
  if (family.windows == WindowRule::kAll) {
    config.layer_window.assign(config.num_layers, read_window(reader, family));
    if (config.layer_window[0] > 0 && !reader.boolean("use_sliding_window", true)) {
      reader.fail(
          "\"use_sliding_window\" is false beside \"sliding_window\" {}, which the family {} "
          "always uses; set \"sliding_window\" to null for a model without windows",
          config.layer_window[0],
          family.model_type);
    }
  }
  expect_layer_types(reader, family, config);
}

}  // namespace trireme
