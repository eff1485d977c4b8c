// Ids of events, and streams that are resumed after any of them: the events of both parts are those
// of a stream that was not cut, however its tokens come in pieces.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "clients/gateway/answer_events.h"
#include "clients/gateway/resume_request.h"

namespace trireme::gateway {
namespace event_trail_test {

using testing::ElementsAre;

TEST(EventPosition, AnIdIsReadAsItIsWritten) {
  for (const char* id :
       {"5,e,0;0-9.1/8", "0;s.2/2", "9;0-e.1/12", "0,0;1-2147483647.3/2147483647"}) {
    const auto position = read_event_id(id);
    ASSERT_TRUE(position.ok()) << id;
    EXPECT_EQ(event_id(*position), id);
  }
  const EventPosition position = *read_event_id("5,e,0;0-9.1/8");
  EXPECT_THAT(position.before, ElementsAre(5, door::kEndedIndex, 0));
  EXPECT_EQ(position.write, (StreamWrite{0, 9}));
  EXPECT_EQ(position.num_events, 1);
  EXPECT_EQ(position.total, 8);
}

TEST(EventPosition, WhatIsNoIdIsRefused) {
  std::string many = "0";
  for (int i = 0; i < 64; ++i) many += ",0";
  for (const std::string& id : {std::string(),
                                std::string("1"),
                                std::string("0;s/9"),
                                std::string("0;s.0/9"),
                                std::string("0;s.e/9"),
                                std::string("0;s.1/1 "),
                                std::string("00;s.1/9"),
                                std::string("-1;s.1/9"),
                                std::string("1;s.1/9"),
                                std::string("0;0-0.1/9"),
                                std::string("5;0-5.1/9"),
                                std::string("e;0-e.1/9"),
                                std::string("0;1-5.1/9"),
                                std::string("0;e-5.1/9"),
                                std::string("0,;0-5.1/9"),
                                std::string("0;0-2147483648.1/9"),
                                std::string("0;0-5.01/9"),
                                std::string("0;s.1"),
                                std::string("0;s.2/1"),
                                std::string("0;s.1/01"),
                                std::string("0;s.1/e"),
                                many + ";s.1/1"}) {
    EXPECT_EQ(error_id(read_event_id(id).status()), "TRI-HTTP-034") << id;
  }
}

TEST(EventPosition, EachPromptHasItsPoints) {
  const EventPosition position = *read_event_id("5,e,0,7;3-9.1/9");
  using Points = std::vector<door::AnswerPoint>;
  EXPECT_EQ(points_of(position, 0, 2), (Points{{0, 5}, {1, door::kEndedIndex}}));
  EXPECT_EQ(points_of(position, 1, 2), (Points{{1, 7}, {1, 9}}));
  EXPECT_EQ(points_of(*read_event_id("0,0;s.1/1"), 0, 1), Points());
}

TEST(ResumeToken, IsTheIdsOfTheRequestsAndNothingElse) {
  HttpRequest request;
  const auto read = [&](const std::string& token) {
    request.headers = {{"trireme-resume", token}};
    return read_resume_request(request);
  };
  const std::vector<std::string> ids = {std::string("\0\xff\xfe 567890123456", 16),
                                        std::string(16, 'b')};
  EXPECT_EQ(resume_token(ids).size(), 43u);
  EXPECT_EQ(read(resume_token(ids))->request_ids, ids);
  std::string token = resume_token({ids[0]});
  EXPECT_EQ(token.size(), 22u);
  EXPECT_EQ(read(token)->request_ids.size(), 1u);
  EXPECT_FALSE(read(token)->after);
  ++token.back();  // bits that no byte has
  for (const std::string& bad : {token,
                                 std::string(),
                                 std::string("1"),
                                 token + "A",
                                 std::string(22, '='),
                                 std::string(22, '+')}) {
    EXPECT_EQ(error_id(read(bad).status()), "TRI-HTTP-034") << bad;
  }
}

// A completion whose token i of choice c is the text "c:i ", with an end after `length` tokens.
struct Shape {
  int32_t num_prompts = 1;
  int32_t num_choices = 1;
  int32_t length = 0;
};

SavedForm form_of_shape(const Shape& shape) {
  SavedForm form;
  form.api = Api::kCompletions;
  form.options.model = "demo";
  form.options.streamed = true;
  form.options.includes_usage = true;
  form.options.returns_token_ids = true;
  form.options.num_prompts = shape.num_prompts;
  form.options.num_choices = shape.num_choices;
  return form;
}

// The door's side: cursors into the answers, and the order of points.
class Door {
 public:
  Door(const Shape& shape, uint64_t seed)
      : shape_(shape),
        random_(seed),
        next_(static_cast<size_t>(shape.num_prompts * shape.num_choices), 0),
        points_(static_cast<size_t>(shape.num_prompts)) {}

