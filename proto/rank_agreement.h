// The settings in which all ranks of a group must agree, and their comparison: steps of unequal
// sizes would deadlock, or write past a peer's memory. Pure functions of RankHello, used when the
// coordinator seats a rank (only tp and pp are known), when ranks are about to warm up together
// (pages are not known yet), and when a rank announces itself (everything is known). A field that
// is not known yet keeps its default in both messages, so that it compares equal.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "proto/step_messages.h"

namespace trireme {

struct AgreementTerm {
  const char* name;
  std::string value;
};
// All fields of RankHello but rank, host, pid, pages and previous_life. The group is not among
// them: it is the scope of the comparison.
std::vector<AgreementTerm> agreement_terms(const RankHello& hello);

// TRI-GRP-045: names the first term that differs, both ranks and both values.
Status check_same_terms(const RankHello& first, const RankHello& other);

// One line of text for people and for comparison.
std::string describe(const KvLayoutInfo& layout);

}  // namespace trireme
