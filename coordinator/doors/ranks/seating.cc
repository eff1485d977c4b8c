#include "coordinator/doors/ranks/seating.h"

#include "proto/rank_agreement.h"

namespace trireme {
namespace {

constexpr int32_t kMaxRanks = 1024;  // per group

Status check_numbers(const Introduction& who, int32_t num_groups) {
  if (who.group < 0 || who.group >= num_groups) {
    return invalid("TRI-GRP-042",
                   "group {} is not one of this cluster's, allowed is 0 to {}; start the "
                   "coordinator with a larger --groups",
                   who.group,
                   num_groups - 1);
  }
  const int64_t ranks = int64_t{who.tp} * who.pp;
  const bool fits = who.tp >= 1 && who.pp >= 1 && ranks <= kMaxRanks && who.rank < ranks;
  if (fits) return ok_status();
  return invalid("TRI-GRP-043",
                 "rank {} of tp {} x pp {} is no rank; allowed are tp and pp from 1, at most {} "
                 "ranks",
                 who.rank,
                 who.tp,
                 who.pp,
                 kMaxRanks);
}

// The part of a RankHello that is known before it arrives.
RankHello known_of(const Introduction& who) {
  RankHello hello;
  hello.group = who.group;
  hello.rank = who.rank;
  hello.tp = who.tp;
  hello.pp = who.pp;
  hello.host = who.host;
  return hello;
}

}  // namespace

Status check_seat(const Introduction& who,
                  int32_t num_groups,
                  const std::vector<Introduction>& seated) {
  RETURN_IF_ERROR(check_numbers(who, num_groups));
  for (const Introduction& other : seated) {
    if (other.rank != who.rank) continue;
    return invalid("TRI-GRP-044",
                   "group {} has a rank {} already ({}, process {}); end that job first or take "
                   "another --group",
                   who.group,
                   who.rank,
                   other.host,
                   other.pid);
  }
  if (seated.empty()) return ok_status();
  return check_same_terms(known_of(seated.front()), known_of(who));
}

}  // namespace trireme
