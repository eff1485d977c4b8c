#include "coordinator/journal/request_numbers.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace trireme::journal {

RequestNumbers::RequestNumbers(const JournalState& state) : next_(state.end()) {
  for (RequestNumber number = 0; number < next_; ++number) {
    const JournalState::Request* request = state.find(number);
    if (request != nullptr) {
      numbers_[request->state.id] = number;
    } else {
      free_.push_back(number);
    }
  }
  std::reverse(free_.begin(), free_.end());  // the lowest is taken first
}

std::optional<RequestNumber> RequestNumbers::find(const RequestId& id) const {
  const auto found = numbers_.find(id);
  return found == numbers_.end() ? std::nullopt : std::optional(found->second);
}

RequestNumber RequestNumbers::at(const RequestId& id) const {
  const auto found = numbers_.find(id);
  CHECK_THAT(found != numbers_.end(), to_string(id).c_str());
  return found->second;
}

RequestNumber RequestNumbers::assign(const RequestId& id) {
  CHECK(!is_full());
  RequestNumber number = next_;
  if (free_.empty()) {
    ++next_;
  } else {
    number = free_.back();
    free_.pop_back();
  }
  const bool is_new = numbers_.emplace(id, number).second;
  CHECK_THAT(is_new, to_string(id).c_str());
  return number;
}

void RequestNumbers::append(record::Tokens tokens, Entries& entries) const {
  // Tokens that follow one another share their columns.
  if (entries.empty() || !std::holds_alternative<Tokens>(entries.back())) {
    entries.emplace_back(Tokens{});
  }
  Tokens& columns = std::get<Tokens>(entries.back());
  const auto count = static_cast<int32_t>(tokens.ids.size());
  // A column that has been empty so far begins with the value that this stands for.
  if (tokens.choice != 0) columns.choices.resize(columns.numbers.size(), 0);
  if (count != 1 && columns.counts.empty()) columns.counts.resize(columns.numbers.size(), 1);
  if (tokens.choice != 0 || !columns.choices.empty()) columns.choices.push_back(tokens.choice);
  if (count != 1 || !columns.counts.empty()) columns.counts.push_back(count);
  if (!tokens.logprobs.empty()) {
    columns.scored.push_back(static_cast<int32_t>(columns.numbers.size()));
    std::move(tokens.logprobs.begin(), tokens.logprobs.end(), std::back_inserter(columns.logprobs));
  }
  columns.numbers.push_back(at(tokens.id));
  columns.ids.insert(columns.ids.end(), tokens.ids.begin(), tokens.ids.end());
}

Entries RequestNumbers::convert(Record record, const Origin& origin) {
  Entries entries;
  for (RecordEntry& entry : record) {
    if (auto* accepted = std::get_if<record::Accepted>(&entry)) {
      const RequestNumber number = assign(accepted->id);
      entries.emplace_back(Accepted{number, std::move(*accepted), origin});
    } else if (auto* bound = std::get_if<record::Bound>(&entry)) {
      entries.emplace_back(Bound{at(bound->id), std::move(bound->compatibility)});
    } else if (auto* tokens = std::get_if<record::Tokens>(&entry)) {
      append(std::move(*tokens), entries);
    } else if (auto* ended = std::get_if<record::Ended>(&entry)) {
      const RequestNumber number = at(ended->id);
      entries.emplace_back(Ended{number, std::move(*ended)});
    } else if (const auto* suspect = std::get_if<record::Suspect>(&entry)) {
      entries.emplace_back(Suspect{at(suspect->id), suspect->crashes});
    } else {
      const RequestId& id = std::get<record::Forgotten>(entry).id;
      const RequestNumber number = at(id);
      entries.emplace_back(Forgotten{number});
      numbers_.erase(id);
      free_.push_back(number);
    }
  }
  return entries;
}

}  // namespace trireme::journal
