#include "clients/cli/explain/error_pages.h"

namespace trireme {
namespace {

constexpr ErrorPage kChatPages[] = {
    {"TRI-CHAT-001",
     "The model has no chat template.",
     "Its folder has neither chat_template.jinja nor a chat_template in tokenizer_config.json, as "
     "is usual for base models; or the file with the template cannot be read.",
     "Give a template with --chat-template FILE, or use completions, which need none."},
    {"TRI-CHAT-002",
     "The chat template does not compile.",
     "It is no Jinja, or it uses a tag that chat templates do not have (include, import, extends, "
     "block, do). The message names the line and column.",
     "Correct the template, or give another with --chat-template FILE. Completions go on."},
    {"TRI-CHAT-003",
     "Rendering a chat reached a limit.",
     "The template ran for more than 2,000,000 steps, nested deeper than 64, wrote more than 16 "
     "MiB, "
     "or made more than 64 MiB of values. The limits depend on the chat alone, never on time.",
     "Send fewer or shorter messages, or use a simpler template."},
    {"TRI-CHAT-004",
     "The chat needs something that the model's template cannot do.",
     "A message has a part that is no text, or has tool calls, which this template does not show; "
     "or the template does not show the last message as it is, so that it cannot be continued.",
     "Leave it out. `trireme models show` prints the abilities of the template."},
    {"TRI-CHAT-005",
     "The model's chat template cannot be used with tools.",
     "It does not show tools, calls or results, or its calls cannot be told from other text. The "
     "message gives the reason; docs/chat.md says how it is found out.",
     "Send no tools, or give a template that supports them with --chat-template FILE."},
    {"TRI-CHAT-006",
     "A chat is malformed.",
     "Messages, tools, documents or template variables are not valid JSON of the expected form, or "
     "too many (4,096 messages, 1,024 tools); or tool_choice names no tool of the request.",
     "Correct the request; the message names the place."},
    {"TRI-CHAT-007",
     "The chat template refuses the chat.",
     "The template itself checks the messages (roles in turn, for example) and says so in its own "
     "words; or it fails on them, because it expects a field that is not there.",
     "Change the messages as the message says, or use another template."},
};

}  // namespace

std::span<const ErrorPage> chat_error_pages() { return kChatPages; }

}  // namespace trireme
