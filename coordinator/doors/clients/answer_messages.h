// Conversions from the Engine's effects to the messages of the client protocol, and of request ids
// to and from their 16 bytes on the wire (high word first). Pure functions; FrontDoor calls them.
#pragma once

#include <string>
#include <string_view>

#include "coordinator/doors/clients/public_id.h"
#include "coordinator/engine/events.h"
#include "proto/client_messages.h"

namespace trireme {

std::string id_to_wire(const RequestId& id);
RequestId id_from_wire(std::string_view bytes);  // 16 bytes: the codec has checked them

door::Accepted to_message(const effect::Accept& effect,
                          const door::ModelInfo& model,
                          const PublicIdKey& public_id_key);
door::Piece to_message(effect::Tokens effect);
door::PromptLogprobs to_message(effect::PromptLogprobs effect);  // at least one entry
door::ProbeValues to_message(effect::ProbeValues effect);
door::Finished to_message(effect::Finish effect);
door::Progress to_message(const effect::Progress& effect);

}  // namespace trireme
