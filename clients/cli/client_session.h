// Connection of a verb to a cluster: a private one, started for the job and ended with it, or a
// running one. While it waits for answers it also supervises the children of a private cluster.
// Main thread.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "clients/cli/answers.h"
#include "clients/cli/launch_display.h"
#include "clients/cpp/client.h"
#include "launch/cluster.h"

namespace trireme {

// TRI-RUN-004: neither or both of --model and --endpoint are given, or --trace for a running
// cluster, which the verb cannot trace.
Status check_one_cluster(const ClusterFlags& flags, const std::string& endpoint);

constexpr int kPollMs = 100;  // between two looks at the keyboard, at signals and at the clock

class ClientSession {
 public:
  // Starts a private cluster and waits until its groups are ready. Errors of Cluster and Client.
  static StatusOr<std::unique_ptr<ClientSession>> bring_up(ClusterOptions options,
                                                           const Preflight& preflight,
                                                           Terminal& terminal,
                                                           Interrupts& interrupts);
  // Connects to a running cluster. TRI-NET-032, TRI-NET-033; TRI-RUN-029: no group is ready.
  static StatusOr<std::unique_ptr<ClientSession>> connect(const std::string& endpoint,
                                                          Terminal& terminal,
                                                          Interrupts& interrupts);

  // Requests that are not over are cancelled.
  ~ClientSession();

  Client& client() { return *client_; }
  const door::ModelInfo& model() const { return model_; }

  // Returns the events that have arrived, after waiting up to `timeout_ms` for the first. A lost
  // connection is noted on the terminal and made again; the answers go on.
  // TRI-UP-013: interrupted; TRI-ARGS-024: nobody can read the answers; TRI-UP-014: the private
  // cluster is lost.
  StatusOr<std::vector<ClientEvent>> poll(int timeout_ms);

  // From now on poll() goes on after a signal: the caller watches for them.
  void leave_interrupts_to_caller() { watches_interrupts_ = false; }

  // Disconnects and, if the cluster is private, drains it and waits for its end.
  Status close();

 private:
  ClientSession(Terminal& terminal, Interrupts& interrupts)
      : terminal_(terminal), launch_display_(terminal), interrupts_(interrupts) {}
  Status learn_model();
  void end_client();
  void note_change(const ConnectionChange& change);

  Terminal& terminal_;
  LaunchDisplay launch_display_;
  Interrupts& interrupts_;
  std::unique_ptr<Cluster> cluster_;  // null: the cluster is not private
  std::unique_ptr<Client> client_;
  door::ModelInfo model_;
  bool watches_interrupts_ = true;
  bool is_away_ = false;  // between two connections
};

class AnswerListener {
 public:
  virtual ~AnswerListener() = default;
  // A part of an answer to a chat; by default only its content is text.
  virtual void on_part(const Answer& answer, int choice, const AnswerPart& part) {
    if (part.kind == PartKind::kContent && !part.text.empty()) on_text(answer, choice, part.text);
  }
  // `text` was added to a choice.
  virtual void on_text(const Answer& answer, int choice, const std::string& text) = 0;
  virtual void on_done(Answer answer) = 0;
};

// Sends requests up to a maximum in flight and delivers each answer to a listener. Main thread.
class RequestRunner {
 public:
  explicit RequestRunner(ClientSession& session);

  // Maximum number of requests in flight, in place of the door's limit.
  void set_window(size_t window) { window_ = window; }
  // Also false while long prompts wait for the tokenizer: it would refuse those behind them.
  bool has_room() const { return book_.num_open() < window_ && waiting_bytes_ < kMaxWaitingBytes; }
  size_t num_open() const { return book_.num_open(); }
  TimeUs now_us() { return clock_.now_us(); }

  // `index` and `id` come back in the answer.
  Status submit(const door::Submit& request, size_t index, const std::string& id);

  // Waits up to `timeout_ms` for the first event and passes all that have arrived to the listener.
  Status poll(int timeout_ms, AnswerListener& listener);

  // Cancels all open requests; each still ends by itself.
  Status cancel_all();

  // Ends all open requests with `status` after the connection is lost.
  std::vector<Answer> abandon(const Status& status) {
    return book_.abandon(status, clock_.now_us());
  }

 private:
  static constexpr size_t kMaxWaitingBytes = size_t{32} << 20;

  void note_settled(uint64_t tag);

  ClientSession& session_;
  SteadyClock clock_;
  AnswerBook book_;
  size_t window_;
  std::map<uint64_t, size_t> waiting_;  // bytes of the prompts that are not accepted yet, by tag
  size_t waiting_bytes_ = 0;            // their sum
};

}  // namespace trireme
