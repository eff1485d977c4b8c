#include "worker/group_terms.h"

#include <array>
#include <cstring>
#include <span>

#include "worker/comm/host_collectives.h"

namespace trireme {
namespace {

constexpr size_t kTermBytes = 80;  // of a value, cut off there
using Value = std::array<char, kTermBytes>;

}  // namespace

Status agree_on_terms(Comm& comm, const GroupTerms& terms) {
  std::vector<Value> own(terms.size());
  for (size_t i = 0; i < terms.size(); ++i) {
    own[i].fill('\0');
    terms[i].second.copy(own[i].data(), kTermBytes - 1);
  }
  std::vector<Value> all(own.size() * comm.size());
  RETURN_IF_ERROR(
      share_with_all(comm, std::as_bytes(std::span(own)), std::as_writable_bytes(std::span(all))));
  for (int rank = 1; rank < comm.size(); ++rank) {
    for (size_t i = 0; i < terms.size(); ++i) {
      const Value& other = all[rank * terms.size() + i];
      if (other == all[i]) continue;
      return invalid("TRI-GRP-045",
                     "ranks of the group disagree: rank 0 says {} is {}, rank {} says {}; start "
                     "all ranks with the same model and flags",
                     terms[i].first,
                     all[i].data(),
                     rank,
                     other.data());
    }
  }
  return ok_status();
}

}  // namespace trireme
