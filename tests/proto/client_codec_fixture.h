// One of each message of the client door, with every field set.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/text.h"
#include "proto/client_codec.h"

namespace trireme {

inline door::Submit some_submit() {
  door::Submit submit;
  submit.tag = 7;
  submit.model = "demo";
  submit.prompt = std::vector<TokenId>{1, 500, 70000};
  submit.add_special_tokens = false;
  submit.sampling.temperature = 0.f;
  submit.sampling.top_k = 0;
  submit.sampling.top_p = 0.5f;
  submit.sampling.min_p = 0.25f;
  submit.sampling.repetition_penalty = 1.25f;
  submit.sampling.presence_penalty = -1.f;
  submit.sampling.frequency_penalty = 1.f;
  submit.sampling.logit_bias = {{3, -100.f}, {4, 2.5f}};
  submit.sampling.min_tokens = 1;
  submit.sampling.max_tokens = 64;
  submit.sampling.stop = {"\n\n", "end"};
  submit.sampling.stop_token_ids = {2};
  submit.sampling.ignore_eos = true;
  submit.sampling.seed = 0;
  submit.sampling.n = 2;
  submit.sampling.logprobs = 0;
  submit.sampling.prompt_logprobs = 20;
  submit.sampling.skip_special_tokens = false;
  submit.sampling.include_stop_str_in_output = true;
  submit.sampling.echo = true;
  submit.kind = door::Kind::kProbe;
  submit.idempotency_key = "key";
  submit.traceparent = "00-aa-bb-01";
  submit.on_disconnect = door::OnDisconnect::kContinue;
  submit.deadline_ms = 1000;
  submit.credit_bytes = 4096;
  submit.probes = {{0, -1}, {5, 12}};
  submit.principal = "key of the team";
  submit.client_request_id = "theirs-1";
  submit.progress_interval_ms = 5000;
  submit.token_bytes = true;
  submit.structure = {door::Structure::Kind::kRegex, "a+"};
  submit.cache_salt = "salt";
  submit.priority = -3;
  submit.share = "10.0.0.9";
  submit.want_prompt_ids = true;
  submit.client_state = std::string("\xff\0any bytes", 11);
  return submit;
}

inline ChatRequest some_chat() {
  ChatRequest chat;
  chat.messages_json = R"([{"role": "user", "content": "Ahoi"}])";
  chat.tools_json = R"([{"type": "function"}])";
  chat.documents_json = "[]";
  chat.kwargs_json = R"({"enable_thinking": false})";
  chat.no_generation_prompt = true;
  chat.continue_final_message = true;
  chat.tool_choice = ToolChoice::kNamed;
  chat.tool_name = "weigh";
  chat.one_call = true;
  chat.raw = true;
  return chat;
}

inline std::vector<door::FromClient> from_client() {
  door::Submit with_text;
  with_text.tag = 1;
  with_text.prompt = std::string("The galley");
  door::Submit with_messages;
  with_messages.tag = 2;
  with_messages.prompt = door::Messages{{"user", "Hello"}};
  door::Submit with_chat;
  with_chat.tag = 3;
  with_chat.prompt = some_chat();
  return {door::Hello{0, "test 1"},
          some_submit(),
          with_text,
          with_messages,
          with_chat,
          door::Tokenize{4, std::string("The galley"), false, true},
          door::Tokenize{5, some_chat(), true, false},
          door::Detokenize{6, {1, 70000}, false},
          door::Cancel{7, ""},
          door::Cancel{0, std::string(16, 'i')},
          door::Resume{8,
                       std::string(16, 'i'),
                       5,
                       {0, 12, door::kEndedIndex},
                       100,
                       {{1, 12}, {0, door::kEndedIndex}}},
          door::Credit{7, 1 << 20},
          door::Ping{~uint64_t{0}},
          door::ListModels{},
          door::StatusRequest{}};
}

inline door::ModelInfo some_model() {
  door::ModelInfo model;
  model.name = "demo";
  model.max_model_len = 2048;
  model.vocabulary_size = 1000;
  model.has_tokenizer = true;
  model.eos_token_ids = {1, 2};
  model.ready_groups = 1;
  model.allows_probes = true;
  model.num_layers = 4;
  model.hidden_size = 128;
  model.version = "1";
  model.labels = {"stable"};
  model.fingerprint = "00ff";
  model.created_s = 1'700'000'000;
  model.state = "AVAILABLE";
  model.chat = {true, "why", true, true, true};
  return model;
}

inline std::vector<AnswerPart> some_parts() {
  return {{PartKind::kReasoning, 0, "", "", "hm"},
          {PartKind::kContent, 0, "", "", "caf\xc3\xa9"},
          {PartKind::kToolCall, 1, "call_1", "weigh", "{"}};
}

inline door::Finished some_finished() {
  door::Finished finished;
  finished.tag = 7;
  finished.choice = 1;
  finished.reason = door::FinishReason::kFailed;
  finished.stop_string = "end";
  finished.stop_token_id = 0;
  finished.text = "tail";
  finished.error_id = "TRI-GRP-041";
  finished.error_message = "TRI-GRP-041: lost";
  finished.prompt_tokens = 3;
  finished.output_tokens = 4;
  finished.cached_tokens = 2;
  finished.queued_us = 1;
  finished.first_token_us = 2;
  finished.total_us = 3;
  finished.last_choice = true;
  finished.invariant = false;
  finished.parts = some_parts();
  finished.reasoning_tokens = 2;
  finished.tokenize_us = 4;
  finished.prefill_us = 5;
  finished.error_kind = door::ErrorKind::kUnavailable;
  return finished;
}

inline std::vector<door::ToClient> to_client() {
  const door::ModelInfo model = some_model();
  const door::TokenLogprob logprob{
      {5, -0.5f}, {{5, -0.5f}, {6, -1.5f}}, "\xc3", {"\xc3", std::string("\0", 1)}};
  door::GroupStatus group;
  group.group = 1;
  group.epoch = 2;
  group.state = "ready";
  group.tp = group.pp = 2;
  group.pages = 100;
  group.last_cause = "TRI-GRP-041: lost";
  group.ranks = {{0, "galley", "idle", 9, 100, 4711, 5, 6}};
  group.backend = "cpu";
  group.dtype = "bfloat16";
  group.page_tokens = 32;
  door::StatusReply status;
  status.server = "trireme 0.1.0";
  status.uptime_ms = 5;
  status.waiting = 1;
  status.draining = true;
  status.groups = {group};
  status.models = {model};
  status.healthy = true;
  status.reason = "none";
  status.token_age_ms = 12;
  status.journal = {"on", 1, 2, 3, 4, 5, 6, 7};
  return {
      door::Welcome{1, 1, 0, "trireme", {model}, {1, 2, 3, 4, 5, 6}, 1 << 20},
      door::Accepted{
          7, std::string(16, 'i'), 99, 3, true, "1f", "demo", "1", "00ff", {1, 2}, "\xff state"},
      door::Tokens{
          {{7, 1, 12, {5, 6}, "ab\xc3\xa9", {logprob}, {}}, {8, 0, 0, {1}, "", {}, some_parts()}}},
      door::PromptLogprobs{7, 1, {logprob, logprob}},
      door::ProbeValues{7, 5, -1, 2, 5, {0.5f, 1.f, -3.f}},
      some_finished(),
      door::Error{
          7, "TRI-REQ-001", "TRI-REQ-001: no", 100, true, 1, 1, door::ErrorKind::kInvalid, "top_p"},
      door::Progress{7, 12, 0, 9000},
      door::Tokenized{4, {1, 70000}, {"a", "\xc3\xa9"}},
      door::Detokenized{6, "The galley"},
      door::Pong{5, true, "why", true, 3, 40},
      door::Models{{model}},
      status};
}

inline std::string refusal(const std::string& frame) {
  ClientCodec codec;
  return error_id(codec.decode_from_client(frame).status());
}

}  // namespace trireme
