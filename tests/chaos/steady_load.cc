#include "tests/chaos/steady_load.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/text.h"

namespace trireme {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPoll{20};
constexpr TimeUs kLearnUs = 60'000'000;

}  // namespace

SteadyLoad::SteadyLoad(const std::string& endpoint,
                       std::vector<door::Submit> requests,
                       int num_streams)
    : requests_(std::move(requests)),
      num_streams_(num_streams),
      wanted_(requests_.size()),
      next_request_(static_cast<size_t>(num_streams), 0),
      heard_us_(static_cast<size_t>(num_streams)),
      last_heard_us_(static_cast<size_t>(num_streams)) {
  ClientOptions options;
  options.holds_submits = true;
  auto client = Client::connect(endpoint, milliseconds(5'000), options);
  EXPECT_TRUE(client.ok()) << message_of(client.status());
  if (!client.ok()) return;
  client_ = std::move(*client);
  for (size_t i = 0; i < requests_.size(); ++i) {
    const auto tag = client_->submit(requests_[i]);
    EXPECT_TRUE(tag.ok());
    if (tag.ok()) streams_[*tag].request = i;
  }
  const TimeUs end_us = clock_.now_us() + kLearnUs;
  while (!streams_.empty() && clock_.now_us() < end_us) {
    const auto events = client_->poll(kPoll);
    if (!events.ok()) break;
    for (const ClientEvent& event : *events) handle(event);
  }
  EXPECT_TRUE(streams_.empty()) << "the cluster does not answer";
  EXPECT_EQ(problems_.first, "");
  num_answers_ = 0;
  learns_ = false;
}

SteadyLoad::~SteadyLoad() {
  if (thread_.joinable()) finish(milliseconds(0));
}

void SteadyLoad::start() {
  for (int place = 0; place < num_streams_; ++place) {
    next_request_[static_cast<size_t>(place)] = static_cast<size_t>(place);
    heard_us_[static_cast<size_t>(place)] = {clock_.now_us()};
  }
  thread_ = std::thread([this] { run(); });
}

void SteadyLoad::finish(milliseconds timeout) {
  give_up_us_ = clock_.now_us() + TimeUs{timeout.count()} * 1000;
  stops_ = true;
  thread_.join();
}

void SteadyLoad::run() {
  for (int place = 0; place < num_streams_; ++place) open(place);
  while (!streams_.empty()) {
    if (stops_ && clock_.now_us() > give_up_us_) return;
    const auto events = client_->poll(kPoll);
    if (!events.ok()) {
      problems_.first = message_of(events.status());
      ++problems_.lost;
      return;
    }
    for (const ClientEvent& event : *events) handle(event);
  }
}

void SteadyLoad::open(int place) {
  size_t& next = next_request_[static_cast<size_t>(place)];
  const size_t request = next++ % requests_.size();
  const auto tag = client_->submit(requests_[request]);
  if (tag.ok()) {
    Stream& stream = streams_[*tag];
    stream.place = place;
    stream.request = request;
  } else {
    ++problems_.lost;
    problems_.first = message_of(tag.status());
  }
}

void SteadyLoad::note(int64_t& count, const Stream& stream, const std::string& words) {
  ++count;
  if (!problems_.first.empty()) return;
  problems_.first = format_text("stream {}, request {}, at id {}: {}",
                                stream.place,
                                stream.request,
                                stream.answer.ids.size(),
                                words);
}

void SteadyLoad::handle(const ClientEvent& event) {
  const auto found = streams_.find(tag_of(event));
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  const auto place = static_cast<size_t>(stream.place);
  if (!learns_) {
    const TimeUs now_us = clock_.now_us();
    heard_us_[place].push_back(now_us);
    last_heard_us_[place] = now_us;
  }
  WholeAnswer& answer = stream.answer;
  bool is_over = false;
  if (std::holds_alternative<door::Accepted>(event)) {
    stream.is_accepted = true;
  } else if (const auto* piece = std::get_if<door::Piece>(&event)) {
    const auto known = static_cast<int32_t>(answer.ids.size());
    if (piece->first_index < known) note(problems_.repeated, stream, "an id was repeated");
    if (piece->first_index > known) note(problems_.skipped, stream, "an id was skipped");
    answer.ids.insert(answer.ids.end(), piece->token_ids.begin(), piece->token_ids.end());
    answer.text += piece->text;
  } else if (const auto* finished = std::get_if<door::Finished>(&event)) {
    answer.text += finished->text;
    answer.reason = finished->reason;
    is_over = true;
    ++num_answers_;
    if (learns_) {
      wanted_[stream.request] = answer;
    } else if (!(answer == wanted_[stream.request])) {
      note(problems_.changed, stream, "another answer than that of the undisturbed cluster");
    }
  } else if (const auto* error = std::get_if<door::Error>(&event)) {
    is_over = true;
    if (stream.is_accepted) {
      note(problems_.lost, stream, error->error_id + ": " + error->message);
    } else {
      ++num_refused_;
    }
  }
  if (!is_over) return;
  const int next_place = stream.place;
  streams_.erase(found);
  if (!learns_ && !stops_) open(next_place);
}

std::vector<TimeUs> SteadyLoad::silences(TimeUs begin_us, TimeUs end_us) const {
  std::vector<TimeUs> longest;
  for (const std::vector<TimeUs>& heard : heard_us_) {
    TimeUs silence_us = 0;
    for (size_t i = 1; i < heard.size(); ++i) {
      if (heard[i] >= begin_us && heard[i - 1] < end_us) {
        silence_us = std::max(silence_us, heard[i] - std::max(heard[i - 1], begin_us));
      }
    }
    longest.push_back(silence_us);
  }
  return longest;
}

int SteadyLoad::num_heard(TimeUs since_us) const {
  return static_cast<int>(std::ranges::count_if(
      last_heard_us_, [since_us](const auto& heard) { return heard.load() > since_us; }));
}

}  // namespace trireme
