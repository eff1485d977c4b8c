#include <utility>

#include "clients/cpp/client.h"
#include "clients/cpp/client_link.h"
#include "proto/error_kind.h"

namespace trireme {

namespace {

Status no_answer(const std::string& endpoint, Client::Milliseconds timeout) {
  return timed_out("TRI-NET-032",
                   "no answer from {} within {} ms; is the cluster up, and is the address its "
                   "`ready` line's?",
                   endpoint,
                   timeout.count());
}

// Whether a connection that was lost may be had at the next attempt; else it was refused.
bool may_come_back(const ConnectionChange& change) {
  return change.state == ClientState::kReady || change.error_id == "TRI-NET-031" ||
         change.error_id == "TRI-NET-032";
}

}  // namespace

StatusOr<std::unique_ptr<Client>> Client::connect(const std::string& endpoint,
                                                  Milliseconds timeout) {
  ASSIGN_OR_RETURN(auto transport, connect_client_link(endpoint));
  auto client = connect(std::move(transport), timeout);
  if (client.ok() || error_id(client.status()) != "TRI-NET-032") return client;
  return no_answer(endpoint, timeout);
}

StatusOr<std::unique_ptr<Client>> Client::connect(const std::string& endpoint,
                                                  Milliseconds timeout,
                                                  const ClientOptions& options) {
  ASSIGN_OR_RETURN(auto client, open(endpoint, options));
  const TimeUs deadline_us = client->now_us() + in_us(timeout);
  while (client->state() != ClientState::kReady) {
    const TimeUs left_us = deadline_us - client->now_us();
    if (left_us <= 0) return no_answer(endpoint, timeout);
    ASSIGN_OR_RETURN(
        const auto events,
        client->poll(std::chrono::ceil<Milliseconds>(std::chrono::microseconds(left_us))));
    for (const ClientEvent& event : events) {
      const auto* change = std::get_if<ConnectionChange>(&event);
      const bool is_refused = change != nullptr && !may_come_back(*change);
      if (is_refused) return status_from_wire(change->error_id, change->message);
    }
  }
  return client;
}

StatusOr<std::unique_ptr<Client>> Client::connect(std::unique_ptr<ClientTransport> transport,
                                                  Milliseconds timeout) {
  ASSIGN_OR_RETURN(WakeDescriptor wake, WakeDescriptor::create());
  std::unique_ptr<Client> client(new Client(nullptr, std::move(transport), {}, std::move(wake)));
  RETURN_IF_ERROR(client->say_hello(timeout));
  return client;
}

StatusOr<std::unique_ptr<Client>> Client::open(const std::string& endpoint,
                                               const ClientOptions& options) {
  ASSIGN_OR_RETURN(auto connector, make_client_connector(endpoint));
  return open(std::move(connector), options);
}

StatusOr<std::unique_ptr<Client>> Client::open(std::unique_ptr<ClientConnector> connector,
                                               const ClientOptions& options) {
  ASSIGN_OR_RETURN(WakeDescriptor wake, WakeDescriptor::create());
  std::unique_ptr<Client> client(
      new Client(std::move(connector), nullptr, options, std::move(wake)));
  client->act_on_time();
  return client;
}

}  // namespace trireme
