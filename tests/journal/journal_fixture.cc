#include "tests/journal/journal_fixture.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "model/chat/answer/answer_format.h"

namespace trireme::journal {
namespace {

std::string describe(const std::vector<int32_t>& list) {
  std::string text = "[";
  for (const int32_t value : list) text += std::to_string(value) + " ";
  return text + "]";
}

std::string describe(const std::vector<LogprobEntry>& list) {
  std::string text = "[";
  for (const LogprobEntry& entry : list) {
    text += fmt::format("{}@{}:{} ", entry.token.id, entry.position, entry.token.logprob);
    for (const TokenAndLogprob& top : entry.top) text += fmt::format("/{}:{}", top.id, top.logprob);
  }
  return text + "]";
}

std::string describe(const record::Ended& end) {
  return fmt::format("end {} choice {} ids {} reason {} '{}' {} error '{}' {} cached {} {} at {}",
                     to_string(end.id),
                     end.choice,
                     end.num_ids,
                     static_cast<int>(end.reason),
                     end.stop_string,
                     end.stop_token.value_or(-1),
                     message_of(end.error),
                     static_cast<int>(end.error.code()),
                     end.cached_tokens,
                     end.invariant,
                     end.ended_us);
}

std::string describe(const GenerationParams& params) {
  const SamplingParams& sampling = params.sampling;
  std::string text = fmt::format("{} {} {} {} {} {} {} min {} logprobs {} max {} ",
                                 sampling.temperature,
                                 sampling.top_k,
                                 sampling.top_p,
                                 sampling.min_p,
                                 sampling.repetition_penalty,
                                 sampling.presence_penalty,
                                 sampling.frequency_penalty,
                                 sampling.min_tokens,
                                 sampling.num_logprobs,
                                 params.max_tokens);
  for (const auto& [id, bias] : sampling.logit_bias) text += fmt::format("bias {} {} ", id, bias);
  text += describe(sampling.end_ids) + describe(params.stop_token_ids);
  for (const std::string& stop : params.stop) text += "stop '" + stop + "' ";
  return text + fmt::format("{} {} n {} {} {} {} prompt logprobs {}",
                            params.ignore_eos,
                            params.seed.value_or(0),
                            params.num_choices,
                            params.skip_special_tokens,
                            params.include_stop_in_output,
                            params.echo,
                            params.num_prompt_logprobs);
}

std::string describe(const AnswerFormat& format) {
  std::string text = fmt::format(
      "chat {} {} '{}' '{}' ", format.reads_calls, format.one_call, format.opened, format.forced);
  for (const ToolTypes& tool : format.tools) {
    text += "tool " + tool.name;
    for (const auto& [name, type] : tool.parameters) {
      text += fmt::format(" {}:{}", name, static_cast<int>(type));
    }
  }
  return text;
}

std::string describe(const record::Accepted& accepted) {
  const SubmitRequest& submit = accepted.submit;
  std::string text =
      fmt::format("{} seed {} at {} ", to_string(accepted.id), accepted.seed, accepted.accepted_us);
  text += submit.principal + "|" + submit.idempotency_key + "|" + submit.digest + "|" +
          submit.cache_salt + "|" + submit.traceparent + "|" + submit.client_request_id + "|" +
          submit.client_state;
  text += fmt::format(" kind {} disconnect {} deadline {} arrived {} progress {} {} {} ",
                      static_cast<int>(submit.kind),
                      static_cast<int>(submit.on_disconnect),
                      submit.deadline_us,
                      submit.arrived_us,
                      submit.progress_interval_us,
                      submit.token_bytes,
                      submit.want_prompt_ids);
  text += describe(submit.prompt) + describe(submit.params);
  for (const ProbeRequest& probe : submit.probes) {
    text += fmt::format(" probe {} {}", probe.position, probe.layer);
  }
  if (submit.format != nullptr) text += describe(*submit.format);
  return text;
}

std::string describe(const RecordEntry& entry) {
  if (const auto* accepted = std::get_if<record::Accepted>(&entry)) return describe(*accepted);
  if (const auto* ended = std::get_if<record::Ended>(&entry)) return describe(*ended);
  if (const auto* bound = std::get_if<record::Bound>(&entry)) {
    return "bound " + to_string(bound->id) + bound->compatibility;
  }
  if (const auto* tokens = std::get_if<record::Tokens>(&entry)) {
    return fmt::format("tokens {} {} ", to_string(tokens->id), tokens->choice) +
           describe(tokens->ids) + describe(tokens->logprobs);
  }
  if (const auto* suspect = std::get_if<record::Suspect>(&entry)) {
    return fmt::format("suspect {} {}", to_string(suspect->id), suspect->crashes);
  }
  return "forgotten " + to_string(std::get<record::Forgotten>(entry).id);
}

std::string random_text(Random& random, int32_t max_bytes) {
  std::string text(static_cast<size_t>(number(random, max_bytes + 1)), ' ');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

GenerationParams random_params(Random& random) {
  GenerationParams params;
  SamplingParams& sampling = params.sampling;
  sampling.temperature = 0.5f;
  sampling.top_k = number(random, 100);
  sampling.top_p = 0.25f;
  sampling.min_p = 0.125f;
  sampling.repetition_penalty = 1.5f;
  sampling.presence_penalty = -0.5f;
  sampling.frequency_penalty = 0.75f;
  if (number(random, 3) == 0) sampling.logit_bias = {{7, -1.5f}, {1 << 20, 2.0f}};
  sampling.min_tokens = number(random, 9);
  sampling.end_ids = {2, number(random, 1 << 20)};
  sampling.num_logprobs = number(random, 4) == 0 ? number(random, 3) : -1;
  params.max_tokens = 1 + number(random, 40);
  if (number(random, 3) == 0) params.stop = {"\n\n", random_text(random, 5)};
  if (number(random, 3) == 0) params.stop_token_ids = {9, 11};
  params.ignore_eos = number(random, 2) == 0;
  if (number(random, 2) == 0) params.seed = random();
  params.num_choices = number(random, 4) == 0 ? 1 + number(random, 3) : 1;
  params.skip_special_tokens = number(random, 2) == 0;
  params.include_stop_in_output = number(random, 2) == 0;
  params.echo = number(random, 2) == 0;
  params.num_prompt_logprobs = number(random, 3) - 1;
  return params;
}

std::shared_ptr<const AnswerFormat> random_format(Random& random) {
  auto format = std::make_shared<AnswerFormat>();
  format->tools = {{"f", {{"a", ParameterType::kString}, {"b", ParameterType::kStringOrNull}}},
                   {random_text(random, 6), {}}};
  format->reads_calls = true;
  format->one_call = number(random, 2) == 0;
  format->opened = random_text(random, 9);
  format->forced = random_text(random, 9);
  return format;
}

}  // namespace

int32_t number(Random& random, int32_t below) {
  return static_cast<int32_t>(random() % static_cast<uint64_t>(below));
}

record::Accepted random_accepted(Random& random, const RequestId& id) {
  record::Accepted accepted;
  accepted.id = id;
  accepted.seed = random();
  accepted.accepted_us = 1'000'000 + number(random, 1'000'000);
  SubmitRequest& submit = accepted.submit;
  submit.principal = random_text(random, 3);
  submit.idempotency_key = random_text(random, 9);
  submit.digest = random_text(random, 16);
  submit.cache_salt = random_text(random, 3);
  submit.traceparent = random_text(random, 3);
  submit.client_request_id = random_text(random, 3);
  submit.client_state = random_text(random, 90);
  submit.kind = number(random, 9) == 0 ? RequestKind::kScore : RequestKind::kGenerate;
  submit.prompt.resize(static_cast<size_t>(1 + number(random, 20)));
  for (TokenId& token : submit.prompt) token = number(random, 1 << 30);
  submit.params = random_params(random);
  submit.on_disconnect = number(random, 2) == 0 ? OnDisconnect::kCancel : OnDisconnect::kContinue;
  if (number(random, 2) == 0) submit.deadline_us = 1 + number(random, 1 << 30);
  submit.probes.resize(static_cast<size_t>(number(random, 3)));
  for (ProbeRequest& probe : submit.probes) probe = {0, number(random, 99), number(random, 9) - 1};
  submit.arrived_us = number(random, 1 << 30);
  submit.progress_interval_us = number(random, 1 << 20);
  submit.token_bytes = number(random, 2) == 0;
  submit.want_prompt_ids = number(random, 2) == 0;
  if (number(random, 3) == 0) submit.format = random_format(random);
  return accepted;
}

std::string describe(const RestoredRequest& request) {
  std::string text = describe(request.accepted) + " bound '" + request.compatibility + "'" +
                     fmt::format(" crashes {}", request.crashes);
  for (const RestoredChoice& choice : request.choices) {
    text += "\n  choice " + describe(choice.ids) + describe(choice.logprobs);
    if (choice.ended) text += describe(*choice.ended);
  }
  return text;
}

std::string describe(const std::vector<RestoredRequest>& requests) {
  std::string text;
  for (const RestoredRequest& request : requests) text += describe(request) + "\n";
  return text;
}

std::string describe(const Record& record) {
  std::string text;
  for (const RecordEntry& entry : record) text += describe(entry) + "\n";
  return text;
}

RestoredRequest* Reference::find(const RequestId& id) {
  const auto found = std::find_if(requests_.begin(), requests_.end(), [&](const auto& request) {
    return request.accepted.id == id;
  });
  return found == requests_.end() ? nullptr : &*found;
}

std::vector<RestoredRequest> Reference::requests() const { return requests_; }

void Reference::apply(const Record& record) {
  for (const RecordEntry& entry : record) {
    if (const auto* accepted = std::get_if<record::Accepted>(&entry)) {
      RestoredRequest& request = requests_.emplace_back();
      request.accepted = *accepted;
      request.choices.resize(static_cast<size_t>(accepted->submit.params.num_choices));
    } else if (const auto* bound = std::get_if<record::Bound>(&entry)) {
      find(bound->id)->compatibility = bound->compatibility;
    } else if (const auto* tokens = std::get_if<record::Tokens>(&entry)) {
      RestoredChoice& choice = find(tokens->id)->choices[static_cast<size_t>(tokens->choice)];
      choice.ids.insert(choice.ids.end(), tokens->ids.begin(), tokens->ids.end());
      choice.logprobs.insert(
          choice.logprobs.end(), tokens->logprobs.begin(), tokens->logprobs.end());
    } else if (const auto* ended = std::get_if<record::Ended>(&entry)) {
      RestoredChoice& choice = find(ended->id)->choices[static_cast<size_t>(ended->choice)];
      choice.ids.resize(static_cast<size_t>(ended->num_ids));
      if (!choice.logprobs.empty()) choice.logprobs.resize(choice.ids.size());
      choice.ended = *ended;
    } else if (const auto* suspect = std::get_if<record::Suspect>(&entry)) {
      find(suspect->id)->crashes = suspect->crashes;
    } else {
      const RequestId id = std::get<record::Forgotten>(entry).id;
      std::erase_if(requests_, [&](const auto& request) { return request.accepted.id == id; });
    }
  }
}

record::Accepted RandomEngine::propose() {
  return random_accepted(random_, {random_(), next_id_++});
}

Record RandomEngine::accept(record::Accepted accepted) {
  Record record;
  record.emplace_back(std::move(accepted));
  reference_.apply(record);
  return record;
}

void RandomEngine::restore(const std::vector<RestoredRequest>& requests) {
  reference_ = Reference();
  for (const RestoredRequest& request : requests) {
    Record record{request.accepted};
    const RequestId id = request.accepted.id;
    if (!request.compatibility.empty()) {
      record.emplace_back(record::Bound{id, request.compatibility});
    }
    if (request.crashes > 0) record.emplace_back(record::Suspect{id, request.crashes});
    for (size_t i = 0; i < request.choices.size(); ++i) {
      const RestoredChoice& choice = request.choices[i];
      record.emplace_back(record::Tokens{id, static_cast<int32_t>(i), choice.ids, choice.logprobs});
      if (choice.ended) record.emplace_back(*choice.ended);
    }
    reference_.apply(record);
  }
}

Record RandomEngine::step() {
  Record record;
  now_us_ += 1000;
  for (const RestoredRequest& request : reference_.requests()) {
    const RequestId& id = request.accepted.id;
    const GenerationParams& params = request.accepted.submit.params;
    bool is_over = true;
    for (const RestoredChoice& choice : request.choices) is_over &= choice.ended.has_value();
    if (number(random_, is_over ? 8 : 200) == 0) {
      record.emplace_back(record::Forgotten{id});
      continue;
    }
    if (request.compatibility.empty() && !is_over) {
      record.emplace_back(record::Bound{id, "cpu"});
    }
    if (!is_over && request.crashes < 2 && number(random_, 50) == 0) {
      record.emplace_back(record::Suspect{id, request.crashes + 1});
    }
    for (size_t i = 0; i < request.choices.size(); ++i) {
      const RestoredChoice& choice = request.choices[i];
      if (choice.ended || number(random_, 4) == 0) continue;
      record::Tokens tokens{id, static_cast<int32_t>(i), {}, {}};
      const int32_t count = number(random_, 6) == 0 ? 2 : 1;
      for (int32_t k = 0; k < count; ++k) {
        tokens.ids.push_back(number(random_, 150'000));
        if (params.sampling.num_logprobs < 0) continue;
        LogprobEntry& entry = tokens.logprobs.emplace_back();
        entry.position = number(random_, 1000);
        entry.token = {tokens.ids.back(), -0.5f};
        entry.top.resize(static_cast<size_t>(params.sampling.num_logprobs),
                         {number(random_, 9), -2});
      }
      const auto known = static_cast<int32_t>(choice.ids.size() + tokens.ids.size());
      record.emplace_back(std::move(tokens));
      if (known < params.max_tokens && number(random_, 12) != 0) continue;
      record::Ended end;
      end.id = id;
      end.choice = static_cast<int32_t>(i);
      end.num_ids = known - number(random_, std::min(known, 2) + 1);
      end.reason = static_cast<FinishReason>(number(random_, 5));
      end.stop_string = "stop";
      if (number(random_, 2) == 0) end.stop_token = 7;
      if (end.reason == FinishReason::kError) end.error = invalid("TRI-REQ-031", "over {}", 5);
      end.cached_tokens = number(random_, 64);
      end.invariant = number(random_, 2) == 0;
      end.ended_us = now_us_;
      record.emplace_back(std::move(end));
    }
  }
  reference_.apply(record);
  return record;
}

}  // namespace trireme::journal
