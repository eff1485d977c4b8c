// tidy: table
#include "clients/gateway/api/requests/shared_fields.h"

#include <charconv>

#include "clients/gateway/api/requests/field_values.h"
#include "model/sampling_params.h"

namespace trireme::gateway {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kMaxSaltBytes = 256;
constexpr size_t kMaxRequestIdBytes = 128;

// A number of the same name in the door's message.
template <auto kMember>
Status read_sampling(const FieldValue& field, RequestDraft& draft) {
  return read_number(field, field.name, draft.sampling.*kMember);
}

Status read_model(const FieldValue& field, RequestDraft& draft) {
  return read_text(field, draft.model);
}
Status read_stream(const FieldValue& field, RequestDraft& draft) {
  return read_flag(field, draft.answer.streamed);
}
Status read_stop(const FieldValue& field, RequestDraft& draft) {
  return read_texts(field, kMaxStopStrings, draft.sampling.stop);
}

// Negative seeds are those of two's complement: other servers take 64 signed bits.
Status read_seed(const FieldValue& field, RequestDraft& draft) {
  if (const std::optional<int64_t> whole = integral(field.value)) {
    draft.sampling.seed = static_cast<uint64_t>(*whole);
    return ok_status();
  }
  const std::string_view text = field.value.text();
  uint64_t large = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), large);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) {
    return wrong_value(field.name, field.value, "a whole number of 64 bits");
  }
  draft.sampling.seed = large;
  return ok_status();
}

Status read_logit_bias(const FieldValue& field, RequestDraft& draft) {
  RETURN_IF_ERROR(check_object(field));
  return field.value.each_member([&](std::string_view key, JsonValue value) -> Status {
    TokenId id = 0;
    const auto result = std::from_chars(key.data(), key.data() + key.size(), id);
    if (result.ec != std::errc() || result.ptr != key.data() + key.size() || id < 0) {
      return invalid("TRI-HTTP-023",
                     "a name in logit_bias is no token id; write ids such as \"1234\"");
    }
    std::optional<float> bias;
    RETURN_IF_ERROR(read_number({field.name, value}, "logit_bias", bias));
    draft.sampling.logit_bias.emplace_back(id, *bias);
    return ok_status();
  });
}

Status read_include_usage(const FieldValue& field, RequestDraft& draft) {
  return read_flag(field, draft.answer.includes_usage);
}
Status read_continuous_usage(const FieldValue& field, RequestDraft& draft) {
  return read_flag(field, draft.answer.continuous_usage);
}

Status read_stream_options(const FieldValue& field, RequestDraft& draft) {
  return read_members(
      field,
      {{"include_usage", read_include_usage}, {"continuous_usage_stats", read_continuous_usage}},
      draft);
}

// -1 is the spelling of "off" in other servers.
Status read_top_k(const FieldValue& field, RequestDraft& draft) {
  if (integral(field.value) == -1) {
    draft.sampling.top_k = 0;
    return ok_status();
  }
  return read_number(field, "top_k", draft.sampling.top_k);
}
Status read_ignore_eos(const FieldValue& field, RequestDraft& draft) {
  return read_flag(field, draft.sampling.ignore_eos);
}
Status read_stop_token_ids(const FieldValue& field, RequestDraft& draft) {
  return read_token_ids(field, kMaxStopStrings, draft.sampling.stop_token_ids);
}
Status read_include_stop(const FieldValue& field, RequestDraft& draft) {
  return read_flag(field, draft.sampling.include_stop_str_in_output);
}
Status read_return_token_ids(const FieldValue& field, RequestDraft& draft) {
  return read_flag(field, draft.answer.returns_token_ids);
}

Status read_cache_salt(const FieldValue& field, RequestDraft& draft) {
  RETURN_IF_ERROR(read_text(field, draft.cache_salt));
  if (draft.cache_salt.empty() || draft.cache_salt.size() > kMaxSaltBytes) {
    return wrong_value(field.name, field.value, "a string of 1 to 256 bytes");
  }
  return ok_status();
}

Status read_request_id(const FieldValue& field, RequestDraft& draft) {
  RETURN_IF_ERROR(read_text(field, draft.request_id));
  const std::string_view allowed =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._:-";
  const std::string& id = draft.request_id;
  if (id.empty() || id.size() > kMaxRequestIdBytes ||
      id.find_first_not_of(allowed) != std::string::npos) {
    return wrong_value(field.name, field.value, "1 to 128 of A-Z a-z 0-9 . _ : -");
  }
  return ok_status();
}

Status read_best_of(const FieldValue& field, RequestDraft& draft) {
  return read_number(field, "n", draft.best_of);
}

Status read_template_kwargs(const FieldValue& field, RequestDraft& draft) {
  RETURN_IF_ERROR(check_object(field));
  draft.template_kwargs = field.value;
  return ok_status();
}

