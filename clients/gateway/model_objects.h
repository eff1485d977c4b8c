// The JSON of models, the server and its health, for the clients of three kinds (OpenAI, Anthropic,
// TensorFlow Serving and KServe). Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "clients/gateway/door_health.h"
#include "proto/client_messages.h"

namespace trireme::gateway {

std::string write_model_list(const std::vector<door::ModelInfo>& models);
std::string write_model(const door::ModelInfo& model);
std::string write_health(const DoorHealth::Verdict& verdict);
std::string write_version();
std::string write_server_metadata();                             // GET /v2
std::string write_model_metadata(const door::ModelInfo& model);  // GET /v2/models/{model}
std::string write_flag(std::string_view name, bool value);       // {"ready": true}
std::string write_model_ready(std::string_view model, bool ready);

// The version that clients see: "1" where the coordinator names none.
std::string version_of(const door::ModelInfo& model);

// The model of that name with that version and label ("": any), or null.
const door::ModelInfo* find_model(const std::vector<door::ModelInfo>& models,
                                  std::string_view name,
                                  std::string_view version,
                                  std::string_view label);

}  // namespace trireme::gateway
