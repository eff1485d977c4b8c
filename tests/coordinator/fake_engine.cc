// An Engine without groups for tests of doors and clients, linked in place of the real one. Every
// request is accepted at once and answered by its own prompt, one token per Tick; the text of token
// t is "<t>". A prompt that begins with token 9 never ends by itself.
#include <algorithm>
#include <map>
#include <optional>

#include "coordinator/engine/engine.h"

namespace trireme {

class Engine::State {
 public:
  void on(Event event, TimeUs now_us, std::vector<Effect>& effects) {
    if (auto* submitted = std::get_if<event::Submitted>(&event)) {
      accept(submitted->request, effects);
    } else if (const auto* cancelled = std::get_if<event::Cancelled>(&event)) {
      finish(cancelled->request, FinishReason::kCancelled, effects);
    } else if (const auto* gone = std::get_if<event::Disconnected>(&event)) {
      std::erase_if(running_, [&](const auto& entry) {
        return entry.second.request.connection == gone->connection;
      });
    } else if (const auto* resumed = std::get_if<event::Resumed>(&event)) {
      effects.emplace_back(effect::Refuse{resumed->connection,
                                          resumed->client_tag,
                                          invalid("TRI-REQ-002", "the answer is not kept"),
                                          0});
    } else if (std::holds_alternative<event::Tick>(event)) {
      speak(effects);
    }
    next_us_ = running_.empty() ? 0 : now_us + 1'000;
  }
  TimeUs next_us() const { return next_us_; }
  EngineStatus status() const {
    EngineStatus status;
    status.running = static_cast<int64_t>(running_.size());
    status.finished = finished_;
    return status;
  }

 private:
  struct Running {
    SubmitRequest request;
    int32_t said = 0;
  };

  void accept(SubmitRequest& request, std::vector<Effect>& effects) {
    const RequestId id{1, ++last_id_};
    effect::Accept accept;
    accept.connection = request.connection;
    accept.client_tag = request.client_tag;
    accept.request = id;
    accept.seed = request.params.seed.value_or(4711);
    accept.prompt_tokens = static_cast<int32_t>(request.prompt.size());
    effects.emplace_back(accept);
    running_[id] = {std::move(request), 0};
  }

  void speak(std::vector<Effect>& effects) {
    std::vector<RequestId> done;
    for (auto& [id, running] : running_) {
      const SubmitRequest& request = running.request;
      const size_t at = static_cast<size_t>(running.said) % request.prompt.size();
      effect::Tokens tokens;
      tokens.connection = request.connection;
      tokens.client_tag = request.client_tag;
      tokens.request = id;
      tokens.first_index = running.said++;
      tokens.ids = {request.prompt[at]};
      tokens.text = format_text("<{}>", request.prompt[at]);
      effects.emplace_back(std::move(tokens));
      if (request.prompt[0] != 9 && running.said >= request.params.max_tokens) done.push_back(id);
    }
    for (const RequestId& id : done) finish(id, FinishReason::kLength, effects);
  }

  void finish(const RequestId& id, FinishReason reason, std::vector<Effect>& effects) {
    const auto found = running_.find(id);
    if (found == running_.end()) return;
    effect::Finish finish;
    finish.connection = found->second.request.connection;
    finish.client_tag = found->second.request.client_tag;
    finish.request = id;
    finish.reason = reason;
    finish.output_tokens = found->second.said;
    finish.last_choice = true;
    effects.emplace_back(finish);
    running_.erase(found);
    ++finished_;
  }

  std::map<RequestId, Running> running_;
  uint64_t last_id_ = 0;
  int64_t finished_ = 0;
  TimeUs next_us_ = 0;
};

std::string to_string(const RequestId& id) { return format_text("{}-{}", id.high, id.low); }

Engine::Engine(const EngineOptions&) : state_(std::make_unique<State>()) {}
Engine::~Engine() = default;
void Engine::on(Event event, TimeUs now_us, std::vector<Effect>& effects) {
  state_->on(std::move(event), now_us, effects);
}
std::vector<ConnectionId> Engine::take_behind() { return {}; }
bool Engine::knows_key(const SubmitRequest&) const { return false; }
Status Engine::may_wait(const SubmitRequest&, int64_t, int64_t*) const { return ok_status(); }
TimeUs Engine::next_tick_us() const { return state_->next_us(); }
EngineStatus Engine::status() const { return state_->status(); }
EngineHealth Engine::health(TimeUs, const std::map<GroupId, TimeUs>&) const { return {}; }

}  // namespace trireme
