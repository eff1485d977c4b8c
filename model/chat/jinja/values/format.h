// Texts made by formats: the % operator, str.format(), strftime, and HTML's escapes, with the
// origin of every byte. Functions of the render that calls them.
#pragma once

#include <string>
#include <string_view>

#include "model/chat/jinja/values/runtime.h"

namespace trireme::jinja {

// format % arguments: a tuple gives several, a dict named ones.
Value format_percent(Runtime& runtime, const Value& format, const Value& arguments);
// format.format(*args, **kwargs) in Jinja's sandbox.
Value format_braces(Runtime& runtime, const Value& format, const Args& args);
// chr(code); OverflowError: there is no such character.
std::string character_text(int64_t code);

// &, <, >, " and ' as HTML entities. The result is markup.
Value escape(Runtime& runtime, const Value& value);
Value with_markup(Runtime& runtime, const Value& text);

// datetime.strftime() of a time in seconds since 1970.
std::string format_time(std::string_view format, int64_t seconds, int64_t utc_offset_s);

}  // namespace trireme::jinja
