// Keys of full pages: BLAKE2b-128 of the page's tokens, keyed by the parent page's key. The first
// parent hashes the model's salt and the principal, so that principals never share pages.
#pragma once

#include <span>
#include <string>

#include "coordinator/engine/page_pool.h"
#include "model/token.h"

namespace trireme {

PageKey first_parent(const std::string& salt, const std::string& principal);
PageKey page_key(const PageKey& parent, std::span<const TokenId> tokens);

}  // namespace trireme
