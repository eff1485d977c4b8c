#include "clients/cli/answers.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace trireme {

namespace {

using Json = nlohmann::ordered_json;

Json logprob_json(const door::TokenLogprob& entry) {
  Json top = Json::array();
  for (const TokenAndLogprob& token : entry.top) {
    top.push_back({{"token_id", token.id}, {"logprob", token.logprob}});
  }
  return {{"token_id", entry.token.id}, {"logprob", entry.token.logprob}, {"top", top}};
}

void book_piece(const door::Piece& piece, TimeUs now_us, Choice& choice) {
  choice.token_ids.insert(choice.token_ids.end(), piece.token_ids.begin(), piece.token_ids.end());
  choice.text += piece.text;
  choice.logprobs.insert(choice.logprobs.end(), piece.logprobs.begin(), piece.logprobs.end());
  if (piece.token_ids.empty()) return;
  choice.frame_us.push_back(now_us);
  choice.frame_tokens.push_back(static_cast<int32_t>(piece.token_ids.size()));
}

void book_parts(const std::vector<AnswerPart>& parts, Choice& choice) {
  for (const AnswerPart& part : parts) {
    choice.message.add(part);
    if (part.kind == PartKind::kContent) choice.text += part.text;
  }
}

}  // namespace

bool Answer::failed() const {
  if (!refusal.ok()) return true;
  return std::ranges::any_of(choices, [](const Choice& choice) {
    return choice.finished.reason == door::FinishReason::kFailed;
  });
}

int64_t Answer::output_tokens() const {
  int64_t tokens = 0;
  for (const Choice& choice : choices) tokens += static_cast<int64_t>(choice.token_ids.size());
  return tokens;
}

TimeUs Answer::first_token_us() const {
  TimeUs first = 0;
  for (const Choice& choice : choices) {
    if (choice.frame_us.empty()) continue;
    first = first == 0 ? choice.frame_us.front() : std::min(first, choice.frame_us.front());
  }
  return first;
}

Answer& AnswerBook::open(
    uint64_t tag, size_t index, const std::string& id, int num_choices, TimeUs now_us) {
  Answer answer;
  answer.index = index;
  answer.id = id;
  answer.sent_us = now_us;
  answer.choices.resize(std::max(num_choices, 1));
  return answers_[tag] = std::move(answer);
}

AnswerBook::News AnswerBook::book(const ClientEvent& event, TimeUs now_us) {
  const auto found = answers_.find(tag_of(event));
  if (found == answers_.end()) return {};
  Answer& answer = found->second;
  News news{&answer, 0, "", {}};
  const auto choice_at = [&](int32_t index) -> Choice& {
    news.choice = std::clamp<int32_t>(index, 0, static_cast<int32_t>(answer.choices.size()) - 1);
    return answer.choices[news.choice];
  };
  if (const auto* accepted = std::get_if<door::Accepted>(&event)) {
    answer.seed = accepted->seed;
    answer.prompt_tokens = accepted->prompt_tokens;
  } else if (const auto* piece = std::get_if<door::Piece>(&event)) {
    book_piece(*piece, now_us, choice_at(piece->choice));
    news.released = piece->text;
    news.parts = piece->parts;
    book_parts(piece->parts, choice_at(piece->choice));
  } else if (const auto* logprobs = std::get_if<door::PromptLogprobs>(&event)) {
    answer.prompt_logprobs.insert(
        answer.prompt_logprobs.end(), logprobs->entries.begin(), logprobs->entries.end());
  } else if (const auto* values = std::get_if<door::ProbeValues>(&event)) {
    answer.probes.push_back(*values);
  } else if (const auto* finished = std::get_if<door::Finished>(&event)) {
    Choice& choice = choice_at(finished->choice);
    choice.finished = *finished;
    choice.over = true;
    choice.text += finished->text;
    news.released = finished->text;
    news.parts = finished->parts;
    book_parts(finished->parts, choice);
    answer.prompt_tokens = std::max(answer.prompt_tokens, finished->prompt_tokens);
    answer.over = finished->last_choice;
  } else if (const auto* error = std::get_if<door::Error>(&event)) {
    answer.refusal = status_from_wire(error->error_id, error->message);
    answer.over = true;
  }
  if (answer.over) answer.done_us = now_us;
  return news;
}

std::vector<uint64_t> AnswerBook::open_tags() const {
  std::vector<uint64_t> tags;
  for (const auto& [tag, answer] : answers_) tags.push_back(tag);
  return tags;
}

Answer AnswerBook::take(uint64_t tag) {
  const auto found = answers_.find(tag);
  Answer answer = std::move(found->second);
  answers_.erase(found);
  return answer;
}

std::vector<Answer> AnswerBook::abandon(const Status& status, TimeUs now_us) {
  std::vector<Answer> open;
  for (auto& [tag, answer] : answers_) {
    answer.refusal = status;
    answer.over = true;
    answer.done_us = now_us;
    open.push_back(std::move(answer));
  }
  answers_.clear();
  return open;
}

Status failure_of(const Answer& answer, int choice) {
  if (!answer.refusal.ok()) return answer.refusal;
  const door::Finished& finished = answer.choices[choice].finished;
  if (finished.reason != door::FinishReason::kFailed) return ok_status();
  return status_from_wire(finished.error_id, finished.error_message);
}

std::string finish_reason_name(const Answer& answer, int choice) {
  if (!answer.refusal.ok()) return "error";
  switch (answer.choices[choice].finished.reason) {
    case door::FinishReason::kStop:
      return "stop";
    case door::FinishReason::kLength:
      return "length";
    case door::FinishReason::kCancelled:
      return "cancelled";
    case door::FinishReason::kToolCalls:
      return "tool_calls";
    case door::FinishReason::kFailed:
      return "error";
  }
  return "error";
}

Json answer_json(const Answer& answer, int index) {
  const Choice& choice = answer.choices[index];
  const door::Finished& finished = choice.finished;
  Json json = {{"id", answer.id},
               {"index", index},
               {"prompt_tokens", answer.prompt_tokens},
               {"token_ids", choice.token_ids},
               {"text", choice.text},
               {"finish_reason", finish_reason_name(answer, index)},
               {"stop_reason", nullptr}};
  if (answer.is_chat) json["message"] = choice.message.json();
  if (!finished.stop_string.empty()) {
    json["stop_reason"] = finished.stop_string;
  } else if (finished.stop_token_id) {
    json["stop_reason"] = *finished.stop_token_id;
  }
  if (!choice.logprobs.empty()) {
    for (const door::TokenLogprob& entry : choice.logprobs) {
      json["logprobs"].push_back(logprob_json(entry));
    }
  }
  if (!answer.prompt_logprobs.empty()) {
    json["prompt_logprobs"].push_back(nullptr);  // the first token has no context
    for (const door::TokenLogprob& entry : answer.prompt_logprobs) {
      json["prompt_logprobs"].push_back(logprob_json(entry));
    }
  }
  const TimeUs first_us = choice.frame_us.empty() ? 0 : choice.frame_us.front();
  json["cached_tokens"] = finished.cached_tokens;
  json["ttft_ms"] = first_us > 0 ? Json(milliseconds(first_us - answer.sent_us)) : Json();
  json["duration_ms"] = milliseconds(answer.done_us - answer.sent_us);
  json["seed"] = answer.seed;
  if (!finished.invariant) json["invariant"] = false;
  if (const Status failure = failure_of(answer, index); !failure.ok()) {
    json["error"] = {{"id", error_id(failure)}, {"message", message_of(failure)}};
  }
  return json;
}

}  // namespace trireme