  void follow(const EventPosition& position) {
    for (int32_t prompt = 0; prompt < shape_.num_prompts; ++prompt) {
      points_[static_cast<size_t>(prompt)] = points_of(position, prompt, shape_.num_prompts);
    }
  }

  // The next message of some prompt; nothing: all are over.
  std::optional<std::pair<int, ClientEvent>> next() {
    std::vector<int32_t> open;
    for (int32_t i = 0; i < std::ssize(next_); ++i) {
      if (next_[static_cast<size_t>(i)] != door::kEndedIndex) open.push_back(i);
    }
    if (open.empty()) return std::nullopt;
    const int32_t some = open[random_() % open.size()];
    const int prompt = some / shape_.num_choices;
    auto& points = points_[static_cast<size_t>(prompt)];
    if (points.empty()) return std::pair(prompt, write(some, shape_.length, true));
    const door::AnswerPoint point = points.front();
    const int32_t place = prompt * shape_.num_choices + point.choice;
    const bool to_end = point.index == door::kEndedIndex;
    ClientEvent event = write(place, to_end ? shape_.length : point.index, to_end);
    if (next_[static_cast<size_t>(place)] == point.index) points.erase(points.begin());
    return std::pair(prompt, std::move(event));
  }

 private:
  // Up to three tokens before `end`, or the end of the choice.
  ClientEvent write(int32_t place, int32_t end, bool may_end) {
    int32_t& next = next_[static_cast<size_t>(place)];
    const int32_t choice = place % shape_.num_choices;
    if (next == shape_.length && may_end) {
      next = door::kEndedIndex;
      door::Finished finished;
      finished.choice = choice;
      finished.text = "!";
      finished.output_tokens = shape_.length;
      return finished;
    }
    door::Piece piece;
    piece.choice = choice;
    piece.first_index = next;
    const bool is_whole = end - next <= 3;  // a piece to a point is sent whole
    const int32_t last =
        is_whole ? end : std::min(end, next + 1 + static_cast<int32_t>(random_() % 3));
    for (; next < last; ++next) {
      piece.token_ids.push_back(next);
      if (next % 4 != 3) piece.text += std::to_string(place) + ":" + std::to_string(next) + " ";
    }
    return piece;
  }

