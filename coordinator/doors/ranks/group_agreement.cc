#include "coordinator/doors/ranks/group_agreement.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "proto/rank_agreement.h"

namespace trireme {
namespace {

Status check_counts(const RankHello& hello) {
  const auto positive = {std::pair<const char*, int64_t>("pages", hello.pages),
                         {"max_slots", hello.max_slots},
                         {"max_batched_tokens", hello.max_batched_tokens},
                         {"max_model_len", hello.max_model_len},
                         {"page_tokens", hello.kv_layout.page_tokens}};
  for (const auto& [name, value] : positive) {
    if (value > 0) continue;
    return invalid(
        "TRI-GRP-052",
        "rank {} ({}) announces {} {}, at least 1 is needed; give it more memory (--kv-memory)",
        hello.rank,
        hello.host,
        name,
        value);
  }
  for (const auto* buckets : {&hello.token_buckets, &hello.row_buckets}) {
    if (std::ranges::is_sorted(*buckets)) continue;
    return invalid("TRI-GRP-052",
                   "rank {} ({}) announces buckets that do not ascend: {}; coordinator and workers "
                   "must be of one version",
                   hello.rank,
                   hello.host,
                   join(*buckets));
  }
  return ok_status();
}

}  // namespace

Status check_agreement(const std::vector<const RankHello*>& hellos,
                       const std::string& fingerprint) {
  for (const RankHello* hello : hellos) {
    RETURN_IF_ERROR(check_counts(*hello));
    RETURN_IF_ERROR(check_same_terms(*hellos.front(), *hello));
  }
  if (hellos.empty() || fingerprint.empty()) return ok_status();
  const RankHello& first = *hellos.front();
  if (first.fingerprint == fingerprint) return ok_status();
  return invalid("TRI-GRP-040",
                 "rank {} ({}) has loaded a model of fingerprint {}, the coordinator serves {}; "
                 "copy the same model folder to every host",
                 first.rank,
                 first.host,
                 first.fingerprint,
                 fingerprint);
}

GroupShape shape_of(const std::vector<const RankHello*>& hellos) {
  const RankHello& first = *hellos.front();
  int64_t pages = std::numeric_limits<int32_t>::max();
  for (const RankHello* hello : hellos) pages = std::min(pages, hello->pages);
  GroupShape shape;
  shape.num_pages = static_cast<int32_t>(pages);
  shape.page_tokens = first.kv_layout.page_tokens;
  shape.max_slots = first.max_slots;
  shape.num_stages = first.pp;
  shape.max_batched_tokens = first.max_batched_tokens;
  shape.max_model_len =
      static_cast<int32_t>(std::min<int64_t>(first.max_model_len, pages * shape.page_tokens));
  shape.invariant = first.invariant;
  shape.token_buckets = first.token_buckets;
  shape.row_buckets = first.row_buckets;
  const std::vector<std::string> parts = {first.fingerprint,
                                          first.dtype,
                                          first.quantization,
                                          describe(first.kv_layout),
                                          first.invariant ? "invariant" : "fast",
                                          first.backend,
                                          first.isa};
  shape.compatibility = join(parts, "; ");
  return shape;
}

}  // namespace trireme
