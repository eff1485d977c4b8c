// The table of each API, put together from blocks.
#include <array>

#include "clients/gateway/api/requests/readers.h"
#include "clients/gateway/api/requests/shared_fields.h"

namespace trireme::gateway {

std::span<const FieldBlock> field_blocks(Api api) {
  static const std::array kChat = {common_fields(),
                                   chat_fields(),
                                   sampling_fields(),
                                   top_k_field(),
                                   extension_fields(),
                                   chat_extension_fields(),
                                   tuning_fields(),
                                   structure_fields()};
  static const std::array kCompletions = {common_fields(),
                                          completion_fields(),
                                          sampling_fields(),
                                          top_k_field(),
                                          extension_fields(),
                                          tuning_fields(),
                                          structure_fields()};
  static const std::array kResponses = {common_fields(),
                                        response_fields(),
                                        top_k_field(),
                                        extension_fields(),
                                        chat_extension_fields(),
                                        tuning_fields(),
                                        structure_fields()};
  static const std::array kMessages = {
      common_fields(), message_prompt_fields(), message_fields(), top_k_field()};
  static const std::array kCountTokens = {model_field(), message_prompt_fields()};
  static const std::array kTokenize = {model_field(), tokenize_fields(), chat_extension_fields()};
  static const std::array kDetokenize = {model_field(), detokenize_fields()};
  switch (api) {
    case Api::kChatCompletions:
      return kChat;
    case Api::kCompletions:
      return kCompletions;
    case Api::kResponses:
      return kResponses;
    case Api::kMessages:
      return kMessages;
    case Api::kCountTokens:
      return kCountTokens;
    case Api::kTokenize:
      return kTokenize;
    case Api::kDetokenize:
      break;
  }
  return kDetokenize;
}

}  // namespace trireme::gateway
