// The work of a thread of the tokenizer pool on one job. Pure function, any thread.
#pragma once

#include <cstdint>

#include "coordinator/doors/clients/tokenizer_job.h"
#include "model/chat/chat_format.h"
#include "model/tokenizer/tokenizer.h"

namespace trireme {

// `chat` null: the model has no template, and the door lets no chat in. `now_s`: seconds since
// 1970, for templates that write the date. Refusals name the field of the request.
TokenizerResult run_job(const TokenizerJob& job,
                        const Tokenizer& tokenizer,
                        const ChatFormat* chat,
                        int64_t now_s);

}  // namespace trireme
