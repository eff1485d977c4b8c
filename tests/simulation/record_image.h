// The requests that records of a journal hold, as replay gives them.
#pragma once

#include <utility>
#include <vector>

#include "base/check.h"
#include "coordinator/engine/records.h"

namespace trireme {

class RecordImage {
 public:
  RecordImage() = default;
  explicit RecordImage(std::vector<RestoredRequest> requests) : requests_(std::move(requests)) {}
  void apply(const Record& record) {
    for (const RecordEntry& entry : record)
      std::visit([this](const auto& one) { add(one); }, entry);
  }
  std::vector<RestoredRequest> requests() const { return requests_; }

 private:
  RestoredRequest& find(const RequestId& id) {
    for (RestoredRequest& request : requests_) {
      if (request.accepted.id == id) return request;
    }
    CHECK(false);  // a record of no request
    return requests_.front();
  }
  void add(const record::Accepted& entry) {
    RestoredRequest& request = requests_.emplace_back();
    request.accepted = entry;
    request.choices.resize(static_cast<size_t>(entry.submit.params.num_choices));
  }
  void add(const record::Bound& entry) { find(entry.id).compatibility = entry.compatibility; }
  void add(const record::Tokens& entry) {
    RestoredChoice& choice = find(entry.id).choices[static_cast<size_t>(entry.choice)];
    choice.ids.insert(choice.ids.end(), entry.ids.begin(), entry.ids.end());
    choice.logprobs.insert(choice.logprobs.end(), entry.logprobs.begin(), entry.logprobs.end());
  }
  void add(const record::Ended& entry) {
    find(entry.id).choices[static_cast<size_t>(entry.choice)].ended = entry;
  }
  void add(const record::Suspect& entry) { find(entry.id).crashes = entry.crashes; }
  void add(const record::Forgotten& entry) {
    std::erase_if(requests_, [&](const auto& each) { return each.accepted.id == entry.id; });
  }

  std::vector<RestoredRequest> requests_;
};

}  // namespace trireme
