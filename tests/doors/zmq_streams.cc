// Many streams of one connection to the client door: the run that the gateway is compared with.
#include <cstdio>
#include <unordered_map>

#include "clients/cpp/client.h"
#include "tests/doors/load_figures.h"

namespace trireme {
namespace {

using namespace std::chrono_literals;

door::Submit request_of(int index, int max_tokens) {
  door::Submit submit;
  submit.prompt = prompt_of(index);
  submit.sampling.max_tokens = max_tokens;
  return submit;
}

class ZmqStreams {
 public:
  ZmqStreams(const LoadOptions& options, Client& client)
      : options_(options), client_(client), figures_(options), streams_(options.streams) {}

  Status run();
  std::string report() const { return figures_.report(streams_, process_cpu_s()); }

 private:
  Status submit_due(TimeUs now_us);
  void handle(const ClientEvent& event, TimeUs now_us);

  const LoadOptions& options_;
  Client& client_;
  LoadFigures figures_;
  std::vector<StreamRecord> streams_;
  std::unordered_map<uint64_t, size_t> by_tag_;
  size_t next_ = 0;
  size_t over_ = 0;
  TimeUs begin_us_ = 0;
};

Status ZmqStreams::submit_due(TimeUs now_us) {
  const auto due =
      static_cast<size_t>((now_us - begin_us_) * options_.connects_per_second / 1'000'000) + 1;
  for (; next_ < std::min(due, streams_.size()); ++next_) {
    streams_[next_].sent_us = SteadyClock().now_us();
    ASSIGN_OR_RETURN(const uint64_t tag,
                     client_.submit(request_of(static_cast<int>(next_), options_.max_tokens)));
    by_tag_[tag] = next_;
  }
  return ok_status();
}

void ZmqStreams::handle(const ClientEvent& event, TimeUs now_us) {
  if (const auto* piece = std::get_if<door::Piece>(&event)) {
    figures_.text(streams_.at(by_tag_.at(piece->tag)), piece->text, now_us);
  } else if (const auto* finished = std::get_if<door::Finished>(&event)) {
    StreamRecord& stream = streams_.at(by_tag_.at(finished->tag));
    stream.text += finished->text;
    stream.completion_tokens = finished->output_tokens;
    if (finished->reason == door::FinishReason::kFailed) stream.failure = finished->error_id;
    figures_.end(stream);
    ++over_;
  } else if (const auto* error = std::get_if<door::Error>(&event)) {
    streams_.at(by_tag_.at(error->tag)).failure = error->error_id;
    ++over_;
  }
}

Status ZmqStreams::run() {
  SteadyClock clock;
  begin_us_ = clock.now_us();
  const TimeUs limit_us = begin_us_ + TimeUs{1'000'000} * options_.limit_s;
  while (over_ < streams_.size() && clock.now_us() < limit_us) {
    RETURN_IF_ERROR(submit_due(clock.now_us()));
    ASSIGN_OR_RETURN(const std::vector<ClientEvent> events,
                     client_.poll(next_ < streams_.size() ? 1ms : 100ms));
    const TimeUs now_us = clock.now_us();
    for (const ClientEvent& event : events) handle(event, now_us);
  }
  return ok_status();
}

}  // namespace

int run_zmq_streams(const LoadOptions& options) {
  auto client = Client::connect(options.zmq, 10s);
  if (!client.ok()) {
    std::fprintf(stderr, "%s\n", message_of(client.status()).c_str());
    return 1;
  }
  ZmqStreams streams(options, **client);
  const Status status = streams.run();
  if (!status.ok()) std::fprintf(stderr, "%s\n", message_of(status).c_str());
  std::printf("%s\n", streams.report().c_str());
  return status.ok() ? 0 : 1;
}

}  // namespace trireme
