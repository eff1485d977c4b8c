// GET /trireme/v1/stream: a request for the rest of an answer. Its token is made of the request ids
// of the door and of nothing else, so that any gateway of the cluster takes it; it is a secret as
// they are. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "clients/gateway/api/answers/saved_form.h"
#include "clients/gateway/event_position.h"
#include "clients/gateway/http/http_message.h"

namespace trireme::gateway {

struct ResumeRequest {
  std::vector<std::string> request_ids;  // of the door, 16 bytes each, one per prompt
  std::optional<EventPosition> after;    // the last event that the client has; none: it has none
};

// TRI-HTTP-034: the header Trireme-Resume or Last-Event-ID is wrong.
StatusOr<ResumeRequest> read_resume_request(const HttpRequest& request);

// The form in which the answer goes on, from what the cluster keeps with its first prompt.
// TRI-HTTP-034: token or event do not belong to it; TRI-HTTP-036: see read_form().
StatusOr<SavedForm> form_of(const ResumeRequest& resume, std::string_view client_state);

// TRI-HTTP-034: the answer does not have the event of Last-Event-ID.
Status no_such_event();

// base64url without padding.
std::string resume_token(const std::vector<std::string>& request_ids);

}  // namespace trireme::gateway