Status read_documents(const FieldValue& field, RequestDraft& draft) {
  RETURN_IF_ERROR(check_array(field, 1024));
  RETURN_IF_ERROR(field.value.each([&](JsonValue element) -> Status {
    if (element.is(Kind::kObject)) return ok_status();
    return wrong_value(field.name, element, "a list of objects");
  }));
  if (field.value.count() > 0) draft.chat.documents_json = field.value.text();
  return ok_status();
}

Status read_add_generation_prompt(const FieldValue& field, RequestDraft& draft) {
  return read_flag(field, draft.add_generation_prompt);
}

Status read_continue_final_message(const FieldValue& field, RequestDraft& draft) {
  return read_flag(field, draft.chat.continue_final_message);
}

// The model is the first.
constexpr Field kCommon[] = {
    {"model", FieldKind::kHonoured, schema::kText, read_model},
    {"temperature",
     FieldKind::kHonoured,
     R"({"type":"number","minimum":0,"maximum":100})",
     read_sampling<&door::Sampling::temperature>},
    {"top_p",
     FieldKind::kHonoured,
     R"({"type":"number","exclusiveMinimum":0,"maximum":1})",
     read_sampling<&door::Sampling::top_p>},
    {"stream", FieldKind::kHonoured, schema::kFlag, read_stream},
};

constexpr Field kSampling[] = {
    {"n", FieldKind::kHonoured, schema::kChoices, read_sampling<&door::Sampling::n>},
    {"best_of", FieldKind::kTunes, schema::kChoices, read_best_of},
    {"stop", FieldKind::kHonoured, schema::kTextOrTexts, read_stop},
    {"seed", FieldKind::kHonoured, schema::kWhole, read_seed},
    {"logit_bias",
     FieldKind::kHonoured,
     R"({"type":"object","additionalProperties":{"type":"number"}})",
     read_logit_bias},
    {"presence_penalty",
     FieldKind::kHonoured,
     R"({"type":"number","minimum":-100,"maximum":100})",
     read_sampling<&door::Sampling::presence_penalty>},
    {"frequency_penalty",
     FieldKind::kHonoured,
     R"({"type":"number","minimum":-100,"maximum":100})",
     read_sampling<&door::Sampling::frequency_penalty>},
    {"stream_options",
     FieldKind::kHonoured,
     R"({"type":"object","properties":{"include_usage":{"type":"boolean"},)"
     R"("continuous_usage_stats":{"type":"boolean"}}})",
     read_stream_options},
    {"return_token_ids", FieldKind::kHonoured, schema::kFlag, read_return_token_ids},
    {"response_format", FieldKind::kRefused, schema::kTextFormat, read_response_format},
    {"return_tokens_as_token_ids",
     FieldKind::kRefused,
     schema::kOnlyFalse,
     read_flag_off,
     "set return_token_ids"},
};

constexpr Field kTopK[] = {
    {"top_k",
     FieldKind::kHonoured,
     R"({"type":"integer","minimum":-1,"maximum":2147483647})",
     read_top_k},
};

constexpr Field kExtensions[] = {
    {"min_p",
     FieldKind::kHonoured,
     R"({"type":"number","minimum":0,"maximum":1})",
     read_sampling<&door::Sampling::min_p>},
    {"repetition_penalty",
     FieldKind::kHonoured,
     R"({"type":"number","minimum":0.01,"maximum":100})",
     read_sampling<&door::Sampling::repetition_penalty>},
    {"min_tokens",
     FieldKind::kHonoured,
     schema::kNumTokensOrNone,
     read_sampling<&door::Sampling::min_tokens>},
    {"ignore_eos", FieldKind::kHonoured, schema::kFlag, read_ignore_eos},
    {"stop_token_ids", FieldKind::kHonoured, schema::kIds, read_stop_token_ids},
    {"include_stop_str_in_output", FieldKind::kHonoured, schema::kFlag, read_include_stop},
    {"skip_special_tokens", FieldKind::kHonoured, schema::kFlag, read_skip_special_tokens},
    {"cache_salt",
     FieldKind::kHonoured,
     R"({"type":"string","minLength":1,"maxLength":256})",
     read_cache_salt},
    {"request_id",
     FieldKind::kHonoured,
     R"({"type":"string","pattern":"^[A-Za-z0-9._:-]{1,128}$"})",
     read_request_id},
    {"truncate_prompt_tokens",
     FieldKind::kRefused,
     schema::kWhole,
     nullptr,
     "a prompt is never cut; shorten it"},
    {"use_beam_search",
     FieldKind::kRefused,
     schema::kOnlyFalse,
     read_flag_off,
     "answers are sampled, or greedy with temperature 0"},
    {"bad_words", FieldKind::kRefused, schema::kTexts, nullptr, "use logit_bias"},
    {"allowed_token_ids", FieldKind::kRefused, schema::kIds, nullptr, "use logit_bias"},
    {"logits_processors",
     FieldKind::kRefused,
     R"({"type":"array"})",
     nullptr,
     "only the listed parameters change probabilities"},
};

