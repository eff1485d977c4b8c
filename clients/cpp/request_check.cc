#include "clients/cpp/request_check.h"

#include <initializer_list>
#include <utility>

#include "base/utf8.h"

namespace trireme {
namespace {

class RequestCheck {
 public:
  explicit RequestCheck(int64_t max_prompt_bytes) : max_prompt_bytes_(max_prompt_bytes) {}

  Status text(const std::string& text, const char* field) {
    const auto at = first_not_utf8(text);
    if (!at) return ok_status();
    return with_field(
        invalid(
            "TRI-NET-003", "the {} of the request is not UTF-8 at byte {}; convert it", field, *at),
        field);
  }

  // Every id has at least one byte.
  Status prompt_size(size_t size, const char* unit) {
    if (static_cast<int64_t>(size) <= max_prompt_bytes_) return ok_status();
    return with_field(
        too_large("TRI-NET-004",
                  "the prompt has {} {}, a request has at most {} bytes ({}); shorten the prompt",
                  size,
                  unit,
                  max_prompt_bytes_,
                  format_bytes(static_cast<double>(max_prompt_bytes_))),
        "prompt");
  }

  Status prompt(const std::string& prompt) {
    RETURN_IF_ERROR(prompt_size(prompt.size(), "bytes"));
    return text(prompt, "prompt");
  }

  Status ids(const std::vector<TokenId>& ids) { return prompt_size(ids.size(), "ids"); }

  Status messages(const door::Messages& messages) {
    for (const door::ChatMessage& message : messages) {
      RETURN_IF_ERROR(text(message.role, "role of a message"));
      RETURN_IF_ERROR(text(message.content, "content of a message"));
    }
    return ok_status();
  }

  Status chat(const ChatRequest& chat) {
    RETURN_IF_ERROR(prompt_size(chat.messages_json.size() + chat.tools_json.size() +
                                    chat.documents_json.size() + chat.kwargs_json.size(),
                                "bytes"));
    RETURN_IF_ERROR(text(chat.messages_json, "messages"));
    RETURN_IF_ERROR(text(chat.tools_json, "tools"));
    RETURN_IF_ERROR(text(chat.documents_json, "documents"));
    RETURN_IF_ERROR(text(chat.kwargs_json, "chat_template_kwargs"));
    return text(chat.tool_name, "tool_choice");
  }

  Status texts(const door::Submit& request) {
    const std::initializer_list<std::pair<const std::string*, const char*>> texts = {
        {&request.model, "model name"},
        {&request.idempotency_key, "idempotency_key"},
        {&request.traceparent, "traceparent"},
        {&request.principal, "principal"},
        {&request.client_request_id, "client_request_id"},
        {&request.cache_salt, "cache_salt"},
        {&request.structure.text, "structure"},
    };
    for (const auto& [value, field] : texts) RETURN_IF_ERROR(text(*value, field));
    for (const std::string& stop : request.sampling.stop) {
      RETURN_IF_ERROR(text(stop, "stop string"));
    }
    return ok_status();
  }

 private:
  const int64_t max_prompt_bytes_;
};

}  // namespace

Status check_request(const door::Submit& request, int64_t max_prompt_bytes) {
  RequestCheck check(max_prompt_bytes);
  if (const auto* text = std::get_if<std::string>(&request.prompt)) {
    RETURN_IF_ERROR(check.prompt(*text));
  } else if (const auto* ids = std::get_if<std::vector<TokenId>>(&request.prompt)) {
    RETURN_IF_ERROR(check.ids(*ids));
  } else if (const auto* messages = std::get_if<door::Messages>(&request.prompt)) {
    RETURN_IF_ERROR(check.messages(*messages));
  } else if (const auto* chat = std::get_if<ChatRequest>(&request.prompt)) {
    RETURN_IF_ERROR(check.chat(*chat));
  }
  return check.texts(request);
}

Status check_request(const door::Tokenize& request, int64_t max_prompt_bytes) {
  RequestCheck check(max_prompt_bytes);
  const auto* chat = std::get_if<ChatRequest>(&request.what);
  return chat != nullptr ? check.chat(*chat) : check.prompt(std::get<std::string>(request.what));
}

Status check_request(const door::Detokenize& request, int64_t max_prompt_bytes) {
  return RequestCheck(max_prompt_bytes).ids(request.ids);
}

}  // namespace trireme
