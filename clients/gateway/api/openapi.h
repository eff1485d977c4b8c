// The description of the HTTP interface as an OpenAPI 3.1 document, made from the routes and from
// the tables of fields that requests are read with. Pure function.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "clients/gateway/api/api_call.h"

namespace trireme::gateway {

struct OpenApiRoute {
  std::string_view method;  // GET or POST
  std::string_view path;    // {name} stands for a parameter
  std::string_view summary;
  bool needs_key = true;
  bool is_later = false;    // answers 501
  std::optional<Api> body;  // the API of its request body; none: it has no body
  bool resumes = false;     // takes Trireme-Resume and Last-Event-ID, and answers with a stream
};

std::string openapi_document(std::span<const OpenApiRoute> routes);

}  // namespace trireme::gateway
