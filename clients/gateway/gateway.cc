#include "clients/gateway/gateway.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "clients/gateway/api/openapi.h"
#include "clients/gateway/model_objects.h"
#include "clients/gateway/question.h"
#include "clients/gateway/replies.h"
#include "clients/gateway/request_headers.h"
#include "clients/gateway/resume_request.h"

namespace trireme::gateway {

namespace {

constexpr int64_t kRetryMs = 1000;

HttpResponse json_response(std::string body, int status = 200) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

// "application/json; charset=utf-8" and its like; a request may have no Content-Type.
bool is_json(std::string_view content_type) {
  std::string type = ascii_lower(content_type.substr(0, content_type.find(';')));
  while (type.ends_with(' ')) type.pop_back();
  return type.empty() || type == "application/json" ||
         (type.starts_with("application/") && type.ends_with("+json"));
}

std::string write_openapi() {
  std::vector<OpenApiRoute> rows;
  for (const Route& route : routes()) {
    OpenApiRoute& row = rows.emplace_back();
    row.method = route.method;
    row.path = route.path;
    row.summary = route.summary;
    row.needs_key = route.needs_key;
    row.is_later = route.action == RouteAction::kLater;
    row.resumes = route.action == RouteAction::kResume;
    if (route.method == "POST" && !row.is_later) row.body = route.api;
  }
  return openapi_document(rows);
}

ApiError unreachable() {
  ApiError error = make_error(503,
                              "TRI-HTTP-016",
                              "the coordinator cannot be reached; the gateway goes on trying",
                              "unreachable");
  error.retry_after_ms = kRetryMs;
  return error;
}

bool is_health(RouteAction action) {
  return action == RouteAction::kHealth || action == RouteAction::kServerReady;
}

}  // namespace

Gateway::Gateway(GatewaySettings settings, DoorLink& door, Clock& clock)
    : settings_(std::move(settings)), door_(door), clock_(clock) {
  context_.strict = settings_.strict_api;
  context_.accept_any_model = settings_.accept_any_model;
}

std::string Gateway::request_id_of(const HttpRequest& request) const {
  const std::string_view id = request.header("x-request-id");
  return is_request_id(id) ? std::string(id) : new_request_id();
}

HttpResponse Gateway::refuse(const HttpRequest& request, Api api, const ApiError& error) const {
  HttpResponse response = error_response(api, error, request_id_of(request));
  settings_.access.add_cors_headers(request, response.headers);
  return response;
}

HttpResponse Gateway::on_refusal(const HttpRequest& request, const HttpRefusal& refusal) {
  const std::string& id = refusal.error_id;
  ApiError error = make_error(refusal.status, id.c_str(), refusal.message.substr(id.size() + 2));
  if (refusal.status == 429) {
    error.code = "overloaded";
    error.retry_after_ms = kRetryMs;
  }
  return refuse(request, match_route(request.method, request.target).api, error);
}

std::optional<ApiError> Gateway::check_access(const HttpRequest& request,
                                              const Route& route) const {
  if (!settings_.keys || !route.needs_key) return std::nullopt;
  const std::string_view key = key_of(request.header("authorization"), request.header("x-api-key"));
  if (!key.empty() && settings_.keys->name_of(key)) return std::nullopt;
  const char* const words =
      key.empty() ? "the request has no API key; send Authorization: Bearer KEY, or x-api-key: KEY"
                  : "the API key is not known; check it";
  return make_error(401, "TRI-HTTP-013", words, "invalid_api_key");
}

std::optional<ApiError> Gateway::check_body(const HttpRequest& request) const {
  const std::string_view encoding = request.header("content-encoding");
  if (!encoding.empty() && encoding != "identity") {
    return make_error(
        415,
        "TRI-HTTP-015",
        format_text("Content-Encoding is \"{}\", bodies are read as they are; send it plain",
                    encoding));
  }
  if (is_json(request.header("content-type"))) return std::nullopt;
  return make_error(
      415,
      "TRI-HTTP-015",
      format_text("Content-Type is \"{}\", read is application/json; send that header",
                  request.header("content-type")));
}

// Everything that can be refused without the body is refused before the body comes.
std::optional<HttpResponse> Gateway::on_head(const HttpRequest& request) {
  const RouteMatch match = match_route(request.method, request.target);
  if (const Status status = settings_.access.check(request); !status.ok()) {
    return refuse(request, match.api, make_error(403, status));
  }
  if (request.method == "OPTIONS") return std::nullopt;
  if (match.route == nullptr && !match.allow.empty()) {
    ApiError error = make_error(405,
                                "TRI-HTTP-011",
                                format_text("{} {} is not known, allowed here are {}",
                                            request.method,
                                            path_of(request.target),
                                            match.allow));
    error.allow = match.allow;
    return refuse(request, match.api, error);
  }
  if (match.route == nullptr) {
    return refuse(request,
                  match.api,
                  make_error(404,
                             "TRI-HTTP-010",
                             format_text("the path {} is not known; /openapi.json lists all",
                                         path_of(request.target).substr(0, 200))));
  }
  if (const auto error = check_access(request, *match.route)) {
    return refuse(request, match.api, *error);
  }
  if (match.route->action == RouteAction::kLater) {
    ApiError error =
        make_error(501,
                   "TRI-HTTP-012",
                   format_text("{} {} is not built yet", match.route->method, match.route->path));
    error.retry_is_useless = true;
    return refuse(request, match.api, error);
  }
  if (match.route->method != "POST") return std::nullopt;
  if (const auto error = check_body(request)) return refuse(request, match.api, *error);
  return std::nullopt;
}

void Gateway::on_request(HttpExchange& exchange) {
  const HttpRequest& request = exchange.request();
  const RouteMatch match = match_route(request.method, request.target);
  if (request.method == "OPTIONS") {
    const std::string allow =
        match.route != nullptr || match.allow.empty() ? "GET, HEAD, POST, OPTIONS" : match.allow;
    return exchange.respond(settings_.access.answer_options(request, allow));
  }
  // Again: SIGHUP may have taken the key away while the body came.
  if (const auto error = check_access(request, *match.route)) {
    return exchange.respond(refuse(request, match.api, *error));
  }
  if (match.route->method == "POST") return ask(match, exchange);
  if (match.route->action == RouteAction::kResume) return resume(match, exchange);
  HttpResponse response = answer_now(match, request);
  settings_.access.add_cors_headers(request, response.headers);
  exchange.respond(std::move(response));
}

std::optional<ApiError> Gateway::check_door() const {
  if (health_.drains()) {
    return make_error(
        503, "TRI-HTTP-017", "the gateway ends and takes no new requests; ask another", "draining");
  }
  if (!door_.is_connected()) return unreachable();
  return std::nullopt;
}

std::optional<ApiError> Gateway::check_room(size_t wanted) const {
  if (table_.num_streams() + wanted <= settings_.num_streams) return std::nullopt;
  ApiError error = make_error(429,
                              "TRI-HTTP-009",
                              format_text("{} streams are open, allowed are {}; try again",
                                          table_.num_streams(),
                                          settings_.num_streams),
                              "overloaded");
  error.retry_after_ms = kRetryMs;
  return error;
}

bool Gateway::any_group_was_ready() const {
  return std::ranges::any_of(context_.models,
                             [](const door::ModelInfo& model) { return model.max_model_len > 0; });
}

bool Gateway::is_ready() const {
  return any_group_was_ready() && health_.verdict(clock_.now_us()).ready;
}

// While a group that was ready is being brought back, requests wait in the coordinator's queue.
std::optional<ApiError> Gateway::check_groups() const {
  if (any_group_was_ready()) return std::nullopt;
  const DoorHealth::Verdict verdict = health_.verdict(clock_.now_us());
  const bool loads = verdict.loaded_bytes < verdict.total_bytes;
  ApiError error =
      make_error(503,
                 "TRI-HTTP-055",
                 format_text("no group has been ready yet ({} of {} bytes are loaded); try again",
                             verdict.loaded_bytes,
                             verdict.total_bytes),
                 loads ? "loading" : "no_group");
  error.retry_after_ms = kRetryMs;
  return error;
}

void Gateway::ask(const RouteMatch& match, HttpExchange& exchange) {
  const HttpRequest request = exchange.take_request();
  const Api api = match.route->api;
  RequestFacts facts;
  const bool generates = match.route->action == RouteAction::kGenerate;
  facts.api = api;
  facts.headers = read_headers(
      request, settings_.keys ? &*settings_.keys : nullptr, settings_.request_timeout_ms);
  facts.request_id = request_id_of(request);
  settings_.access.add_cors_headers(request, facts.cors_headers);
  std::optional<ApiError> refusal = check_door();
  if (!refusal && generates) refusal = check_groups();
  if (!refusal) refusal = read_timeout(request, facts.headers);
  if (!refusal && generates) refusal = read_resumable(request, facts.headers);
  if (refusal) return exchange.respond(refuse(request, api, *refusal));
  context_.now_s = std::time(nullptr);
  auto read = read_call(api, request.body, facts.headers, context_);
  if (const auto* error = std::get_if<ApiError>(&read)) {
    return exchange.respond(refuse(request, api, *error));
  }
  auto& call = std::get<ApiCall>(read);
  const auto* submits = std::get_if<std::vector<door::Submit>>(&call.questions);
  const auto full = check_room(submits != nullptr ? submits->size() : 1);
  if (full) return exchange.respond(refuse(request, api, *full));
  std::unique_ptr<Answer> answer;
  if (generates) {
    answer =
        std::make_unique<Generation>(surroundings(), std::move(facts), std::move(call), exchange);
  } else {
    answer =
        std::make_unique<Question>(surroundings(), std::move(facts), std::move(call), exchange);
  }
  table_.add(std::move(answer)).start();
}

// HEAD takes no answer over: it checks the headers alone.
void Gateway::resume(const RouteMatch& match, HttpExchange& exchange) {
  const HttpRequest request = exchange.take_request();
  std::optional<ApiError> refusal = check_door();
  auto resume = read_resume_request(request);
  if (!resume.ok()) refusal = from_status(resume.status());
  if (!refusal) refusal = check_room(resume->request_ids.size());
  if (refusal) return exchange.respond(refuse(request, match.api, *refusal));
  RequestFacts facts;
  facts.request_id = request_id_of(request);
  if (is_request_id(request.header("x-request-id"))) {
    facts.headers.client_request_id = facts.request_id;
  }
  settings_.access.add_cors_headers(request, facts.cors_headers);
  if (request.method == "HEAD") {
    HttpResponse response;
    response.content_type = "text/event-stream";
    response.headers = facts.cors_headers;
    add_request_id(facts.request_id, response.headers);
    return exchange.respond(std::move(response));
  }
  auto answer =
      std::make_unique<Generation>(surroundings(), std::move(facts), std::move(*resume), exchange);
  table_.add(std::move(answer)).start();
}

Generation::Surroundings Gateway::surroundings() {
  return {door_, table_, clock_, settings_.keep_alive_us, settings_.num_running_on};
}

HttpResponse Gateway::answer_model(const RouteMatch& match, const HttpRequest& request) {
  const std::string_view name = match.parameter("model");
  const door::ModelInfo* const model =
      find_model(context_.models, name, match.parameter("version"), match.parameter("label"));
  const RouteAction action = match.route->action;
  if (model == nullptr) {
    std::vector<std::string> names;
    for (const door::ModelInfo& known : context_.models) names.push_back(known.name);
    return refuse(request,
                  match.api,
                  make_error(404,
                             "TRI-HTTP-010",
                             format_text("there is no model \"{}\" with that version or label; "
                                         "there are: {}",
                                         name.substr(0, 200),
                                         join(names)),
                             "model_not_found"));
  }
  if (action == RouteAction::kModelMetadata) return json_response(write_model_metadata(*model));
  if (action == RouteAction::kModelReady) {
    const bool ready = health_.verdict(clock_.now_us()).ready;
    return json_response(write_model_ready(name, ready), ready ? 200 : 400);
  }
  return json_response(write_model(*model));
}

HttpResponse Gateway::answer_now(const RouteMatch& match, const HttpRequest& request) {
  const RouteAction action = match.route->action;
  if (is_health(action)) {
    const DoorHealth::Verdict verdict = health_.verdict(clock_.now_us());
    // KServe: a status of 4xx says no.
    if (action == RouteAction::kServerReady) {
      return json_response(write_flag("ready", verdict.ready), verdict.ready ? 200 : 400);
    }
    HttpResponse response = json_response(write_health(verdict), verdict.ready ? 200 : 503);
    if (!verdict.ready) response.headers.push_back({"Retry-After", "1"});
    return response;
  }
  const bool is_about_models = match.route->path.find("/models") != std::string_view::npos;
  if (is_about_models && context_.models.empty()) return refuse(request, match.api, unreachable());
  HttpResponse response;
  switch (action) {
    case RouteAction::kListModels:
      response = json_response(write_model_list(context_.models));
      break;
    case RouteAction::kModel:
    case RouteAction::kModelMetadata:
    case RouteAction::kModelReady:
      response = answer_model(match, request);
      break;
    case RouteAction::kLive:
    case RouteAction::kServerLive:
      return json_response(write_flag("live", true));
    case RouteAction::kServerMetadata:
      response = json_response(write_server_metadata());
      break;
    case RouteAction::kOpenApi:
      response = json_response(write_openapi());
      break;
    default:
      response = json_response(write_version());
      break;
  }
  if (response.status == 200) add_request_id(request_id_of(request), response.headers);
  return response;
}

void Gateway::on_door_event(ClientEvent event) {
  const TimeUs now_us = clock_.now_us();
  if (const auto* change = std::get_if<ConnectionChange>(&event)) {
    if (change->state == ClientState::kReady) {
      health_.on_connected(now_us);
      context_.models = door_.welcome().models;
      log_event(LogLevel::kInfo, "coordinator_reached");
      ask_door();
    } else {
      health_.on_lost(change->message);
      log_event(LogLevel::kWarning, "coordinator_lost", {{"cause", change->message}});
    }
  } else if (const auto* pong = std::get_if<door::Pong>(&event)) {
    health_.on_pong(*pong, now_us);
  } else if (auto* models = std::get_if<door::Models>(&event)) {
    context_.models = std::move(models->models);
  } else if (const auto* status = std::get_if<door::StatusReply>(&event)) {
    health_.on_status(*status, now_us);
  } else {
    table_.dispatch(std::move(event));
  }
  table_.sweep();
}

void Gateway::ask_door() {
  if (!door_.is_connected()) return;
  door_.ask_ping();
  door_.ask_models();
  if (!health_.verdict(clock_.now_us()).ready) door_.ask_status();
}

void Gateway::tick() {
  const TimeUs now_us = clock_.now_us();
  health_.forgive(standstill_.gap_us(now_us));
  table_.tick(now_us);
  if (health_.is_silent(now_us)) table_.fail_all(unreachable());
  table_.sweep();
}

}  // namespace trireme::gateway
