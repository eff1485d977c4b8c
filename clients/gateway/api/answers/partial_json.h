// An object whose JSON text may have been cut: the arguments of a call at which the answer reached
// its maximum length. Pure function.
#pragma once

#include <string>
#include <string_view>

namespace trireme::gateway {

// `text` where it is an object; else the object of the members that are whole in it, so that a
// reader finds what was said before the cut. "{}": none.
std::string whole_object(std::string_view text);

}  // namespace trireme::gateway
