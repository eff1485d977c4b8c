// Every field of every API is honoured, ignored with a warning, or refused by name; none is
// dropped without a word.
// tidy: table
#include "clients/gateway/api/requests/field_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/gateway/api_fixture.h"

namespace trireme::gateway {
namespace field_table_test {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr Api kApis[] = {Api::kChatCompletions,
                         Api::kCompletions,
                         Api::kResponses,
                         Api::kMessages,
                         Api::kCountTokens,
                         Api::kTokenize,
                         Api::kDetokenize};

const char* name_of(Api api) {
  constexpr const char* kNames[] = {
      "chat", "completions", "responses", "messages", "count_tokens", "tokenize", "detokenize"};
  return kNames[static_cast<int>(api)];
}

Json smallest_body(Api api) {
  switch (api) {
    case Api::kCompletions:
      return {{"prompt", "Hi"}};
    case Api::kResponses:
      return {{"input", "Hi"}};
    case Api::kMessages:
      return Json::parse(R"({"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]})");
    case Api::kTokenize:
      return {{"prompt", "Hi"}};
    case Api::kDetokenize:
      return Json::parse(R"({"tokens":[1,2]})");
    default:
      return Json::parse(R"({"messages":[{"role":"user","content":"Hi"}]})");
  }
}

struct Sample {
  const char* good;
  const char* bad;
};

// Honoured fields. A key "api.field" is that of one API.
const std::map<std::string, Sample> kHonoured = {
    {"model", {R"("demo")", "7"}},
    {"messages", {R"([{"role":"user","content":"Hi"}])", R"("Hi")"}},
    {"temperature", {"0.5", "\"hot\""}},
    {"top_p", {"0.5", "2"}},
    {"stream", {"true", "1"}},
    {"n", {"2", "0"}},
    {"stop", {R"(["a","b"])", "[1]"}},
    {"seed", {"-7", "1.5"}},
    {"logit_bias", {R"({"12": -3.5})", R"({"twelve": 1})"}},
    {"presence_penalty", {"0.5", "[]"}},
    {"frequency_penalty", {"0.5", "1000"}},
    {"stream_options", {R"({"include_usage":true})", R"({"include_usage":"yes"})"}},
    {"return_token_ids", {"true", "\"x\""}},
    {"top_k", {"-1", "-2"}},
    {"min_p", {"0.1", "7"}},
    {"repetition_penalty", {"1.1", "0"}},
    {"min_tokens", {"1", "-1"}},
    {"ignore_eos", {"true", "0"}},
    {"stop_token_ids", {"[1,2]", "[-1]"}},
    {"include_stop_str_in_output", {"true", "\"\""}},
    {"skip_special_tokens", {"false", "{}"}},
    {"cache_salt", {R"("s")", R"("")"}},
    {"request_id", {R"("my-id_1")", R"("a b")"}},
    {"chat_template_kwargs", {R"({"a":1})", "[]"}},
    {"documents", {R"([{"text":"d"}])", R"(["d"])"}},
    {"add_generation_prompt", {"false", "2"}},
    {"continue_final_message", {"true", "2"}},
    {"max_tokens", {"5", "-1"}},
    {"max_completion_tokens", {"5", "1e99"}},
    {"logprobs", {"true", "1"}},
    {"completions.logprobs", {"3", "true"}},
    {"top_logprobs", {"0", "21"}},
    {"tools", {R"([{"type":"function","function":{"name":"f"}}])", R"([{"type":"function"}])"}},
    {"responses.tools", {R"([{"type":"function","name":"f"}])", R"([{"type":"function"}])"}},
    {"messages.tools", {R"([{"name":"f","input_schema":{}}])", R"([{"type":"bash_1"}])"}},
    {"count_tokens.tools", {R"([{"name":"f","input_schema":{}}])", R"([{"input_schema":{}}])"}},
    {"tool_choice", {R"("auto")", R"("any")"}},
    {"messages.tool_choice", {R"({"type":"auto"})", R"("auto")"}},
    {"count_tokens.tool_choice", {R"({"type":"none"})", R"({"type":"tool"})"}},
    {"parallel_tool_calls", {"false", "0"}},
    {"reasoning_effort", {R"("low")", R"("lots")"}},
    {"prompt", {R"("Hi")", "7"}},
    {"echo", {"true", "1"}},
    {"prompt_logprobs", {"1", "-1"}},
    {"add_special_tokens", {"false", "1"}},
    {"input", {R"([{"role":"user","content":"Hi"}])", "7"}},
    {"instructions", {R"("Be kind")", "[]"}},
    {"max_output_tokens", {"5", "0"}},
    {"reasoning", {R"({"effort":"high"})", R"({"effort":3})"}},
    {"include", {R"(["message.output_text.logprobs"])", "7"}},
    {"system", {R"([{"type":"text","text":"s"}])", R"([{"type":"image"}])"}},
    {"thinking", {R"({"type":"disabled"})", R"({"type":"yes"})"}},
    {"output_config", {R"({"effort":"max"})", R"({"effort":"all"})"}},
    {"cache_control", {R"({"type":"ephemeral"})", "1"}},
    {"stop_sequences", {R"(["a"])", R"("a")"}},
    {"return_token_strs", {"true", "1"}},
    {"tokens", {"[1]", R"(["a"])"}},
};

