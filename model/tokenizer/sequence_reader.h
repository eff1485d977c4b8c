// The nesting that the four pipelines of a tokenizer.json share (normalizer, pre_tokenizer,
// decoder, post_processor): a step is an object with a `type`, and the type "Sequence" holds a list
// of further steps. Used by one thread, while loading.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "model/tokenizer/json_fields.h"

namespace trireme {

struct Pipeline {
  std::string where;          // the field of the file, in errors: "normalizer"
  std::string_view list;      // the list of its Sequence: "normalizers"
  std::string_view limit_id;  // the error id of a pipeline that is too deep or too long
};

using VisitStep = std::function<Status(const JsonFields& step, const std::string& type)>;

// Calls `visit` for every step that is not a Sequence, in the order of the file, and stops at the
// first error. At most kMaxSequenceDepth Sequences lie inside one another, at most kMaxSteps
// steps are visited, and a pipeline has at most twice as many nodes. Errors: TRI-TOK-003 (not an
// object, no type, no list), `limit_id`, and those of `visit`.
Status each_step(JsonValue value, const Pipeline& pipeline, const VisitStep& visit);

}  // namespace trireme
