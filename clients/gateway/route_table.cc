#include "clients/gateway/route_table.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

// tidy: table

namespace trireme::gateway {

namespace {

using enum RouteAction;

// Of two rows that fit, the first counts.
constexpr Route kRoutes[] = {
    {"POST", "/v1/chat/completions", kGenerate, true, Api::kChatCompletions, "Chat (OpenAI)"},
    {"POST", "/v1/completions", kGenerate, true, Api::kCompletions, "Completion (OpenAI)"},
    {"POST", "/v1/responses", kGenerate, true, Api::kResponses, "Response (OpenAI)"},
    {"POST", "/v1/messages", kGenerate, true, Api::kMessages, "Message (Anthropic)"},
    {"POST",
     "/v1/messages/count_tokens",
     kTokenize,
     true,
     Api::kCountTokens,
     "Number of tokens of a message (Anthropic)"},
    {"POST", "/tokenize", kTokenize, true, Api::kTokenize, "Ids of a text or a chat"},
    {"POST", "/detokenize", kDetokenize, true, Api::kDetokenize, "Text of ids"},
    {"GET", "/v1/models", kListModels, true, {}, "All models"},
    {"GET", "/v1/models/{model}/versions/{version}/metadata", kModel, true, {}, "A model"},
    {"GET", "/v1/models/{model}/labels/{label}/metadata", kModel, true, {}, "A model"},
    {"GET", "/v1/models/{model}/versions/{version}", kModel, true, {}, "A model"},
    {"GET", "/v1/models/{model}/labels/{label}", kModel, true, {}, "A model"},
    {"GET", "/v1/models/{model}/metadata", kModel, true, {}, "A model"},
    {"GET", "/v1/models/{model}", kModel, true, {}, "A model"},
    {"GET", "/health", kHealth, false, {}, "Whether a request can be answered now"},
    {"GET", "/ready", kHealth, false, {}, "Whether a request can be answered now"},
    {"GET", "/live", kLive, false, {}, "Whether this process answers"},
    {"GET", "/v2", kServerMetadata, true, {}, "The server (KServe)"},
    {"GET", "/v2/health/live", kServerLive, false, {}, "Whether this process answers (KServe)"},
    {"GET", "/v2/health/ready", kServerReady, false, {}, "Whether it is ready (KServe)"},
    {"GET", "/v2/models/{model}/versions/{version}/ready", kModelReady, true, {}, "(KServe)"},
    {"GET", "/v2/models/{model}/ready", kModelReady, true, {}, "(KServe)"},
    {"GET", "/v2/models/{model}/versions/{version}", kModelMetadata, true, {}, "(KServe)"},
    {"POST", "/v2/models/{model}/versions/{version}/infer", kLater, true, {}, "(KServe)"},
    {"POST", "/v2/models/{model}/infer", kLater, true, {}, "(KServe)"},
    {"GET", "/v2/models/{model}", kModelMetadata, true, {}, "(KServe)"},
    {"GET", "/version", kVersion, true, {}, "The version of this server"},
    {"GET", "/openapi.json", kOpenApi, true, {}, "This table"},
    {"POST", "/v1/embeddings", kLater, true, {}, "Embeddings"},
    {"POST", "/v1/rerank", kLater, true, {}, "Reranking"},
    {"POST", "/v1/models/{model}:predict", kLater, true, {}, "(TensorFlow Serving)"},
    {"GET", "/metrics", kLater, true, {}, "Metrics"},
    {"GET", "/trireme/v1/status", kLater, true, {}, "State and figures of the cluster"},
    {"GET", "/trireme/v1/events", kLater, true, {}, "The same as events"},
    {"GET", "/trireme/v1/stream", kResume, true, {}, "The rest of an answer"},
    {"GET", "/", kLater, false, {}, "A page for people"},
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// %XX in a segment; a % without two digits stands for itself.
std::string decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low < 0) {
      out += text[i];
    } else {
      out += static_cast<char>(16 * high + low);
      i += 2;
    }
  }
  return out;
}

using Parameters = std::vector<std::pair<std::string_view, std::string_view>>;  // still encoded

// A {name} takes the longest text with which the rest of the pattern still fits.
bool fits(std::string_view pattern, std::string_view path, Parameters& parameters) {
  const size_t open = pattern.find('{');
  if (open == std::string_view::npos) return pattern == path;
  if (path.substr(0, open) != pattern.substr(0, open)) return false;
  const size_t close = pattern.find('}', open);
  const std::string_view name = pattern.substr(open + 1, close - open - 1);
  const std::string_view rest = pattern.substr(close + 1);
  path.remove_prefix(open);
  const size_t longest = name == "model" ? path.size() : std::min(path.find('/'), path.size());
  for (size_t length = longest; length > 0; --length) {
    const std::string_view after = path.substr(length);
    if (!rest.empty() && (after.empty() || after.front() != rest.front())) continue;
    parameters.emplace_back(name, path.substr(0, length));
    if (fits(rest, after, parameters)) return true;
    parameters.pop_back();
  }
  return false;
}

std::string methods_text(const std::vector<std::string_view>& methods) {
  std::string text;
  for (const std::string_view method : methods) {
    text += method;
    text += method == "GET" ? ", HEAD, " : ", ";
  }
  return text + "OPTIONS";
}

}  // namespace

std::span<const Route> routes() { return kRoutes; }

std::string_view RouteMatch::parameter(std::string_view name) const {
  for (const auto& [known, value] : parameters) {
    if (known == name) return value;
  }
  return {};
}

std::string_view path_of(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    const size_t slash = target.find('/', scheme.size());
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  return target.substr(0, target.find_first_of("?#"));
}

RouteMatch match_route(std::string_view method, std::string_view target) {
  const std::string_view path = path_of(target);
  RouteMatch match;
  if (path.starts_with("/v1/messages")) match.api = Api::kMessages;
  std::vector<std::string_view> methods;
  for (const Route& route : kRoutes) {
    Parameters parameters;
    if (!fits(route.path, path, parameters)) continue;
    if (route.method == method || (method == "HEAD" && route.method == "GET")) {
      match.route = &route;
      match.api = route.api;
      for (const auto& [name, value] : parameters) {
        match.parameters.emplace_back(name, decode(value));
      }
      return match;
    }
    if (std::ranges::find(methods, route.method) == methods.end()) methods.push_back(route.method);
  }
  if (!methods.empty()) match.allow = methods_text(methods);
  return match;
}

}  // namespace trireme::gateway
