#include "proto/rank_agreement.h"

#include "base/text.h"

namespace trireme {

std::string describe(const KvLayoutInfo& layout) {
  return format_text(
      "{} pages of {} tokens, head_dim {}, unit {}, v order {}, scales {}, version {}",
      layout.dtype,
      layout.page_tokens,
      layout.head_dim,
      layout.unit,
      layout.v_order,
      layout.scale_bytes,
      layout.version);
}

std::vector<AgreementTerm> agreement_terms(const RankHello& hello) {
  return {{"tp x pp", format_text("{} x {}", hello.tp, hello.pp)},
          {"fingerprint", hello.fingerprint},
          {"dtype", hello.dtype},
          {"quantization", hello.quantization},
          {"invariant", hello.invariant ? "on" : "off"},
          {"backend", hello.backend},
          {"isa", hello.isa},
          {"kv_layout", describe(hello.kv_layout)},
          {"max_slots", format_text("{}", hello.max_slots)},
          {"max_batched_tokens", format_text("{}", hello.max_batched_tokens)},
          {"max_model_len", format_text("{}", hello.max_model_len)},
          {"token_buckets", join(hello.token_buckets)},
          {"row_buckets", join(hello.row_buckets)}};
}

Status check_same_terms(const RankHello& first, const RankHello& other) {
  const std::vector<AgreementTerm> of_first = agreement_terms(first);
  const std::vector<AgreementTerm> of_other = agreement_terms(other);
  for (size_t i = 0; i < of_first.size(); ++i) {
    if (of_first[i].value == of_other[i].value) continue;
    return invalid("TRI-GRP-045",
                   "ranks of group {} disagree: rank {} ({}) says {} is {}, rank {} ({}) says {}; "
                   "start all ranks with the same model and flags",
                   first.group,
                   first.rank,
                   first.host,
                   of_first[i].name,
                   of_first[i].value,
                   other.rank,
                   other.host,
                   of_other[i].value);
  }
  return ok_status();
}

}  // namespace trireme
