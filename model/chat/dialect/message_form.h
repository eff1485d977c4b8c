// Finds the form of messages that a template takes. Used by one thread, while loading.
#pragma once

#include "model/chat/rendering/chat_template.h"

namespace trireme {

// Renders probes, with tools where the template needs them, and sets the form. Arguments of calls
// are left as objects.
void find_message_form(ChatTemplate& chat_template);

}  // namespace trireme
