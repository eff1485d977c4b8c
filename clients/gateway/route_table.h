// The table of routes: which handler answers a method and a path. /openapi.json is written from the
// same table. Constant; pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clients/gateway/api/api_call.h"

namespace trireme::gateway {

enum class RouteAction : uint8_t {
  kGenerate,  // Submits, with an AnswerWriter
  kResume,    // Resumes, with the AnswerWriter of the earlier request
  kTokenize,  // one Tokenize
  kDetokenize,
  kListModels,
  kModel,
  kHealth,
  kLive,
  kServerMetadata,
  kServerLive,
  kServerReady,
  kModelMetadata,
  kModelReady,
  kVersion,
  kOpenApi,
  kLater,  // 501: reserved for a later version
};

struct Route {
  std::string_view method;
  std::string_view path;  // {name} stands for one segment; {model} for one or more
  RouteAction action = RouteAction::kLater;
  bool needs_key = true;
  Api api = Api::kChatCompletions;  // form of the request, and of errors
  std::string_view summary;
};

std::span<const Route> routes();

struct RouteMatch {
  const Route* route = nullptr;     // null: see `allow`
  std::string allow;                // the methods of the path; "": the path is not known
  Api api = Api::kChatCompletions;  // form of errors, also without a route
  std::vector<std::pair<std::string, std::string>> parameters;  // decoded

  std::string_view parameter(std::string_view name) const;
};

// `target` is a path with a query or an absolute URI. HEAD is answered where GET is.
RouteMatch match_route(std::string_view method, std::string_view target);

// The path of a target, without query and fragment, still encoded.
std::string_view path_of(std::string_view target);

}  // namespace trireme::gateway
