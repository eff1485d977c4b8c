#include "model/chat/dialect/message_form.h"

#include <optional>
#include <string>

#include "base/text.h"
#include "model/chat/dialect/probe_chat.h"

namespace trireme {
namespace {

class FormFinder {
 public:
  explicit FormFinder(ChatTemplate& chat_template)
      : template_(chat_template), probe_(chat_template) {}

  void find() {
    MessageForm form;
    form.text_content = false;
    form.parts_roles = {"user"};
    template_.set_form(form);
    const bool takes_parts = reads_parts("", "user", "");
    form = MessageForm();
    template_.set_form(form);
    if (takes_parts) form.parts_roles = {"user"};
    form.text_content = shows(probe_user(), kProbeUser) || !takes_parts;
    template_.set_form(form);
    const std::string developer = R"({"role": "developer", "content": "zqdeveloper"}, )";
    const std::string system = R"({"role": "system", "content": "zqdeveloper"}, )";
    form.developer_as_system = !shows(developer + probe_user(), "zqdeveloper") &&
                               shows(system + probe_user(), "zqdeveloper");
    template_.set_form(form);
    if (takes_parts) find_parts_roles(form);
  }

 private:
  std::optional<std::string> render(const std::string& messages) {
    auto text = probe_.render({messages}, false, false);
    return text ? text : probe_.render({messages}, true, false);
  }

  bool shows(const std::string& messages, std::string_view word) {
    const auto text = render(messages);
    return text && text->find(word) != std::string::npos;
  }

  // Roles whose lists of parts the template shows too, and not only those of users.
  void find_parts_roles(MessageForm form) {
    const std::string user = probe_user();
    const std::string call = probe_message({{}, {}, {{std::string(kProbeTool), "{}"}}}, false);
    const std::string before = user + ", ";
    const std::string after = ", " + user;
    const std::string before_result = before + call + ", ";
    for (const char* role : {"system", "developer", "assistant", "tool"}) {
      MessageForm with = template_.form();
      with.parts_roles.emplace_back(role);
      template_.set_form(with);
      const std::string name = role;
      const bool begins = name == "system" || name == "developer";
      const bool reads = begins                ? reads_parts("", role, after)
                         : name == "assistant" ? reads_parts(before, role, after)
                                               : reads_parts(before_result, role, "") ||
                                                     reads_parts(before, role, "");
      if (reads) form.parts_roles.emplace_back(role);
      template_.set_form(form);
    }
  }

  // A list that is printed as such shows its words too.
  bool reads_parts(const std::string& before, std::string_view role, const std::string& after) {
    const auto text = render(format_text(R"({}{{"role": "{}", "content": [)"
                                         R"({{"type": "text", "text": "zqpart"}}, )"
                                         R"({{"type": "text", "text": "{}"}}]}}{})",
                                         before,
                                         role,
                                         kProbeSecond,
                                         after));
    const auto has = [&](std::string_view word) { return text->find(word) != std::string::npos; };
    return text && has("zqpart") && has(kProbeSecond) && !has("'text': 'zq") &&
           !has("\"text\": \"zq");
  }

  ChatTemplate& template_;
  ProbeChat probe_;
};

}  // namespace

void find_message_form(ChatTemplate& chat_template) { FormFinder(chat_template).find(); }

}  // namespace trireme
