// Control tokens come from the template alone: whatever messages, tools and variables hold.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "model/chat/chat_format.h"
#include "model/file_text.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/tokenizer_parts.h"
#include "tests/chat/derived_dialects.h"
#include "tests/test_data.h"

namespace trireme {
namespace guarded_chat_test {

using nlohmann::json;

constexpr int64_t kNow = 1720170247;
const std::string kDemo = TRIREME_SOURCE_DIR "/models/demo";
constexpr const char* kHole = "HOLE";

std::string read(const std::string& path) {
  return read_text_file(path, 1 << 24, "TRI-CHAT-001").value_or("");
}

// Tags in the text of a template.
std::set<std::string> tags_in(const std::string& text) {
  std::set<std::string> tags;
  for (size_t at = text.find('<'); at != std::string::npos; at = text.find('<', at + 1)) {
    const size_t end = text.find_first_of("> '\"\n{(", at);
    if (end == std::string::npos || text[end] != '>' || end - at < 3) continue;
    tags.insert(text.substr(at, end + 1 - at));
  }
  return tags;
}

// The demo's tokenizer with every tag of the template as a token: those with a bar are special.
std::unique_ptr<const Tokenizer> tokenizer_with(const std::set<std::string>& tags) {
  json file = json::parse(read(kDemo + "/tokenizer.json"));
  json& added = file["added_tokens"];
  std::erase_if(added.get_ref<json::array_t&>(), [](const json& token) {
    return token["content"].get<std::string>().starts_with("<|reserved");  // one would do
  });
  std::set<std::string> known;
  for (const json& token : file["added_tokens"]) known.insert(token["content"]);
  size_t next = file["model"]["vocab"].size();
  for (const json& token : file["added_tokens"]) {
    next = std::max(next, token["id"].get<size_t>() + 1);
  }
  for (const std::string& tag : tags) {
    if (known.contains(tag)) continue;
    file["added_tokens"].push_back({{"id", next++},
                                    {"content", tag},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", false},
                                    {"special", tag.find('|') != std::string::npos}});
  }
  auto tokenizer = Tokenizer::parse(file.dump());
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return std::move(*tokenizer);
}

struct Field {
  std::string name;
  json messages;
  json tools;
  json kwargs;
  json documents;
  bool assistant = false;
};

json call(const std::string& name, const json& arguments) {
  return {{"id", "zq3456789"},
          {"type", "function"},
          {"function", {{"name", name}, {"arguments", arguments}}}};
}

json tool(const std::string& name, const std::string& text) {
  return {
      {"type", "function"},
      {"function",
       {{"name", name},
        {"description", text},
        {"parameters", {{"type", "object"}, {"properties", {{"a", {{"description", text}}}}}}}}}};
}

// A chat for every field, with the hole in that field.
std::vector<Field> fields() {
  const json user = {{"role", "user"}, {"content", "Hi"}};
  const auto answer = [](const json& content) {
    return json{{"role", "assistant"}, {"content", content}};
  };
  const auto parts = [](const json& texts) {
    json list = json::array();
    for (const json& text : texts) list.push_back({{"type", "text"}, {"text", text}});
    return list;
  };
  const json tools = {tool("f", "x")};
  const json calls = {
      user, {{"role", "assistant"}, {"content", ""}, {"tool_calls", {call("f", {{"a", "b"}})}}}};
  std::vector<Field> all;
  const auto add = [&](const std::string& name, const json& messages, bool assistant = false) {
    all.push_back({name, messages, nullptr, nullptr, nullptr, assistant});
  };
  add("user", {{{"role", "user"}, {"content", kHole}}});
  add("user in parts", {{{"role", "user"}, {"content", parts({"FIRST", "SECOND"})}}});
  add("system", {{{"role", "system"}, {"content", kHole}}, user});
  add("role", {user, {{"role", kHole}, {"content", "x"}}});
  add("assistant", {user, answer(kHole), user}, true);
  add("last assistant", {user, answer(kHole)}, true);
  add("reasoning",
      {user, {{"role", "assistant"}, {"content", "x"}, {"reasoning_content", kHole}}},
      true);
  add("user name", {{{"role", "user"}, {"content", "x"}, {"name", kHole}}});
  json field = calls;
  field[1]["tool_calls"][0] = call(kHole, {{"a", "b"}});
  all.push_back({"call name", field, tools, nullptr, nullptr, true});
  field[1]["tool_calls"][0] = call("f", {{kHole, kHole}});
  all.push_back({"call arguments", field, tools, nullptr, nullptr, true});
  field = calls;
  field.push_back({{"role", "tool"}, {"tool_call_id", "zq3456789"}, {"content", kHole}});
  all.push_back({"result", field, tools, nullptr, nullptr, false});
  all.push_back({"tool name", {user}, {tool(kHole, "x")}, nullptr, nullptr, false});
  all.push_back({"tool text", {user}, {tool("f", kHole)}, nullptr, nullptr, false});
  const json kwargs = {{"effort", kHole},
                       {"title", kHole},
                       {"date_string", kHole},
                       {"bos_token", kHole},
                       {"eos_token", kHole},
                       {"custom_tools", {kHole}}};
  all.push_back({"kwargs", {user}, nullptr, kwargs, nullptr, false});
  all.push_back({"documents",
                 {user},
                 nullptr,
                 nullptr,
                 {{{"title", kHole}, {"text", kHole}, {kHole, "x"}}},
                 false});
  return all;
}

std::string filled(const json& value, const std::string& text) {
  if (value.is_null()) return "";
  std::string out = value.dump();
  const auto put = [&](const std::string& word, const std::string& with) {
    const std::string quoted = json(with).dump();
    const std::string inner = quoted.substr(1, quoted.size() - 2);
    for (size_t at = 0; (at = out.find(word, at)) != std::string::npos; at += inner.size()) {
      out.replace(at, word.size(), inner);
    }
  };
  put(kHole, text);
  put("FIRST", text.substr(0, text.size() / 2));
  put("SECOND", text.substr(text.size() / 2));
  return out;
}

ChatRequest request_of(const Field& field, const std::string& text) {
  ChatRequest request;
  request.messages_json = filled(field.messages, text);
  request.tools_json = filled(field.tools, text);
  request.kwargs_json = filled(field.kwargs, text);
  request.documents_json = filled(field.documents, text);
  return request;
}

// The added tokens of a prompt; of an assistant message only the special ones matter.
std::vector<TokenId> control_ids(const Tokenizer& tokenizer,
                                 const std::vector<TokenId>& ids,
                                 bool only_special) {
  std::vector<TokenId> control;
  for (const TokenId id : ids) {
    const bool counts =
        only_special ? tokenizer.is_special(id) : tokenizer.parts().vocabulary.is_added(id);
    if (counts) control.push_back(id);
  }
  return control;
}

std::vector<std::string> forms_of(const std::string& token) {
  std::string upper = token;
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
  return {token,
          "a " + token + token + " b",
          upper,
          token.substr(0, token.size() / 2),
          token.substr(token.size() / 2),
          token.substr(1),
          "x" + token + "x"};
}

TEST(GuardedChat, NoFieldMakesAControlToken) {
  int num_compared = 0;
  for (const std::string& file : template_files()) {
    const std::string source = read(file);
    const auto tokenizer = tokenizer_with(tags_in(source));
    const auto format = ChatFormat::load(kDemo, file, *tokenizer);
    ASSERT_TRUE(format.ok()) << format.status();
    for (const Field& field : fields()) {
      const auto plain = (*format)->prompt_of(request_of(field, "plain"), kNow);
      if (!plain.ok()) continue;  // the template has no such field, or refuses it
      EXPECT_EQ(plain->ids, tokenizer->encode(plain->text, {.add_special = false}).value());
      const auto wanted = control_ids(*tokenizer, plain->ids, field.assistant);
      for (const auto* matcher : {&tokenizer->parts().added}) {
        for (const AddedToken& token : matcher->tokens()) {
          // The template looks for this one in messages and then writes its own.
          const bool cut = source.find("'" + token.content + "' in") != std::string::npos;
          for (const std::string& text : forms_of(token.content)) {
            const auto prompt = (*format)->prompt_of(request_of(field, text), kNow);
            if (!prompt.ok() || (cut && field.assistant)) continue;
            ++num_compared;
            EXPECT_EQ(control_ids(*tokenizer, prompt->ids, field.assistant), wanted)
                << file << ", " << field.name << ": " << text;
          }
        }
      }
    }
  }
  EXPECT_GE(num_compared, 10'000);
}

TEST(GuardedChat, RolesAndOrdinaryTokensOfAssistantsStillWork) {
  const auto tokenizer = tokenizer_with({"<call>", "</call>", "<|turn|>", "user"});
  const auto format = ChatFormat::load(kDemo, test_data() + "/chat/tools_json.jinja", *tokenizer);
  ASSERT_TRUE(format.ok()) << format.status();
  ChatRequest request;
  request.messages_json =
      R"([{"role": "user", "content": "user <call>"}, {"role": "assistant", "content": "<call>"}])";
  const auto prompt = (*format)->prompt_of(request, kNow);
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  const TokenId role = tokenizer->id_of("user").value();
  const TokenId tag = tokenizer->id_of("<call>").value();
  EXPECT_EQ(std::ranges::count(prompt->ids, role), 1);
  EXPECT_EQ(std::ranges::count(prompt->ids, tag), 1);
}

}  // namespace guarded_chat_test
}  // namespace trireme