// Fields that only tune.
const std::map<std::string, const char*> kTunes = {
    {"user", R"("u")"},
    {"metadata", R"({"a":"b"})"},
    {"store", "true"},
    {"service_tier", R"("auto")"},
    {"safety_identifier", R"("s")"},
    {"prompt_cache_key", R"("k")"},
    {"prompt_cache_retention", R"("24h")"},
    {"prompt_cache_options", "{}"},
    {"verbosity", R"("low")"},
    {"prediction", "{}"},
    {"priority", "3"},
    {"max_tool_calls", "2"},
    {"stream_options", "{}"},
    {"context_management", "{}"},
    {"inference_geo", R"("eu")"},
    {"speed", R"("fast")"},
};

// Refused values, and a value that is taken because it changes nothing.
const std::map<std::string, Sample> kRefused = {
    {"response_format", {R"({"type":"text"})", R"({"type":"json_object"})"}},
    {"return_tokens_as_token_ids", {"false", "true"}},
    {"truncate_prompt_tokens", {"null", "5"}},
    {"use_beam_search", {"false", "true"}},
    {"bad_words", {"null", R"(["x"])"}},
    {"allowed_token_ids", {"null", "[1]"}},
    {"logits_processors", {"null", "[]"}},
    {"chat_template", {"null", R"("t")"}},
    {"include_reasoning", {"true", "false"}},
    {"structured_outputs", {"null", "{}"}},
    {"guided_json", {"null", "{}"}},
    {"guided_regex", {"null", R"("a")"}},
    {"guided_choice", {"null", R"(["a"])"}},
    {"guided_grammar", {"null", R"("a")"}},
    {"structural_tag", {"null", R"("a")"}},
    {"modalities", {R"(["text"])", R"(["text","audio"])"}},
    {"audio", {"null", "{}"}},
    {"web_search_options", {"null", "{}"}},
    {"moderation", {"null", "{}"}},
    {"functions", {"null", "[]"}},
    {"function_call", {"null", R"("auto")"}},
    {"suffix", {"null", R"("s")"}},
    {"echo", {"false", "true"}},
    {"prompt_logprobs", {"null", "1"}},
    {"add_special_tokens", {"false", "true"}},
    {"text", {R"({"format":{"type":"text"}})", R"({"format":{"type":"json_schema"}})"}},
    {"truncation", {R"("disabled")", R"("auto")"}},
    {"previous_response_id", {"null", R"("r")"}},
    {"conversation", {"null", R"("c")"}},
    {"background", {"false", "true"}},
    {"prompt", {"null", R"({"id":"p"})"}},
    {"context_management", {"null", "[]"}},
    {"output_format", {"null", "{}"}},
    {"mcp_servers", {"[]", "[{}]"}},
    {"container", {"null", R"("c")"}},
};

