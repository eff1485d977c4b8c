// The form of an answer as bytes that outlive the gateway: the cluster keeps them with a request
// whose answer can be resumed, and another gateway writes the rest in the same form. Pure
// functions. The bytes are JSON: a version number and the members of AnswerOptions.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "clients/gateway/api/answers/answer_options.h"
#include "clients/gateway/api/api_call.h"

namespace trireme::gateway {

struct SavedForm {
  Api api = Api::kChatCompletions;  // one that generates
  AnswerOptions options;
};

std::string save_form(const SavedForm& form);
// TRI-HTTP-036: not written by this version of the gateway.
StatusOr<SavedForm> read_form(std::string_view bytes);

// The form of the answer to a request with the form `own`. A prompt may be repeated (by its
// idempotency key): then the answer has the form in which it was begun. Nothing: that differs in
// more than its time, so that the rest of this stream cannot be read later.
std::optional<SavedForm> common_form(std::string_view own,
                                     std::span<const door::Accepted> accepted);

std::unique_ptr<AnswerWriter> make_writer(const SavedForm& form);

}  // namespace trireme::gateway
