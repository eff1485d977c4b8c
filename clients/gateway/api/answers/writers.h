// The writers of answers, one per form.
#pragma once

#include <memory>

#include "clients/gateway/api/answer_writer.h"
#include "clients/gateway/api/answers/answer_options.h"

namespace trireme::gateway {

std::unique_ptr<AnswerWriter> make_chat_writer(AnswerOptions options);
std::unique_ptr<AnswerWriter> make_completion_writer(AnswerOptions options);
std::unique_ptr<AnswerWriter> make_response_writer(AnswerOptions options);
std::unique_ptr<AnswerWriter> make_message_writer(AnswerOptions options);

}  // namespace trireme::gateway
