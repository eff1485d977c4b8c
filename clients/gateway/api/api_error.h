// A failure as an HTTP client sees it, before it is written in the form of one API. Plain value.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "proto/client_messages.h"

namespace trireme::gateway {

struct ApiError {
  int http_status = 500;  // in the OpenAI form; http_status_in() of api_call.h translates it
  std::string error_id;   // TRI-...
  std::string message;    // begins with the id
  std::string param;      // field of the request, or ""
  std::string code;  // of the OpenAI form, or "": context_length_exceeded, model_not_found, ...
  int64_t retry_after_ms = 0;  // 0: none
  bool retry_is_useless = false;
  std::string allow;  // 405: the methods of the path
};

// By the error table of docs/http.md.
ApiError from_door(const door::Error& error);
// Reason kFailed, or kCancelled: by somebody other than this client.
ApiError from_finished(const door::Finished& finished);
// A refusal of the gateway itself: 400 unless the status' code says otherwise.
ApiError from_status(const Status& status);

}  // namespace trireme::gateway
