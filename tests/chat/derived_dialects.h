// Dialects derived from the templates of tests/data, with answers as the templates write them.
#pragma once

#include <string>
#include <vector>

#include "model/chat/dialect/dialect_finder.h"
#include "model/chat/dialect/probe_chat.h"
#include "model/chat/rendering/chat_template.h"

namespace trireme {

struct DerivedDialect {
  std::string name;  // of the file
  ChatTemplate chat_template;
  FoundDialect found;

  // The answer as it is rendered, without the end of the turn; "" if the template refuses it.
  std::string rendered(const ProbeAnswer& answer) const;
};

std::vector<std::string> template_files();
DerivedDialect derive(const std::string& file);

}  // namespace trireme
