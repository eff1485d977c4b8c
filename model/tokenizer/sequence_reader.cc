#include "model/tokenizer/sequence_reader.h"

#include "model/tokenizer/limits.h"

namespace trireme {
namespace {

class Walk {
 public:
  Walk(const Pipeline& pipeline, const VisitStep& visit) : pipeline_(pipeline), visit_(visit) {}

  Status step(JsonValue value, int depth) {
    ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::read(value, pipeline_.where));
    ASSIGN_OR_RETURN(const std::string type, fields.string("type"));
    if (depth > kMaxSequenceDepth || num_steps_ >= kMaxSteps || ++num_nodes_ > 2 * kMaxSteps) {
      return invalid(pipeline_.limit_id,
                     "{} has more than {} levels or {} steps",
                     pipeline_.where,
                     kMaxSequenceDepth,
                     kMaxSteps);
    }
    if (type == "Sequence") {
      ASSIGN_OR_RETURN(const JsonValue list, fields.array(pipeline_.list));
      return list.each([&](JsonValue item) { return step(item, depth + 1); });
    }
    ++num_steps_;
    return visit_(fields, type);
  }

 private:
  const Pipeline& pipeline_;
  const VisitStep& visit_;
  size_t num_steps_ = 0;
  size_t num_nodes_ = 0;  // steps and Sequences: empty Sequences must not make a file endless
};

}  // namespace

Status each_step(JsonValue value, const Pipeline& pipeline, const VisitStep& visit) {
  return Walk(pipeline, visit).step(value, 0);
}

}  // namespace trireme
