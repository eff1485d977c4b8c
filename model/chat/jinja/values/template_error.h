// How rendering ends and the time that it shows. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace trireme {

// An error under the name that it has in Python: "TemplateSyntaxError", "UndefinedError",
// "TemplateError" (raise_exception, whose words are the message), "TypeError" and so on. A reached
// limit has the type "LimitError" and is_limit.
struct TemplateError {
  std::string type;
  std::string message;
  int line = 0;    // from 1; 0: unknown
  int column = 0;  // from 1, in characters; 0: unknown
  bool is_limit = false;
};

struct RenderOptions {
  int64_t now_s = 0;         // strftime_now: seconds since 1970; shown as UTC
  int64_t utc_offset_s = 0;  // added to now_s before it is shown
};

// "2024-07-05T09:04:07", or a date alone, as seconds since 1970 (UTC). False: another form.
bool seconds_of_iso_time(std::string_view text, int64_t& seconds);

}  // namespace trireme