constexpr Field kChatExtensions[] = {
    {"chat_template_kwargs", FieldKind::kHonoured, schema::kObject, read_template_kwargs},
    {"documents", FieldKind::kHonoured, schema::kObjects, read_documents},
    {"add_generation_prompt", FieldKind::kHonoured, schema::kFlag, read_add_generation_prompt},
    {"continue_final_message", FieldKind::kHonoured, schema::kFlag, read_continue_final_message},
    {"chat_template",
     FieldKind::kRefused,
     schema::kText,
     nullptr,
     "the template is the model's; start the cluster with --chat-template"},
    {"include_reasoning",
     FieldKind::kRefused,
     schema::kOnlyTrue,
     read_flag_on,
     "reasoning is a field of its own in the answer"},
};

constexpr Field kTuning[] = {
    {"user", FieldKind::kTunes, schema::kText},
    {"metadata", FieldKind::kTunes, schema::kObject},
    {"store", FieldKind::kTunes, schema::kFlag},
    {"service_tier", FieldKind::kTunes, schema::kText},
    {"safety_identifier", FieldKind::kTunes, schema::kText},
    {"prompt_cache_key", FieldKind::kTunes, schema::kText},
    {"prompt_cache_retention", FieldKind::kTunes, schema::kText},
    {"prompt_cache_options", FieldKind::kTunes, schema::kObject},
    {"verbosity", FieldKind::kTunes, schema::kText},
    {"prediction", FieldKind::kTunes, schema::kObject},
    {"priority", FieldKind::kTunes, schema::kWhole},
};

constexpr Field kStructure[] = {
    {"structured_outputs", FieldKind::kRefused, schema::kNothing, refuse_structure},
    {"guided_json", FieldKind::kRefused, schema::kNothing, refuse_structure},
    {"guided_regex", FieldKind::kRefused, schema::kNothing, refuse_structure},
    {"guided_choice", FieldKind::kRefused, schema::kNothing, refuse_structure},
    {"guided_grammar", FieldKind::kRefused, schema::kNothing, refuse_structure},
    {"structural_tag", FieldKind::kRefused, schema::kNothing, refuse_structure},
};

}  // namespace

Status read_max_tokens(const FieldValue& field, RequestDraft& draft) {
  return read_number(field, "max_tokens", draft.sampling.max_tokens);
}

Status read_max_tokens_or_none(const FieldValue& field, RequestDraft& draft) {
  draft.answer.is_prompt_only = integral(field.value) == 0;
  if (!draft.answer.is_prompt_only) return read_max_tokens(field, draft);
  draft.sampling.max_tokens = 1;
  return ok_status();
}

Status read_top_logprobs(const FieldValue& field, RequestDraft& draft) {
  return read_number(field, "logprobs", draft.top_logprobs);
}

Status read_add_special_tokens(const FieldValue& field, RequestDraft& draft) {
  return read_flag(field, draft.add_special_tokens);
}

Status read_skip_special_tokens(const FieldValue& field, RequestDraft& draft) {
  return read_flag(field, draft.sampling.skip_special_tokens);
}

Status read_flag_on(const FieldValue& field, RequestDraft& /*draft*/) {
  bool is_on = false;
  RETURN_IF_ERROR(read_flag(field, is_on));
  return is_on ? ok_status() : refused(field.name, field.note);
}

Status read_flag_off(const FieldValue& field, RequestDraft& /*draft*/) {
  bool is_on = false;
  RETURN_IF_ERROR(read_flag(field, is_on));
  return is_on ? refused(field.name, field.note) : ok_status();
}

Status refuse_structure(const FieldValue& field, RequestDraft& /*draft*/) {
  return invalid("TRI-REQ-095",
                 "{} asks for structured output, which is not supported yet; leave it out and "
                 "describe the form in the prompt",
                 field.name);
}

Status read_response_format(const FieldValue& field, RequestDraft& draft) {
  RETURN_IF_ERROR(check_object(field));
  const std::optional<JsonValue> type = field.value.find("type");
  if (!type || !type->is(Kind::kString)) {
    return wrong_value(field.name, field.value, "an object with a type");
  }
  const std::string word = type->string();
  if (word == "text") return ok_status();
  if (word == "json_object" || word == "json_schema" || word == "grammar" || word == "regex") {
    return refuse_structure(field, draft);
  }
  return wrong_value(field.name, *type, "of type text");
}

FieldBlock common_fields() { return kCommon; }
FieldBlock model_field() { return FieldBlock(kCommon).first(1); }
FieldBlock sampling_fields() { return kSampling; }
FieldBlock top_k_field() { return kTopK; }
FieldBlock extension_fields() { return kExtensions; }
FieldBlock chat_extension_fields() { return kChatExtensions; }
FieldBlock tuning_fields() { return kTuning; }
FieldBlock structure_fields() { return kStructure; }

}  // namespace trireme::gateway
