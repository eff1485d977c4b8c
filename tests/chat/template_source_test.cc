// Where a model's chat template is looked for.
#include "model/chat/rendering/template_source.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace trireme {
namespace template_source_test {

class TemplateSource : public ::testing::Test {
 protected:
  TemplateSource()
      : folder_(::testing::TempDir() + "/template_source_" +
                ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_ + "/additional_chat_templates");
  }
  ~TemplateSource() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
  }
  TemplateSources find(const std::string& file = "") const {
    auto sources = find_template(folder_, file);
    EXPECT_TRUE(sources.ok()) << sources.status();
    return sources.value_or(TemplateSources());
  }

  std::string folder_;
};

TEST_F(TemplateSource, TheFirstPlaceCounts) {
  EXPECT_EQ(error_id(find_template(folder_, "").status()), "TRI-CHAT-001");
  write("tokenizer_config.json", R"({"chat_template": "config"})");
  EXPECT_EQ(find().text, "config");
  write("additional_chat_templates/default.jinja", "additional");
  EXPECT_EQ(find().text, "additional");
  write("chat_template.jinja", "file");
  EXPECT_EQ(find().text, "file");
  write("other.jinja", "given");
  EXPECT_EQ(find(folder_ + "/other.jinja").text, "given");
}

TEST_F(TemplateSource, NamedTemplatesAreFound) {
  write("tokenizer_config.json", R"({"chat_template": [{"name": "default", "template": "d"},
    {"name": "rag", "template": "r"}, {"name": "tool_use", "template": "t"}, 5, {"name": "x"}]})");
  EXPECT_EQ(find().text, "d");
  EXPECT_EQ(find().tool_use, "t");
  write("chat_template.jinja", "file");
  EXPECT_EQ(find().tool_use, std::nullopt);
  write("additional_chat_templates/tool_use.jinja", "tools");
  EXPECT_EQ(find().tool_use, "tools");
  write("other.jinja", "given");
  EXPECT_EQ(find(folder_ + "/other.jinja").tool_use, std::nullopt);
}

TEST_F(TemplateSource, TokensAreTextsOrObjects) {
  write("chat_template.jinja", "file");
  write("tokenizer_config.json",
        R"({"bos_token": {"content": "<s>", "special": true}, "eos_token": "</s>",
            "pad_token": null, "unk_token": 5})");
  write("special_tokens_map.json", R"({"eos_token": "other", "pad_token": "<pad>"})");
  const std::vector<std::pair<std::string, std::string>> wanted = {
      {"bos_token", "<s>"}, {"eos_token", "</s>"}, {"pad_token", "<pad>"}};
  EXPECT_EQ(find().tokens, wanted);
}

TEST_F(TemplateSource, BadFilesAreRefused) {
  write("tokenizer_config.json", "{");
  EXPECT_EQ(error_id(find_template(folder_, "").status()), "TRI-CHAT-001");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "tool_use", "template": "t"}]})");
  EXPECT_EQ(error_id(find_template(folder_, "").status()), "TRI-CHAT-001");
  EXPECT_EQ(error_id(find_template(folder_, folder_).status()), "TRI-CHAT-001");
}

}  // namespace template_source_test
}  // namespace trireme
