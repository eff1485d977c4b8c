#include "clients/gateway/model_objects.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace trireme::gateway {

namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string iso_time(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[32];
  const size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, size};
}

bool is_ready(const door::ModelInfo& model) { return model.ready_groups > 0; }

std::string state_of(const door::ModelInfo& model) {
  if (!model.state.empty()) return model.state;
  return is_ready(model) ? "AVAILABLE" : "LOADING";
}

Json model_object(const door::ModelInfo& model) {
  return {{"id", model.name},
          {"object", "model"},
          {"created", model.created_s},
          {"owned_by", "trireme"},
          {"max_model_len", model.max_model_len},
          {"type", "model"},
          {"display_name", model.name},
          {"created_at", iso_time(model.created_s)},
          {"lifecycle", "active"},
          {"model_version_status",
           Json::array({{{"version", version_of(model)},
                         {"state", state_of(model)},
                         {"status", {{"error_code", "OK"}, {"error_message", ""}}}}})}};
}

}  // namespace

std::string version_of(const door::ModelInfo& model) {
  return model.version.empty() ? "1" : model.version;
}

std::string write_model(const door::ModelInfo& model) { return text_of(model_object(model)); }

std::string write_model_list(const std::vector<door::ModelInfo>& models) {
  Json list = {{"object", "list"}, {"data", Json::array()}, {"has_more", false}};
  for (const door::ModelInfo& model : models) list["data"].push_back(model_object(model));
  list["first_id"] = models.empty() ? Json() : Json(models.front().name);
  list["last_id"] = models.empty() ? Json() : Json(models.back().name);
  return text_of(list);
}

std::string write_health(const DoorHealth::Verdict& verdict) {
  Json json = {{"status", verdict.status}};
  if (!verdict.ready) {
    json["reason"] = verdict.reason;
    json["loaded_bytes"] = verdict.loaded_bytes;
    json["total_bytes"] = verdict.total_bytes;
    if (verdict.eta_s) json["eta_s"] = *verdict.eta_s;
  }
  return text_of(json);
}

std::string write_version() { return text_of({{"version", TRIREME_VERSION}}); }

std::string write_server_metadata() {
  return text_of(
      {{"name", "trireme"}, {"version", TRIREME_VERSION}, {"extensions", Json::array()}});
}

std::string write_model_metadata(const door::ModelInfo& model) {
  return text_of({{"name", model.name},
                  {"versions", Json::array({version_of(model)})},
                  {"platform", "trireme"},
                  {"inputs", Json::array()},
                  {"outputs", Json::array()}});
}

std::string write_flag(std::string_view name, bool value) {
  Json json;
  json[std::string(name)] = value;
  return text_of(json);
}

std::string write_model_ready(std::string_view model, bool ready) {
  return text_of({{"name", model}, {"ready", ready}});
}

const door::ModelInfo* find_model(const std::vector<door::ModelInfo>& models,
                                  std::string_view name,
                                  std::string_view version,
                                  std::string_view label) {
  for (const door::ModelInfo& model : models) {
    if (model.name != name) continue;
    if (!version.empty() && version_of(model) != version) continue;
    if (!label.empty() && std::ranges::find(model.labels, label) == model.labels.end()) continue;
    return &model;
  }
  return nullptr;
}

}  // namespace trireme::gateway
