#include "clients/cli/verdict.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace trireme {

namespace {

using Json = nlohmann::ordered_json;

constexpr float kInfinite = std::numeric_limits<float>::infinity();
constexpr int32_t kLogitsLayer = -1;

// Rows assembled from the pieces of probe values.
class Rows {
 public:
  explicit Rows(const std::vector<door::ProbeValues>& pieces) {
    for (const door::ProbeValues& piece : pieces) {
      std::vector<float>& row = rows_[{piece.layer, piece.position}];
      row.resize(static_cast<size_t>(std::max<int64_t>(piece.num_values, 0)), std::nanf(""));
      const auto offset = static_cast<size_t>(std::max<int64_t>(piece.offset, 0));
      if (offset > row.size()) continue;
      const size_t count = std::min(piece.values.size(), row.size() - offset);
      std::copy_n(piece.values.begin(), count, row.begin() + static_cast<ptrdiff_t>(offset));
    }
  }
  // The maximum |difference| to `expected` and its index; infinite if the row is missing, of
  // another length, or holds a value that is not finite.
  float error(int32_t layer,
              int32_t position,
              const float* expected,
              int64_t count,
              size_t* where,
              float* got) const {
    *where = 0;
    *got = std::nanf("");
    const auto found = rows_.find({layer, position});
    if (found == rows_.end() || static_cast<int64_t>(found->second.size()) != count) {
      return kInfinite;
    }
    float worst = -1;
    for (int64_t i = 0; i < count; ++i) {
      const float value = found->second[static_cast<size_t>(i)];
      float error = std::abs(value - expected[i]);
      if (std::isnan(error)) error = kInfinite;
      if (error <= worst) continue;
      worst = error;
      *where = static_cast<size_t>(i);
      *got = value;
    }
    return std::max(worst, 0.0f);
  }

