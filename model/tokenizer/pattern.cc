#include "model/tokenizer/pattern.h"

namespace trireme {

StatusOr<Pattern> Pattern::read(JsonValue value, const std::string& where) {
  ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::read(value, where));
  if (fields.find("Regex")) {
    ASSIGN_OR_RETURN(const std::string expression, fields.string("Regex"));
    return regex(expression);
  }
  ASSIGN_OR_RETURN(std::string literal, fields.string("String"));
  return text(std::move(literal));
}

Pattern Pattern::text(std::string literal) {
  Pattern pattern;
  pattern.literal_ = std::move(literal);
  return pattern;
}

StatusOr<Pattern> Pattern::regex(std::string_view expression) {
  Pattern pattern;
  ASSIGN_OR_RETURN(pattern.regex_, Regex::compile(expression));
  return pattern;
}

Status Pattern::find_all(std::string_view text,
                         RegexScratch& scratch,
                         std::vector<Match>& out) const {
  out.clear();
  if (regex_) return regex_->find_all(text, scratch, out);
  if (literal_.empty()) return ok_status();
  for (size_t at = text.find(literal_); at != std::string_view::npos;
       at = text.find(literal_, at + literal_.size())) {
    out.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(at + literal_.size())});
  }
  return ok_status();
}

}  // namespace trireme
