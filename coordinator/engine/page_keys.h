// Names of full pages: keyed BLAKE2b-128 over the parent's name and the page's tokens. The first
// parent carries model version, adapter and the principal's salt, so that pages of different owners
// of a secret never meet.
#pragma once

#include <span>
#include <string>

#include "coordinator/engine/page_pool.h"
#include "model/token.h"

namespace trireme {

PageKey first_parent(const std::string& salt, const std::string& principal);
PageKey page_key(const PageKey& parent, std::span<const TokenId> tokens);

}  // namespace trireme