 private:
  std::map<std::pair<int32_t, int32_t>, std::vector<float>> rows_;
};

void judge_logits(const ReferenceSequence& reference, const Rows& rows, SequenceVerdict& verdict) {
  for (size_t row = 0; row < reference.positions.size(); ++row) {
    const float* expected = reference.logits.data() + row * reference.vocabulary;
    size_t where = 0;
    float got = 0;
    const int32_t position = reference.positions[row];
    const float error =
        rows.error(kLogitsLayer, position, expected, reference.vocabulary, &where, &got);
    if (error > verdict.tolerance && (!verdict.worst_logit || error > verdict.max_abs_error)) {
      verdict.worst_logit = {position, static_cast<int64_t>(where), expected[where], got};
    }
    verdict.max_abs_error = std::max(verdict.max_abs_error, error);
  }
}

void judge_greedy(const ReferenceSequence& reference,
                  const std::vector<TokenId>& greedy,
                  SequenceVerdict& verdict) {
  verdict.greedy_compared = reference.greedy.size();
  const auto different = first_difference(reference.greedy, greedy);
  if (!different) {
    verdict.greedy_equal = std::min(greedy.size(), reference.greedy.size());
    if (verdict.greedy_equal == verdict.greedy_compared) return;
    verdict.greedy = {verdict.greedy_equal, reference.greedy[verdict.greedy_equal], -1, 0, false};
    return;
  }
  const size_t at = *different;
  verdict.greedy_equal = at;
  const float margin =
      at < reference.greedy_margin.size() ? reference.greedy_margin[at] : kInfinite;
  const bool excused = margin <= 2 * verdict.tolerance;
  verdict.greedy = {at, reference.greedy[at], greedy[at], margin, excused};
  if (excused)
    verdict.greedy_compared = at;  // the continuations have different inputs from here on
}

// Tolerance of hidden states: the dtype's share (docs/numerics.md) of the layer's largest value.
void judge_layers(const ReferenceSequence& reference,
                  const Rows& rows,
                  DType compute,
                  SequenceVerdict& verdict) {
  const float share = compute == DType::kFloat32 ? kFloat32Tolerance : kBFloat16Tolerance;
  const auto tokens = static_cast<int64_t>(reference.input_ids.size());
  for (int64_t layer = 0; layer < reference.hidden_rows && !verdict.layer; ++layer) {
    const float* expected = reference.hidden_states.data() + layer * tokens * reference.hidden_size;
    float largest = 0;
    for (int64_t i = 0; i < tokens * reference.hidden_size; ++i) {
      largest = std::max(largest, std::abs(expected[i]));
    }
    for (int64_t t = 0; t < tokens; ++t) {
      size_t where = 0;
      float got = 0;
      const float error = rows.error(static_cast<int32_t>(layer),
                                     static_cast<int32_t>(t),
                                     expected + t * reference.hidden_size,
                                     reference.hidden_size,
                                     &where,
                                     &got);
      if (error <= share * largest) continue;
      verdict.layer = {layer, static_cast<int32_t>(t), error, share * largest};
      break;
    }
  }
}

Json number(float value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json difference_json(const SequenceVerdict& verdict) {
  Json json = {{"sequence", verdict.name}};
  if (verdict.layer) {
    json["layer"] = verdict.layer->layer;
    json["layer_position"] = verdict.layer->position;
    json["layer_max_abs_error"] = number(verdict.layer->max_abs_error);
    json["layer_tolerance"] = verdict.layer->tolerance;
  }
  if (verdict.worst_logit) {
    json["position"] = verdict.worst_logit->position;
    json["token_id"] = verdict.worst_logit->token_id;
    json["expected_logit"] = number(verdict.worst_logit->expected);
    json["logit"] = number(verdict.worst_logit->got);
  }
  if (verdict.greedy) {
    json["greedy_index"] = verdict.greedy->index;
    json["expected_token_id"] = verdict.greedy->expected;
    json["greedy_token_id"] = verdict.greedy->got;
    json["margin"] = number(verdict.greedy->margin);
    json["within_margin"] = verdict.greedy->excused;
  }
  return json;
}

}  // namespace

double SequenceVerdict::strain() const {
  if (tolerance > 0) return static_cast<double>(max_abs_error) / tolerance;
  return max_abs_error > 0 ? std::numeric_limits<double>::infinity() : 0;
}

size_t drop_beyond(std::vector<ReferenceSequence>& sequences, int64_t longest) {
  size_t dropped = 0;
  for (ReferenceSequence& sequence : sequences) {
    const int64_t room = longest - static_cast<int64_t>(sequence.input_ids.size());
    const auto kept =
        std::min(sequence.greedy.size(), static_cast<size_t>(std::max<int64_t>(room, 0)));
    dropped += sequence.greedy.size() - kept;
    sequence.greedy.resize(kept);
    sequence.greedy_margin.resize(std::min(sequence.greedy_margin.size(), kept));
  }
  return dropped;
}

SequenceVerdict judge(const ReferenceSequence& reference,
                      const std::vector<door::ProbeValues>& pieces,
                      const std::vector<TokenId>& greedy,
                      DType compute) {
  SequenceVerdict verdict;
  verdict.name = reference.name;
  verdict.num_tokens = reference.input_ids.size();
  verdict.num_positions = reference.positions.size();
  verdict.max_abs_logit = reference.largest_logit();
  verdict.tolerance = reference.tolerance(compute);
  const Rows rows(pieces);
  judge_logits(reference, rows, verdict);
  judge_greedy(reference, greedy, verdict);
  const bool localized =
      std::ranges::any_of(pieces, [](const door::ProbeValues& piece) { return piece.layer >= 0; });
  if (localized) judge_layers(reference, rows, compute, verdict);
  return verdict;
}

Json verdict_json(const std::vector<SequenceVerdict>& verdicts) {
  size_t positions = 0;
  size_t compared = 0;
  size_t equal = 0;
  const SequenceVerdict* worst = &verdicts.front();
  const SequenceVerdict* different = nullptr;
  bool passed = true;
  for (const SequenceVerdict& verdict : verdicts) {
    positions += verdict.num_positions;
    compared += verdict.greedy_compared;
    equal += verdict.greedy_equal;
    if (verdict.strain() > worst->strain()) worst = &verdict;
    // The most specific difference: a layer, else a failure, else an excused token.
    const bool tells_more =
        different == nullptr || std::pair(verdict.layer.has_value(), !verdict.passed()) >
                                    std::pair(different->layer.has_value(), !different->passed());
    if ((verdict.layer || verdict.greedy || !verdict.passed()) && tells_more) different = &verdict;
    passed = passed && verdict.passed();
  }
  Json json = {{"passed", passed},
               {"sequences", verdicts.size()},
               {"positions", positions},
               {"max_abs_error", number(worst->max_abs_error)},
               {"max_abs_logit", worst->max_abs_logit},
               {"tolerance", worst->tolerance},
               {"greedy_tokens", compared},
               {"greedy_equal", equal}};
  if (different != nullptr) json["first_difference"] = difference_json(*different);
  return json;
}

std::string describe_difference(const SequenceVerdict& verdict) {
  std::string text;
  const auto add = [&](const std::string& words) { text += (text.empty() ? "" : "; ") + words; };
  if (const auto& layer = verdict.layer) {
    add(format_text(
        "the first layer that differs is {}{}, at position {}: error {:g}, allowed {:g}",
        layer->layer,
        layer->layer == 0 ? " (the embedding)" : "",
        layer->position,
        layer->max_abs_error,
        layer->tolerance));
  }
  if (const auto& logit = verdict.worst_logit) {
    add(format_text("position {}, token id {}: the logit is {:g}, expected {:g}",
                    logit->position,
                    logit->token_id,
                    logit->got,
                    logit->expected));
  }
  if (const auto& greedy = verdict.greedy) {
    add(greedy->got < 0 ? format_text("the continuation ends after {} tokens", greedy->index)
                        : format_text("greedy token {} is {}, expected {} (margin {:g}{}",
                                      greedy->index,
                                      greedy->got,
                                      greedy->expected,
                                      greedy->margin,
                                      greedy->excused ? ": too close to tell)" : ")"));
  }
  return text;
}

}  // namespace trireme
