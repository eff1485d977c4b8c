#include "model/tokenizer/post_processor.h"

#include "model/tokenizer/sequence_reader.h"

namespace trireme {
namespace {

constexpr size_t kMaxIds = 256;    // ids added to one sequence
constexpr size_t kMaxPieces = 16;  // of a template; published ones have up to 3

class Reader {
 public:
  Reader(const Vocabulary& vocabulary, PostProcessor& out) : vocabulary_(vocabulary), out_(out) {}

  Status read(const JsonFields& fields, const std::string& type) {
    if (type == "ByteLevel") return ok_status();  // changes offsets only
    if (type == "TemplateProcessing") return read_template(fields);
    if (type == "BertProcessing" || type == "RobertaProcessing") return read_bert(fields);
    return invalid("TRI-TOK-011",
                   "post-processor \"{}\" is not supported; supported are TemplateProcessing, "
                   "ByteLevel, BertProcessing, RobertaProcessing, Sequence",
                   type.substr(0, 80));
  }

 private:
  Status append_id(JsonValue value, std::vector<TokenId>& ids) {
    int64_t id = -1;
    if (!value.is(JsonValue::Kind::kNumber) || !value.integer(id) || id < 0 || id > INT32_MAX ||
        !vocabulary_.has(static_cast<TokenId>(id))) {
      return invalid("TRI-TOK-011",
                     "the post-processor inserts id {}, which is no token; ids must be in the "
                     "vocabulary or among added_tokens",
                     id);
    }
    if (++num_ids_ > kMaxIds) {
      return invalid("TRI-TOK-011", "the post-processor inserts more than {} ids", kMaxIds);
    }
    ids.push_back(static_cast<TokenId>(id));
    return ok_status();
  }

  // Wraps the ids of the earlier steps of a Sequence.
  void wrap(const std::vector<TokenId>& before, const std::vector<TokenId>& after) {
    out_.before.insert(out_.before.begin(), before.begin(), before.end());
    out_.after.insert(out_.after.end(), after.begin(), after.end());
  }

  // {"single": [{"SpecialToken": {"id": NAME}} | {"Sequence": {"id": "A"}} ...],
  //  "special_tokens": {NAME: {"ids": [...]}}}
  Status read_template(const JsonFields& fields) {
    ASSIGN_OR_RETURN(const JsonValue single, fields.array("single"));
    std::vector<TokenId> before;
    std::vector<TokenId> after;
    bool has_sequence = false;
    size_t num_pieces = 0;
    RETURN_IF_ERROR(single.each([&](JsonValue item) -> Status {
      if (++num_pieces > kMaxPieces) {
        return invalid("TRI-TOK-011", "the template has more than {} pieces", kMaxPieces);
      }
      ASSIGN_OR_RETURN(const JsonFields piece, JsonFields::read(item, fields.where() + ".single"));
      if (const JsonValue* special = piece.find("SpecialToken")) {
        return append_special(*special, fields, has_sequence ? after : before);
      }
      ASSIGN_OR_RETURN(const JsonValue sequence, piece.at("Sequence"));
      ASSIGN_OR_RETURN(const JsonFields part,
                       JsonFields::read(sequence, fields.where() + ".single.Sequence"));
      ASSIGN_OR_RETURN(const std::string name, part.string("id"));
      if (name != "A" || has_sequence) {
        return invalid("TRI-TOK-011",
                       "the template for one sequence names ${}{}; it must name $A once",
                       name.substr(0, 20),
                       has_sequence ? " again" : "");
      }
      has_sequence = true;
      return ok_status();
    }));
    if (!has_sequence) {
      return invalid("TRI-TOK-011",
                     "the template for one sequence leaves it out; it must name $A once");
    }
    wrap(before, after);
    return ok_status();
  }

  Status append_special(JsonValue piece, const JsonFields& fields, std::vector<TokenId>& ids) {
    ASSIGN_OR_RETURN(const JsonFields named,
                     JsonFields::read(piece, fields.where() + ".single.SpecialToken"));
    ASSIGN_OR_RETURN(const std::string name, named.string("id"));
    ASSIGN_OR_RETURN(const JsonValue table, fields.at("special_tokens"));
    ASSIGN_OR_RETURN(const JsonFields tokens,
                     JsonFields::read(table, fields.where() + ".special_tokens"));
    ASSIGN_OR_RETURN(const JsonValue entry, tokens.at(name));
    ASSIGN_OR_RETURN(const JsonFields token,
                     JsonFields::read(entry, fields.where() + ".special_tokens." + name));
    ASSIGN_OR_RETURN(const JsonValue list, token.array("ids"));
    return list.each([&](JsonValue id) { return append_id(id, ids); });
  }

  // {"cls": [TEXT, ID], "sep": [TEXT, ID]}
  Status read_bert(const JsonFields& fields) {
    std::vector<TokenId> before;
    std::vector<TokenId> after;
    RETURN_IF_ERROR(read_pair(fields, "cls", before));
    RETURN_IF_ERROR(read_pair(fields, "sep", after));
    wrap(before, after);
    return ok_status();
  }

  Status read_pair(const JsonFields& fields, std::string_view name, std::vector<TokenId>& ids) {
    ASSIGN_OR_RETURN(const JsonValue pair, fields.array(name));
    int index = 0;
    RETURN_IF_ERROR(pair.each(
        [&](JsonValue item) { return index++ == 1 ? append_id(item, ids) : ok_status(); }));
    if (index == 2) return ok_status();
    return invalid(
        "TRI-TOK-003", "tokenizer field {}.{} must be a text and an id", fields.where(), name);
  }

  const Vocabulary& vocabulary_;
  PostProcessor& out_;
  size_t num_ids_ = 0;
};

}  // namespace

StatusOr<PostProcessor> PostProcessor::read(JsonValue value, const Vocabulary& vocabulary) {
  PostProcessor result;
  Reader reader(vocabulary, result);
  RETURN_IF_ERROR(each_step(value,
                            {"post_processor", "processors", "TRI-TOK-011"},
                            [&](const JsonFields& fields, const std::string& type) {
                              return reader.read(fields, type);
                            }));
  return result;
}

}  // namespace trireme
