#include "tests/doors/answer_script.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <random>

namespace trireme {
namespace {

using Json = nlohmann::json;

constexpr size_t kWordStride = 7919;  // a prime: neighbours of a text are no neighbours in the list
constexpr int64_t kDefaultWords = 16;
constexpr size_t kMaxChosen = 100'000;

constexpr std::array<std::pair<const char*, Act>, 12> kActs = {{{"", Act::kNone},
                                                                {"stall", Act::kStall},
                                                                {"die", Act::kDie},
                                                                {"silent", Act::kSilent},
                                                                {"leave", Act::kLeave},
                                                                {"crash", Act::kCrash},
                                                                {"fail", Act::kFail},
                                                                {"wrong_id", Act::kWrongId},
                                                                {"wrong_slot", Act::kWrongSlot},
                                                                {"wrong_step", Act::kWrongStep},
                                                                {"twice", Act::kTwice},
                                                                {"garbage", Act::kGarbage}}};

Status wrong(const std::string& words) { return absl::InvalidArgumentError(words); }

bool is_plain_word(const std::string& piece) {
  return piece.size() > 1 && piece[0] == ' ' &&
         std::all_of(piece.begin() + 1, piece.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
         });
}

StatusOr<Act> act_of(const std::string& name) {
  for (const auto& [word, act] : kActs) {
    if (name == word) return act;
  }
  return wrong("no act is called " + name);
}

std::optional<TimeUs> time_of(const Json& line, const char* name) {
  if (!line.contains(name)) return std::nullopt;
  return line[name].get<TimeUs>();
}

}  // namespace

TokenId ScriptedAnswer::id_at(int32_t index) const {
  const auto at = static_cast<size_t>(index);
  if (at < ids.size()) return ids[at];
  if (end >= 0 && !loop) return end;
  return ids[at % ids.size()];
}

AnswerScript::AnswerScript(const Tokenizer& tokenizer, TokenId end)
    : tokenizer_(tokenizer), end_(end) {
  for (TokenId id = 0; id < tokenizer.vocabulary_size(); ++id) {
    if (tokenizer.is_special(id)) continue;
    const std::string bytes = tokenizer.bytes_of(id);
    if (bytes.size() == 1) of_byte_.emplace(static_cast<unsigned char>(bytes[0]), id);
    if (is_plain_word(bytes)) plain_.push_back(id);
  }
  default_.ids = words(kDefaultWords);
  default_.end = end_;
  clear();
}

void AnswerScript::clear() {
  matching_.clear();
  in_order_.clear();
  chosen_.clear();
  next_ = 0;
  reads_prompts_ = false;
}

std::vector<TokenId> AnswerScript::words(int64_t count) const {
  std::vector<TokenId> ids;
  for (int64_t i = 0; i < count && !plain_.empty(); ++i) {
    ids.push_back(plain_[static_cast<size_t>(i + 1) * kWordStride % plain_.size()]);
  }
  return ids;
}

StatusOr<std::vector<TokenId>> AnswerScript::cut(const std::string& text,
                                                 const std::string& split) const {
  if (split == "tokens") return tokenizer_.encode(text, EncodeOptions{false, true});
  std::vector<TokenId> ids;
  if (split == "bytes") {
    for (const char c : text) {
      const auto id = of_byte_.find(static_cast<unsigned char>(c));
      if (id == of_byte_.end()) return wrong("the vocabulary has no token for a byte of the text");
      ids.push_back(id->second);
    }
    return ids;
  }
  if (!split.starts_with("random:")) return wrong("no split is called " + split);
  std::mt19937_64 random(std::stoull(split.substr(7)));
  for (size_t at = 0; at < text.size();) {
    size_t size = std::min<size_t>(1 + random() % 12, text.size() - at);
    while (at + size < text.size() && (text[at + size] & 0xc0) == 0x80) ++size;  // whole characters
    ASSIGN_OR_RETURN(const std::vector<TokenId> some,
                     tokenizer_.encode(text.substr(at, size), EncodeOptions{false, true}));
    ids.insert(ids.end(), some.begin(), some.end());
    at += size;
  }
  return ids;
}

Status AnswerScript::add(const std::string& text) {
  const Json line = Json::parse(text, nullptr, false);
  if (!line.is_object()) return wrong("the line is no JSON object: " + text);
  auto answer = std::make_unique<ScriptedAnswer>();
  try {
    answer->match = line.value("match", "");
    answer->end = line.value("end", end_);
    answer->loop = line.value("loop", false);
    answer->step_us = time_of(line, "step_us");
    answer->first_us = time_of(line, "first_us");
    answer->act_at = line.value("at", 0);
    ASSIGN_OR_RETURN(answer->act, act_of(line.value("act", "")));
    if (line.contains("ids")) answer->ids = line["ids"].get<std::vector<TokenId>>();
    if (line.contains("words")) answer->ids = words(line["words"].get<int64_t>());
    if (line.contains("text")) {
      ASSIGN_OR_RETURN(answer->ids,
                       cut(line["text"].get<std::string>(), line.value("split", "tokens")));
    }
  } catch (const std::exception& error) {
    return wrong(std::string("a field of the line has another type: ") + error.what());
  }
  if (answer->ids.empty() && (answer->end < 0 || answer->loop)) return wrong("the answer is empty");
  reads_prompts_ = reads_prompts_ || !answer->match.empty();
  (answer->match.empty() ? in_order_ : matching_).push_back(answer.get());
  lines_.push_back(std::move(answer));
  return ok_status();
}

const ScriptedAnswer& AnswerScript::choose(const OpenedSlot& opened, const std::string& prompt) {
  for (const ScriptedAnswer* answer : matching_) {
    if (prompt.find(answer->match) != std::string::npos) return *answer;
  }
  if (in_order_.empty()) return default_;
  const std::pair key{opened.seed, opened.choice};
  if (opened.num_emitted > 0 && chosen_.contains(key)) return *chosen_[key];
  const ScriptedAnswer* answer = in_order_[std::min(next_, in_order_.size() - 1)];
  ++next_;
  if (chosen_.size() >= kMaxChosen) chosen_.clear();
  chosen_[key] = answer;
  return *answer;
}

}  // namespace trireme
