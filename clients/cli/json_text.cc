#include "clients/cli/json_text.h"

#include <nlohmann/json.hpp>

#include "base/utf8.h"

namespace trireme {

using Json = nlohmann::ordered_json;

static void escape_texts(Json& json) {
  if (json.is_string()) {
    auto& text = json.get_ref<std::string&>();
    if (!is_utf8(text)) text = escape_not_utf8(text);
  } else if (json.is_structured()) {
    for (Json& item : json) escape_texts(item);
  }
}

std::string json_text(Json json) {
  escape_texts(json);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace trireme