std::string body_with(Api api, std::string_view name, const std::string& value) {
  Json body = smallest_body(api);
  if (api == Api::kTokenize && name == "messages") body.erase("prompt");
  body[std::string(name)] = Json::parse(value);
  return body.dump();
}

template <class Value>
const Value* sample_of(const std::map<std::string, Value>& samples,
                       Api api,
                       const std::string& name) {
  auto found = samples.find(std::string(name_of(api)) + "." + name);
  if (found == samples.end()) found = samples.find(name);
  return found == samples.end() ? nullptr : &found->second;
}

void check_honoured(Api api, const std::string& name) {
  const Sample* sample = sample_of(kHonoured, api, name);
  ASSERT_NE(sample, nullptr) << name << " has no sample";
  EXPECT_THAT(taken(api, body_with(api, name, sample->good)).warnings, Not(Contains(name)));
  const ApiError error = refusal(api, body_with(api, name, sample->bad));
  EXPECT_EQ(error.http_status, 400);
  EXPECT_THAT(error.param, StartsWith(name));
  EXPECT_THAT(error.message, StartsWith(error.error_id + ": "));
}

void check_tunes(Api api, const std::string& name) {
  if (name == "best_of") {  // equal to n it changes nothing
    taken(api, body_with(api, name, "1"));
    EXPECT_EQ(refusal(api, body_with(api, name, "2")).param, "best_of");
    return;
  }
  const auto* value = sample_of(kTunes, api, name);
  ASSERT_NE(value, nullptr) << name << " has no sample";
  EXPECT_THAT(taken(api, body_with(api, name, *value)).warnings, Contains(name));
}

void check_refused(Api api, const std::string& name) {
  const Sample* sample = sample_of(kRefused, api, name);
  ASSERT_NE(sample, nullptr) << name << " has no sample";
  EXPECT_THAT(taken(api, body_with(api, name, sample->good)).warnings, Not(Contains(name)));
  const ApiError error = refusal(api, body_with(api, name, sample->bad));
  EXPECT_EQ(error.http_status, 400);
  EXPECT_EQ(error.param, name);
  EXPECT_THAT(error.message, HasSubstr(name));
  EXPECT_THAT((std::set<std::string>{"TRI-HTTP-024", "TRI-REQ-095"}), Contains(error.error_id));
}

TEST(FieldTable, EachFieldIsHonouredWarnedOrRefused) {
  for (const Api api : kApis) {
    for (const Field* field : fields_of(api)) {
      const std::string name(field->name);
      SCOPED_TRACE(std::string(name_of(api)) + " " + name);
      switch (field->kind) {
        case FieldKind::kHonoured:
          check_honoured(api, name);
          break;
        case FieldKind::kTunes:
          check_tunes(api, name);
          break;
        case FieldKind::kRefused:
          check_refused(api, name);
          break;
      }
    }
  }
}

// Names of docs/http.md: a row that disappears from a table would make its field an unknown one.
TEST(FieldTable, HasEveryPromisedField) {
  const std::map<Api, std::string> promised = {
      {Api::kChatCompletions,
       "model messages max_tokens max_completion_tokens temperature top_p n stop seed logprobs "
       "top_logprobs logit_bias presence_penalty frequency_penalty stream stream_options tools "
       "tool_choice parallel_tool_calls reasoning_effort top_k min_p repetition_penalty min_tokens "
       "ignore_eos stop_token_ids include_stop_str_in_output skip_special_tokens "
       "chat_template_kwargs documents add_generation_prompt continue_final_message "
       "return_token_ids cache_salt request_id user metadata store service_tier safety_identifier "
       "prompt_cache_key prompt_cache_retention verbosity prediction priority best_of "
       "response_format modalities audio web_search_options moderation functions function_call "
       "suffix"},
      {Api::kCompletions,
       "model prompt echo prompt_logprobs max_tokens temperature top_p n stop seed logprobs "
       "logit_bias presence_penalty frequency_penalty stream stream_options top_k min_p "
       "return_token_ids cache_salt suffix best_of user"},
      {Api::kResponses,
       "model input instructions max_output_tokens tools tool_choice parallel_tool_calls reasoning "
       "temperature top_p top_logprobs stream previous_response_id conversation background text"},
      {Api::kMessages,
       "model system messages stop_sequences tools tool_choice thinking output_config temperature "
       "top_p top_k max_tokens stream cache_control metadata"},
      {Api::kCountTokens, "model system messages tools tool_choice thinking"},
      {Api::kTokenize, "model prompt messages tools add_special_tokens return_token_strs"},
      {Api::kDetokenize, "model tokens"},
  };
  for (const auto& [api, names] : promised) {
    std::set<std::string> present;
    for (const Field* field : fields_of(api)) {
      EXPECT_TRUE(present.insert(std::string(field->name)).second) << field->name << " is twice";
      EXPECT_TRUE(Json::accept(field->schema)) << field->name << ": " << field->schema;
    }
    std::istringstream words(names);
    for (std::string name; words >> name;) {
      EXPECT_THAT(present, Contains(name)) << name_of(api);
    }
  }
}