  const Shape shape_;
  std::mt19937_64 random_;
  std::vector<int32_t> next_;
  std::vector<std::vector<door::AnswerPoint>> points_;
};

// The events of a stream, each with its id.
std::vector<std::string> stream_of(const Shape& shape,
                                   uint64_t seed,
                                   const std::optional<EventPosition>& after) {
  AnswerEvents events(static_cast<size_t>(shape.num_prompts), nullptr);
  events.trace(form_of_shape(shape), after);
  Door door(shape, seed);
  if (after) door.follow(*after);
  std::string out;
  const std::vector<door::Accepted> accepted(static_cast<size_t>(shape.num_prompts));
  events.write_start(accepted, out);
  while (auto message = door.next()) {
    EXPECT_FALSE(events.write(message->first, std::move(message->second), out));
    EXPECT_FALSE(events.write_held(out));
  }
  EXPECT_TRUE(events.writer().finished());
  EXPECT_TRUE(events.has_caught_up());
  for (int prompt = 0; prompt < shape.num_prompts; ++prompt) {
    EXPECT_EQ(events.held_bytes(prompt), 0);
  }
  std::vector<std::string> list;
  for (size_t at = 0; at < out.size();) {
    const size_t end = out.find("\n\n", at) + 2;
    list.push_back(out.substr(at, end - at));
    at = end;
  }
  return list;
}

std::string id_of(const std::string& event) {
  EXPECT_TRUE(event.starts_with("id: ")) << event;
  return event.substr(4, event.find('\n') - 4);
}

// The stream as a client reads it: the texts per choice, the ends, and the last events.
std::string content_of(const std::vector<std::string>& events) {
  std::map<std::string, std::string> texts;
  std::string rest;
  for (const std::string& event : events) {
    const size_t index = event.find("\"index\":");
    if (index == std::string::npos) {
      rest += event.substr(event.find('\n'));
      continue;
    }
    const std::string choice = event.substr(index, event.find(',', index) - index);
    const size_t text = event.find("\"text\":\"") + 8;
    texts[choice] += event.substr(text, event.find('"', text) - text);
    if (event.find("\"finish_reason\":\"stop\"") != std::string::npos) texts[choice] += " END";
  }
  for (const auto& [choice, text] : texts) rest += choice + " " + text + "\n";
  return rest;
}

TEST(EventTrail, AStreamThatIsCutAfterAnyEventGoesOnAsIfItWereNot) {
  const Shape shapes[] = {{1, 1, 9}, {1, 3, 7}, {2, 2, 6}, {3, 1, 0}};
  uint64_t seed = 0;
  for (const Shape& shape : shapes) {
    for (int round = 0; round < 20; ++round) {
      const std::vector<std::string> whole = stream_of(shape, ++seed, std::nullopt);
      for (size_t cut = 1; cut <= whole.size(); ++cut) {
        const EventPosition after = *read_event_id(id_of(whole[cut - 1]));
        std::vector<std::string> joined(whole.begin(), whole.begin() + static_cast<long>(cut));
        const std::vector<std::string> rest = stream_of(shape, ++seed, after);
        joined.insert(joined.end(), rest.begin(), rest.end());
        ASSERT_EQ(content_of(joined), content_of(whole)) << "seed " << seed << " cut " << cut;
        // Cut a second time, in the rest.
        if (rest.empty()) continue;
        const size_t again = seed % rest.size();
        const std::vector<std::string> last =
            stream_of(shape, ++seed, *read_event_id(id_of(rest[again])));
        joined.resize(cut + again + 1);
        joined.insert(joined.end(), last.begin(), last.end());
        ASSERT_EQ(content_of(joined), content_of(whole)) << "seed " << seed << " cut " << cut;
      }
    }
  }
}

TEST(EventTrail, IdsOfTheRestAreThoseOfTheStream) {
  const Shape shape{1, 1, 9};
  const std::vector<std::string> whole = stream_of(shape, 1, std::nullopt);
  const std::vector<std::string> again = stream_of(shape, 1, std::nullopt);
  EXPECT_EQ(again, whole);
  const EventPosition before_end = *read_event_id(id_of(whole[whole.size() - 2]));
  EXPECT_THAT(stream_of(shape, 2, before_end), ElementsAre(whole.back()));
}

TEST(EventTrail, APlaceThatTheStreamDoesNotHaveIsFound) {
  const auto after = [](const char* id) { return EventTrail(2, *read_event_id(id)); };
  using Due = EventTrail::Due;
  EventTrail trail = after("5,0;0-9.1/6");
  EXPECT_EQ(trail.due({1, 3}), Due::kLater);
  EXPECT_EQ(trail.due({0, 6}), Due::kNever) << "it leads past the place";
  EXPECT_EQ(trail.due({0, door::kEndedIndex}), Due::kNever) << "an end before the place";
  EXPECT_EQ(trail.due({2, 1}), Due::kNever);
  std::string events;
  EXPECT_EQ(trail.due({0, 5}), Due::kNow);
  trail.pass({0, 5}, events);
  EXPECT_EQ(trail.due({0, 8}), Due::kNever) << "another write than the one of the event";
  EXPECT_EQ(trail.due({1, 3}), Due::kLater);
  EXPECT_EQ(trail.due({0, 9}), Due::kNow);
  events = "data: a\n\ndata: b\n\n";
  trail.pass({0, 9}, events);
  EXPECT_EQ(events, "id: 5,0;0-9.2/7\ndata: b\n\n");
  EXPECT_TRUE(trail.has_caught_up());
  EXPECT_EQ(trail.due({1, 3}), Due::kNow);
}

}  // namespace event_trail_test
}  // namespace trireme::gateway
