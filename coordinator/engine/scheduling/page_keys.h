// Keys of full pages: BLAKE2b-128 of the page's tokens, keyed by the parent page's key. The first
// parent hashes the model's fingerprint, the principal and the request's salt: requests that differ
// in one of them never share pages.
#pragma once

#include <span>
#include <string>

#include "coordinator/engine/scheduling/page_pool.h"
#include "model/token.h"

namespace trireme {

PageKey first_parent(const std::string& fingerprint,
                     const std::string& principal,
                     const std::string& salt);
PageKey page_key(const PageKey& parent, std::span<const TokenId> tokens);

}  // namespace trireme
