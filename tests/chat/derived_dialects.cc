#include "tests/chat/derived_dialects.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "model/chat/dialect/atoms.h"
#include "model/file_text.h"
#include "tests/test_data.h"

namespace trireme {

std::vector<std::string> template_files() {
  std::vector<std::string> files;
  for (const char* folder : {"/chat", "/chat_templates"}) {
    for (const auto& entry : std::filesystem::directory_iterator(test_data() + folder)) {
      if (entry.path().extension() == ".jinja") files.push_back(entry.path().string());
    }
  }
  files.push_back(TRIREME_SOURCE_DIR "/models/demo/chat_template.jinja");
  std::ranges::sort(files);
  return files;
}

DerivedDialect derive(const std::string& file) {
  const auto text = read_text_file(file, 1 << 20, "TRI-CHAT-001");
  EXPECT_TRUE(text.ok()) << text.status();
  auto chat_template =
      ChatTemplate::compile(text.value_or(""), file, {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
  EXPECT_TRUE(chat_template.ok()) << chat_template.status();
  DerivedDialect derived;
  derived.name = std::filesystem::path(file).filename().string();
  derived.chat_template = std::move(*chat_template);
  derived.found = find_dialect(derived.chat_template);
  return derived;
}

std::string DerivedDialect::rendered(const ProbeAnswer& answer) const {
  ProbeChat probe(chat_template);
  const bool tools = !answer.calls.empty();
  const bool short_ids = found.dialect.calls.short_ids;
  const auto prompt = probe.render({probe_user()}, tools, true);
  const auto text = probe.render({probe_user(), probe_message(answer, short_ids)}, tools, false);
  const ProbeAnswer plain{std::string(kProbeContent), {}, {}};
  const auto other = probe.render({probe_user(), probe_message(plain, short_ids)}, tools, false);
  if (!prompt || !text || !other) return "";
  const std::string& header = found.dialect.header;
  const size_t user = text->rfind(kProbeUser) + kProbeUser.size();
  const size_t shared = user + prompt->size() - prompt->rfind(kProbeUser) - kProbeUser.size();
  const size_t begin = header.empty() ? shared : text->rfind(header) + header.size();
  const std::string tail = other->substr(other->rfind(kProbeContent) + kProbeContent.size());
  const std::string shown = text->substr(begin);
  return shown.substr(0, shown.size() - common_atom_suffix(shown, tail));
}

}  // namespace trireme