TEST(FieldTable, NullIsTheSameAsAbsent) {
  for (const Api api : kApis) {
    Json body = smallest_body(api);
    for (const Field* field : fields_of(api)) {
      const std::string name(field->name);
      if (!body.contains(name)) body[name] = nullptr;
    }
    body["no_such_field"] = nullptr;
    EXPECT_THAT(taken(api, body.dump()).warnings, testing::IsEmpty()) << name_of(api);
  }
}

TEST(FieldTable, RequiredFieldsAreMissedByName) {
  for (const Api api : kApis) {
    for (const Field* field : fields_of(api)) {
      if (!field->is_required) continue;
      Json body = smallest_body(api);
      body.erase(std::string(field->name));
      const ApiError error = refusal(api, body.dump());
      EXPECT_EQ(error.error_id, "TRI-HTTP-022") << name_of(api);
      EXPECT_EQ(error.param, field->name) << name_of(api);
    }
  }
}

TEST(FieldTable, UnknownFieldsAreNamedOrRefused) {
  ApiContext strict = demo_context();
  strict.strict = true;
  for (const Api api : kApis) {
    const std::string body = body_with(api, "modell", "1");
    EXPECT_THAT(taken(api, body).warnings, Contains("modell")) << name_of(api);
    const ApiError error = refusal(api, body, strict);
    EXPECT_EQ(error.error_id, "TRI-HTTP-025") << name_of(api);
    EXPECT_THAT(error.message, HasSubstr("the most similar is model")) << name_of(api);
    EXPECT_EQ(error.param, "modell");
  }
}

// A warning goes into a header.
TEST(FieldTable, WarningsAreFewAndHaveNoBytesOfAHeader) {
  Json body = smallest_body(Api::kChatCompletions);
  body["a\r\nSet-Cookie: x\xC3\xA9"] = 1;
  for (int i = 0; i < 1000; ++i) body["field" + std::to_string(i)] = 1;
  const ApiCall call = taken(Api::kChatCompletions, body.dump());
  EXPECT_LE(call.warnings.size(), 32U);
  EXPECT_EQ(call.warnings.front(), "a??Set-Cookie??x??");
}

TEST(FieldTable, TheLastOfTwoFieldsCounts) {
  const ApiCall call =
      taken(Api::kCompletions, R"({"prompt":"a","prompt":"b","n":7,"n":null,"min_p":null})");
  EXPECT_EQ(std::get<std::string>(submit_in(call).prompt), "b");
  EXPECT_EQ(submit_in(call).sampling.n, std::nullopt);
}

TEST(FieldTable, DocumentNamesEveryField) {
  std::ifstream file(std::string(TRIREME_SOURCE_DIR) + "/docs/http.md");
  std::stringstream text;
  text << file.rdbuf();
  for (const Api api : kApis) {
    for (const Field* field : fields_of(api)) {
      EXPECT_THAT(text.str(), HasSubstr("`" + std::string(field->name))) << name_of(api);
    }
  }
}

}  // namespace field_table_test
}  // namespace trireme::gateway
