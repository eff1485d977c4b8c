#include "coordinator/doors/group_agreement.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace trireme {
namespace {

using NamedValues = std::vector<std::pair<const char*, std::string>>;

std::string describe(const KvLayoutInfo& kv) {
  return concat(kv.dtype,
                " pages of ",
                kv.page_tokens,
                " tokens, head_dim ",
                kv.head_dim,
                ", unit ",
                kv.unit,
                ", v order ",
                kv.v_order,
                ", scales ",
                kv.scale_bytes,
                ", version ",
                kv.version);
}

NamedValues must_agree(const RankHello& hello) {
  return {{"fingerprint", hello.fingerprint},
          {"dtype", hello.dtype},
          {"quantization", hello.quantization},
          {"invariant", hello.invariant ? "on" : "off"},
          {"backend", hello.backend},
          {"isa", hello.isa},
          {"kv_layout", describe(hello.kv_layout)},
          {"max_slots", concat(hello.max_slots)},
          {"max_batched_tokens", concat(hello.max_batched_tokens)},
          {"max_model_len", concat(hello.max_model_len)},
          {"token_buckets", join(hello.token_buckets)},
          {"row_buckets", join(hello.row_buckets)}};
}

Status compare(const RankHello& a, const RankHello& b) {
  const NamedValues of_a = must_agree(a);
  const NamedValues of_b = must_agree(b);
  for (size_t i = 0; i < of_a.size(); ++i) {
    if (of_a[i].second == of_b[i].second) continue;
    return invalid("TRI-GRP-045",
                   "ranks of group ",
                   a.group,
                   " disagree: rank ",
                   a.rank,
                   " (",
                   a.host,
                   ") says ",
                   of_a[i].first,
                   " is ",
                   of_a[i].second,
                   ", rank ",
                   b.rank,
                   " (",
                   b.host,
                   ") says ",
                   of_b[i].second,
                   "; start all ranks with the same model and flags");
  }
  return ok_status();
}

Status check_counts(const RankHello& hello) {
  const auto positive = {std::pair<const char*, int64_t>("pages", hello.pages),
                         {"max_slots", hello.max_slots},
                         {"max_batched_tokens", hello.max_batched_tokens},
                         {"max_model_len", hello.max_model_len},
                         {"page_tokens", hello.kv_layout.page_tokens}};
  for (const auto& [name, value] : positive) {
    if (value > 0) continue;
    return invalid("TRI-GRP-052",
                   "rank ",
                   hello.rank,
                   " (",
                   hello.host,
                   ") announces ",
                   name,
                   " ",
                   value,
                   ", at least 1 is needed; give it more memory (--kv-memory)");
  }
  for (const auto* buckets : {&hello.token_buckets, &hello.row_buckets}) {
    if (std::ranges::is_sorted(*buckets)) continue;
    return invalid("TRI-GRP-052",
                   "rank ",
                   hello.rank,
                   " (",
                   hello.host,
                   ") announces buckets that do not ascend: ",
                   join(*buckets),
                   "; coordinator and workers must be of one version");
  }
  return ok_status();
}

}  // namespace

Status check_agreement(const std::vector<const RankHello*>& hellos,
                       const std::string& fingerprint) {
  for (const RankHello* hello : hellos) {
    RETURN_IF_ERROR(check_counts(*hello));
    RETURN_IF_ERROR(compare(*hellos.front(), *hello));
  }
  if (hellos.empty() || fingerprint.empty()) return ok_status();
  const RankHello& first = *hellos.front();
  if (first.fingerprint == fingerprint) return ok_status();
  return invalid("TRI-GRP-040",
                 "rank ",
                 first.rank,
                 " (",
                 first.host,
                 ") has loaded a model of fingerprint ",
                 first.fingerprint,
                 ", the coordinator serves ",
                 fingerprint,
                 "; copy the same model folder to every host");
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
