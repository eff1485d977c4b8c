// From HTTP requests to the coordinator's door and back: access, routes, answers, health. Sans
// socket: an HttpServer and a DoorLink call it. Loop's thread; no call blocks.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/standstill.h"
#include "clients/gateway/access_rules.h"
#include "clients/gateway/answer_table.h"
#include "clients/gateway/api/api_call.h"
#include "clients/gateway/api_keys.h"
#include "clients/gateway/door_health.h"
#include "clients/gateway/door_link.h"
#include "clients/gateway/generation.h"
#include "clients/gateway/http/http_exchange.h"
#include "clients/gateway/route_table.h"

namespace trireme::gateway {

struct GatewaySettings {
  AccessRules access;
  std::optional<ApiKeys> keys;  // nothing: none are needed
  bool strict_api = false;
  bool accept_any_model = false;
  TimeUs keep_alive_us = 15'000'000;
  int64_t request_timeout_ms = 0;  // 0: none
  size_t num_streams = 2048;
  size_t num_running_on = 512;  // streams whose client is gone, not among num_streams
};

class Gateway final : public HttpHandler, public DoorListener {
 public:
  // `door` and `clock` outlive the gateway; the HttpServer does not.
  Gateway(GatewaySettings settings, DoorLink& door, Clock& clock);

  // HttpHandler
  std::optional<HttpResponse> on_head(const HttpRequest& request) override;
  void on_request(HttpExchange& exchange) override;
  HttpResponse on_refusal(const HttpRequest& request, const HttpRefusal& refusal) override;

  // DoorListener
  void on_door_event(ClientEvent event) override;

  // Asks for the coordinator's health: every second, more often until is_ready().
  void ask_door();
  // A request can be answered now, as far as is known.
  bool is_ready() const;
  // Deadlines and silences of answers; a few times per second.
  void tick();

  void replace_keys(ApiKeys keys) { settings_.keys = std::move(keys); }
  // New requests are refused from here on; is_drained(): those with a client have ended. The
  // coordinator finishes the others and keeps their answers, with or without a gateway.
  void drain() { health_.drain(); }
  bool is_drained() const { return table_.num_answers() == 0; }

 private:
  std::optional<ApiError> check_access(const HttpRequest& request, const Route& route) const;
  std::optional<ApiError> check_body(const HttpRequest& request) const;
  std::optional<ApiError> check_door() const;
  bool any_group_was_ready() const;
  std::optional<ApiError> check_groups() const;             // one was ready
  std::optional<ApiError> check_room(size_t wanted) const;  // streams
  HttpResponse refuse(const HttpRequest& request, Api api, const ApiError& error) const;
  // The answer of a route that asks the door nothing.
  HttpResponse answer_now(const RouteMatch& match, const HttpRequest& request);
  HttpResponse answer_model(const RouteMatch& match, const HttpRequest& request);
  void ask(const RouteMatch& match, HttpExchange& exchange);
  void resume(const RouteMatch& match, HttpExchange& exchange);
  Generation::Surroundings surroundings();
  std::string request_id_of(const HttpRequest& request) const;

  GatewaySettings settings_;
  DoorLink& door_;
  Clock& clock_;
  DoorHealth health_;
  Standstill standstill_;
  AnswerTable table_;
  ApiContext context_;  // for read_call(), with the newest models
};

}  // namespace trireme::gateway
