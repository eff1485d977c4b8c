// Where a verb's requests go: a cluster of its own, brought up for the job and taken down with it,
// or one that runs elsewhere. One connection; the children of a private cluster are looked after
// while answers are awaited. Used by the main thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "clients/cli/answers.h"
#include "clients/cli/launch_display.h"
#include "clients/cpp/client.h"
#include "launch/cluster.h"

namespace trireme {

class ClientSession {
 public:
  // Brings a private cluster up; waits until it can answer. Errors of Cluster.
  static StatusOr<std::unique_ptr<ClientSession>> bring_up(ClusterOptions options,
                                                           const Preflight& preflight,
                                                           Terminal& terminal,
                                                           Interrupts& interrupts);
  // TRI-NET-032, TRI-NET-033; TRI-RUN-029: the cluster there has no group that can answer.
  static StatusOr<std::unique_ptr<ClientSession>> connect(const std::string& endpoint,
                                                          Terminal& terminal,
                                                          Interrupts& interrupts);

  Client& client() { return *client_; }
  const door::ModelInfo& model() const { return model_; }

  // What has come, after waiting at most so long for the first. TRI-UP-013: interrupted;
  // TRI-UP-014, TRI-NET: the cluster or the connection is gone.
  StatusOr<std::vector<ClientEvent>> poll(int timeout_ms);

  // The end of the job: a private cluster finishes and goes.
  Status close();

 private:
  ClientSession(Terminal& terminal, Interrupts& interrupts)
      : launch_display_(terminal), interrupts_(interrupts) {}
  Status learn_model();

  LaunchDisplay launch_display_;
  Interrupts& interrupts_;
  std::unique_ptr<Cluster> cluster_;  // null: it runs elsewhere
  std::unique_ptr<Client> client_;
  door::ModelInfo model_;
};

class AnswerListener {
 public:
  virtual ~AnswerListener() = default;
  // `text` was added to a choice.
  virtual void on_text(const Answer& answer, int choice, const std::string& text) = 0;
  virtual void on_done(Answer answer) = 0;
};

// Sends requests, so many at a time, and hands over each answer that is complete.
class RequestRunner {
 public:
  explicit RequestRunner(ClientSession& session);

  // Requests that may be under way at once; 0: what the door allows.
  void set_window(size_t window) { window_ = window; }
  bool has_room() const { return book_.num_open() < window_; }
  size_t num_open() const { return book_.num_open(); }
  TimeUs now_us() { return clock_.now_us(); }

  // `index` and `id` come back in the answer.
  Status submit(const door::Submit& request, size_t index, const std::string& id);

  // Waits at most so long for the first event, and tells the listener of all that have come.
  Status poll(int timeout_ms, AnswerListener& listener);

  // Ends what is open with `status`: the connection is lost.
  std::vector<Answer> abandon(const Status& status) { return book_.abandon(status); }

 private:
  ClientSession& session_;
  SteadyClock clock_;
  AnswerBook book_;
  size_t window_;
};

}  // namespace trireme
