// Requests and answers for the tests of the translation: a model, and short forms of the messages
// of the door.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "clients/gateway/api/api_call.h"

namespace trireme::gateway {

using Json = nlohmann::ordered_json;

door::ModelInfo demo_model();
ApiContext demo_context();

std::variant<ApiCall, ApiError> read(Api api,
                                     const std::string& body,
                                     const ApiContext& context = demo_context());
// The call of a body that must be taken; the error of one that must not.
ApiCall taken(Api api, const std::string& body, const ApiContext& context = demo_context());
ApiError refusal(Api api, const std::string& body, const ApiContext& context = demo_context());
// The one Submit of a call.
const door::Submit& submit_in(const ApiCall& call);
const ChatRequest& chat_in(const ApiCall& call);

door::Accepted accepted(int prompt = 0);
door::Piece text_piece(std::string text, int choice = 0);
door::Piece part_piece(std::vector<AnswerPart> parts, int choice = 0);
door::Finished finished(door::FinishReason reason = door::FinishReason::kStop, int choice = 0);

// A token with two alternatives: itself and "z", id 9.
door::TokenLogprob entry(TokenId id, float logprob, std::string bytes);

AnswerPart content(std::string text);
AnswerPart reasoning(std::string text);
// The first part of a call has an id; the others have none.
AnswerPart call_part(int index, std::string id, std::string name, std::string text);

// The events of a stream: name ("" where there is none) and data; comments are left out.
struct Event {
  std::string name;
  std::string data;
};
std::vector<Event> events_of(const std::string& stream);

// Compares with a file of tests/data/gateway/; TRIREME_WRITE_GOLDEN=1 writes it.
void expect_golden(const std::string& name, const std::string& text);

}  // namespace trireme::gateway
