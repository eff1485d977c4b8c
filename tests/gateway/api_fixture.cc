#include "tests/gateway/api_fixture.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/environment.h"

namespace trireme::gateway {

door::ModelInfo demo_model() {
  door::ModelInfo model;
  model.name = "demo";
  model.max_model_len = 4096;
  model.vocabulary_size = 32000;
  model.has_tokenizer = true;
  model.version = "1";
  model.fingerprint = "0123456789abcdef0123456789abcdef";
  model.created_s = 1700000000;
  model.state = "AVAILABLE";
  model.chat = {true, "", true, true, true};
  return model;
}

ApiContext demo_context() {
  ApiContext context;
  context.models = {demo_model()};
  context.now_s = 1700000001;
  return context;
}

std::variant<ApiCall, ApiError> read(Api api, const std::string& body, const ApiContext& context) {
  return read_call(api, body, ApiHeaders(), context);
}

ApiCall taken(Api api, const std::string& body, const ApiContext& context) {
  auto result = read(api, body, context);
  if (auto* error = std::get_if<ApiError>(&result)) {
    ADD_FAILURE() << body << " is refused: " << error->message;
    return {};
  }
  return std::move(std::get<ApiCall>(result));
}

ApiError refusal(Api api, const std::string& body, const ApiContext& context) {
  auto result = read(api, body, context);
  if (auto* error = std::get_if<ApiError>(&result)) return *error;
  ADD_FAILURE() << body << " is taken";
  return {};
}

const door::Submit& submit_in(const ApiCall& call) {
  const auto& submits = std::get<std::vector<door::Submit>>(call.questions);
  EXPECT_EQ(submits.size(), 1U);
  return submits.at(0);
}

const ChatRequest& chat_in(const ApiCall& call) {
  return std::get<ChatRequest>(submit_in(call).prompt);
}

door::Accepted accepted(int prompt) {
  door::Accepted message;
  message.request_id = "sixteen secret b";
  message.public_id = "pub" + std::to_string(prompt);
  message.prompt_tokens = 7;
  message.model = "demo";
  message.version = "1";
  message.fingerprint = demo_model().fingerprint;
  message.prompt_ids = {1, 2, 3};
  return message;
}

door::Piece text_piece(std::string text, int choice) {
  door::Piece piece;
  piece.choice = choice;
  piece.token_ids = {static_cast<TokenId>(100 + text.size())};
  piece.text = std::move(text);
  return piece;
}

door::Piece part_piece(std::vector<AnswerPart> parts, int choice) {
  door::Piece piece;
  piece.choice = choice;
  piece.token_ids = {5};
  piece.parts = std::move(parts);
  return piece;
}

door::Finished finished(door::FinishReason reason, int choice) {
  door::Finished message;
  message.choice = choice;
  message.reason = reason;
  message.prompt_tokens = 7;
  message.output_tokens = 3;
  message.cached_tokens = 4;
  message.reasoning_tokens = 1;
  message.last_choice = true;
  return message;
}

door::TokenLogprob entry(TokenId id, float logprob, std::string bytes) {
  door::TokenLogprob made;
  made.token = {id, logprob};
  made.token_bytes = std::move(bytes);
  made.top = {{id, logprob}, {9, -4}};
  made.top_bytes = {made.token_bytes, "z"};
  return made;
}

AnswerPart content(std::string text) { return {PartKind::kContent, 0, "", "", std::move(text)}; }
AnswerPart reasoning(std::string text) {
  return {PartKind::kReasoning, 0, "", "", std::move(text)};
}
AnswerPart call_part(int index, std::string id, std::string name, std::string text) {
  return {PartKind::kToolCall, index, std::move(id), std::move(name), std::move(text)};
}

std::vector<Event> events_of(const std::string& stream) {
  std::vector<Event> events;
  std::istringstream lines(stream);
  Event event;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("event: ")) event.name = line.substr(7);
    if (line.starts_with("data: ")) event.data = line.substr(6);
    if (line.empty() && !event.data.empty()) {
      events.push_back(event);
      event = {};
    }
  }
  EXPECT_TRUE(event.data.empty()) << "an event without the blank line after it";
  return events;
}

void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = std::string(TRIREME_TEST_DATA) + "/gateway/" + name;
  if (!environment("TRIREME_WRITE_GOLDEN").value_or("").empty()) {
    std::ofstream(path) << text;
  }
  std::ifstream file(path);
  std::stringstream wanted;
  wanted << file.rdbuf();
  EXPECT_EQ(text, wanted.str()) << path;
}

}  // namespace trireme::gateway
