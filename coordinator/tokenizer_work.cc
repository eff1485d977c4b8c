#include "coordinator/tokenizer_work.h"

#include <utility>

#include "base/utf8.h"
#include "model/tokenizer/detokenizer.h"

namespace trireme {

// Blames `field` unless the status already names another.
static Status blame(Status status, const char* field) {
  return field_of(status).empty() ? with_field(std::move(status), field) : status;
}

static void encode_text(const TextToEncode& text,
                        const Tokenizer& tokenizer,
                        TokenizerResult& result) {
  auto ids = tokenizer.encode(text.text, EncodeOptions{text.add_special, true});
  result.status = blame(ids.status(), "text");
  if (ids.ok()) result.ids = std::move(*ids);
}

static void encode_chat(const ChatRequest& request,
                        const ChatFormat* chat,
                        int64_t now_s,
                        TokenizerResult& result) {
  if (chat == nullptr) {
    result.status = invalid("TRI-CHAT-001", "the model has no chat template");
    return;
  }
  auto prompt = chat->prompt_of(request, now_s);
  result.status = blame(prompt.status(), "messages");
  if (!prompt.ok()) return;
  result.ids = std::move(prompt->ids);
  result.format = std::move(prompt->format);
}

// Stops where the answer becomes too large.
static void decode_ids(const IdsToDecode& ids,
                       const Tokenizer& tokenizer,
                       TokenizerResult& result) {
  Detokenizer detokenizer(tokenizer, ids.skip_special);
  for (const TokenId id : ids.ids) {
    result.text += detokenizer.push(id);
    result.status = check_answer_bytes(static_cast<int64_t>(result.text.size()));
    if (!result.status.ok()) return;
  }
  result.text += detokenizer.finish();
}

static void add_pieces(const Tokenizer& tokenizer, TokenizerResult& result) {
  int64_t bytes = wire_bytes_of(result);
  for (const TokenId id : result.ids) {
    result.pieces.push_back(to_utf8_lossy(tokenizer.piece(id)));
    bytes += kWirePieceBytes + static_cast<int64_t>(result.pieces.back().size());
    result.status = check_answer_bytes(bytes);
    if (!result.status.ok()) return;
  }
}

TokenizerResult run_job(const TokenizerJob& job,
                        const Tokenizer& tokenizer,
                        const ChatFormat* chat,
                        int64_t now_s) {
  TokenizerResult result;
  result.job = job.number;
  if (const auto* text = std::get_if<TextToEncode>(&job.work)) {
    encode_text(*text, tokenizer, result);
  } else if (const auto* request = std::get_if<ChatRequest>(&job.work)) {
    encode_chat(*request, chat, now_s, result);
  } else {
    decode_ids(std::get<IdsToDecode>(job.work), tokenizer, result);
  }
  if (!job.is_question) return result;
  if (result.status.ok()) result.status = check_answer_bytes(wire_bytes_of(result));
  if (result.status.ok() && job.want_pieces) add_pieces(tokenizer, result);
  if (!result.status.ok()) {  // nobody reads the rest
    result.ids = {};
    result.pieces = {};
    result.text = {};
  }
  return result;
}

}  // namespace trireme
