#include "clients/cli/explain/error_pages.h"

namespace trireme {

namespace {

constexpr ErrorPage kPages[] = {
    {"TRI-TOK-001",
     "tokenizer.json cannot be read.",
     "There is none, it is a folder, or its permissions keep you out.",
     "Check the path; a model without tokenizer.json takes token ids only."},
    {"TRI-TOK-002",
     "tokenizer.json is not strict JSON.",
     "The download stopped half-way, or the file was edited by hand.",
     "Fetch the file again; the message names the byte."},
    {"TRI-TOK-003",
     "A field of tokenizer.json is missing, doubled, or of the wrong kind.",
     "The file was edited or belongs to a newer format.",
     "The message names the field; take the publisher's file."},
    {"TRI-TOK-004",
     "The kind of tokenizer is not supported.",
     "Its model is WordPiece, Unigram or another one than BPE.",
     "Send token ids instead of text until that kind is built."},
    {"TRI-TOK-005",
     "The vocabulary is not usable.",
     "Two tokens with one id, ids outside the allowed range, or far more tokens than a "
     "vocabulary has.",
     "Take the publisher's tokenizer.json."},
    {"TRI-TOK-006",
     "The list of merges is not usable.",
     "A merge is malformed or makes a token that is not in the vocabulary.",
     "Take the publisher's tokenizer.json; the message names the merge."},
    {"TRI-TOK-007",
     "An added token is not usable.",
     "It is empty, very long, or clashes with another one.",
     "Take the publisher's tokenizer.json; the message names the token."},
    {"TRI-TOK-008",
     "A normaliser of tokenizer.json is not supported.",
     "Its type is not built, or it nests absurdly deep.",
     "The message lists those that are; send token ids instead of text."},
    {"TRI-TOK-009",
     "A pre-tokeniser of tokenizer.json is not supported.",
     "Its type or one of its options is not built.",
     "The message lists those that are; send token ids instead of text."},
    {"TRI-TOK-010",
     "A pattern of tokenizer.json is not supported.",
     "It does not compile, is very long, or uses syntax whose meaning differs between "
     "engines.",
     "The message shows the place; send token ids instead of text."},
    {"TRI-TOK-011",
     "The post-processor of tokenizer.json is not supported.",
     "Its type is not built, or its template is malformed.",
     "The message names the part; --no-special leaves the post-processor out."},
    {"TRI-TOK-012",
     "The decoder of tokenizer.json is not supported.",
     "Its steps or their order are not built.",
     "The message names the step; ask for token ids instead of text."},
    {"TRI-TOK-013",
     "tokenizer.json is larger than any real one.",
     "The path leads to another file, or the file is damaged.",
     "Check the path; at most 1 GiB is read."},
    {"TRI-TOK-014",
     "A text takes the tokeniser's pattern too many steps.",
     "The text was made to be slow to match, or the pattern of this model is.",
     "Shorten or split the text at the place in the message."},
    {"TRI-TOK-015",
     "The text is too long for the tokeniser.",
     "It is, or a normaliser makes it grow beyond the limit.",
     "Shorten the text, or send token ids."},
    {"TRI-TOK-016",
     "An option of the tokeniser's model is not supported.",
     "The model has dropout, or an unknown token that is not in its vocabulary.",
     "Take the publisher's tokenizer.json; the message names the option."},
};

}  // namespace

std::span<const ErrorPage> tokenizer_error_pages() { return kPages; }

}  // namespace trireme
