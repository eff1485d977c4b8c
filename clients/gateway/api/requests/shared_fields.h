// Fields that several APIs share, and their readers. Constant tables, pure functions.
#pragma once

#include "clients/gateway/api/requests/field_table.h"

namespace trireme::gateway {

FieldBlock common_fields();  // every API that generates: model, temperature, top_p, stream
FieldBlock model_field();
FieldBlock sampling_fields();  // chat/completions and completions
FieldBlock top_k_field();
FieldBlock extension_fields();       // beyond OpenAI's own, of all OpenAI forms
FieldBlock chat_extension_fields();  // for the template: chat/completions, responses, tokenize
FieldBlock tuning_fields();          // ignored and named, of all OpenAI forms
FieldBlock structure_fields();       // structured output by other names, refused

Status read_max_tokens(const FieldValue& field, RequestDraft& draft);
// 0: the prompt alone is computed, and the one token that the door draws at least is not shown.
Status read_max_tokens_or_none(const FieldValue& field, RequestDraft& draft);
Status read_top_logprobs(const FieldValue& field, RequestDraft& draft);
Status read_add_special_tokens(const FieldValue& field, RequestDraft& draft);
Status read_skip_special_tokens(const FieldValue& field, RequestDraft& draft);
Status read_flag_on(const FieldValue& field, RequestDraft& draft);   // refused unless true
Status read_flag_off(const FieldValue& field, RequestDraft& draft);  // refused unless false
// Structured output: TRI-REQ-095.
Status refuse_structure(const FieldValue& field, RequestDraft& draft);
// {"type": "text"} alone is taken.
Status read_response_format(const FieldValue& field, RequestDraft& draft);

namespace schema {
constexpr std::string_view kText = R"({"type":"string"})";
constexpr std::string_view kFlag = R"({"type":"boolean"})";
constexpr std::string_view kOnlyTrue = R"({"const":true})";
constexpr std::string_view kOnlyFalse = R"({"const":false})";
constexpr std::string_view kTextFormat =
    R"({"type":"object","required":["type"],"properties":{"type":{"const":"text"}}})";
constexpr std::string_view kWhole = R"({"type":"integer"})";
constexpr std::string_view kObject = R"({"type":"object"})";
constexpr std::string_view kObjects = R"({"type":"array","items":{"type":"object"}})";
constexpr std::string_view kTexts = R"({"type":"array","items":{"type":"string"}})";
constexpr std::string_view kTextOrTexts =
    R"({"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"},"maxItems":64}]})";
constexpr std::string_view kIds =
    R"({"type":"array","items":{"type":"integer","minimum":0,"maximum":2147483647}})";
constexpr std::string_view kNumTokens = R"({"type":"integer","minimum":1,"maximum":16777216})";
constexpr std::string_view kNumTokensOrNone =
    R"({"type":"integer","minimum":0,"maximum":16777216})";
constexpr std::string_view kChoices = R"({"type":"integer","minimum":1,"maximum":64})";
constexpr std::string_view kLogprobs = R"({"type":"integer","minimum":0,"maximum":20})";
constexpr std::string_view kChatMessages =
    R"({"type":"array","minItems":1,"maxItems":4096,"items":)"
    R"({"$ref":"#/components/schemas/ChatMessage"}})";
constexpr std::string_view kChatTools =
    R"({"type":"array","maxItems":1024,"items":{"$ref":"#/components/schemas/ChatTool"}})";
constexpr std::string_view kToolChoice = R"({"type":["string","object"]})";
constexpr std::string_view kEffort =
    R"({"type":"string","enum":["none","minimal","low","medium","high","xhigh","max"]})";
constexpr std::string_view kAny = "{}";
constexpr std::string_view kNothing = R"({"not":{}})";
}  // namespace schema

}  // namespace trireme::gateway
