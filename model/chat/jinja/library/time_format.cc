// strftime() of the C locale, and ISO times.
#include <charconv>
#include <ctime>

#include "model/chat/jinja/values/format.h"
#include "model/chat/jinja/values/template_error.h"

namespace trireme {

namespace {

// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (Hinnant, chrono-compatible
// low-level date algorithms: years begin in March, eras have 400 years).
int64_t days_of_date(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

struct Date {
  int64_t year = 1970;
  int month = 1;
  int day = 1;
};

Date date_of_days(int64_t days) {
  days += 719468;
  const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const int64_t day_of_era = days - era * 146097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * day_of_year + 2) / 153;
  Date date;
  date.day = static_cast<int>(day_of_year - (153 * shifted + 2) / 5 + 1);
  date.month = static_cast<int>(shifted < 10 ? shifted + 3 : shifted - 9);
  date.year = year_of_era + era * 400 + (date.month <= 2 ? 1 : 0);
  return date;
}

std::tm calendar_time(int64_t seconds) {
  int64_t days = seconds / 86400;
  int64_t rest = seconds % 86400;
  if (rest < 0) {
    rest += 86400;
    --days;
  }
  const Date date = date_of_days(days);
  std::tm time = {};
  time.tm_year = static_cast<int>(date.year - 1900);
  time.tm_mon = date.month - 1;
  time.tm_mday = date.day;
  time.tm_hour = static_cast<int>(rest / 3600);
  time.tm_min = static_cast<int>(rest / 60 % 60);
  time.tm_sec = static_cast<int>(rest % 60);
  time.tm_wday = static_cast<int>(((days + 4) % 7 + 7) % 7);
  time.tm_yday = static_cast<int>(days - days_of_date(date.year, 1, 1));
  return time;
}

// Reads `digits` digits. False: there are fewer.
bool read_digits(std::string_view& text, size_t digits, int64_t& out) {
  if (text.size() < digits) return false;
  const char* end = text.data() + digits;
  if (text[0] == '-' || std::from_chars(text.data(), end, out).ptr != end) return false;
  text.remove_prefix(digits);
  return true;
}

bool read_char(std::string_view& text, std::string_view choices) {
  if (text.empty() || choices.find(text[0]) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

bool seconds_of_iso_time(std::string_view text, int64_t& seconds) {
  int64_t year = 0;
  int64_t month = 0;
  int64_t day = 0;
  int64_t hour = 0;
  int64_t minute = 0;
  int64_t second = 0;
  const bool has_date = read_digits(text, 4, year) && read_char(text, "-") &&
                        read_digits(text, 2, month) && read_char(text, "-") &&
                        read_digits(text, 2, day);
  if (!has_date || year < 1 || month < 1 || month > 12 || day < 1 || day > 31) return false;
  if (!text.empty()) {
    const bool has_time = read_char(text, "T ") && read_digits(text, 2, hour) &&
                          read_char(text, ":") && read_digits(text, 2, minute);
    if (!has_time || hour > 23 || minute > 59) return false;
    if (read_char(text, ":") && (!read_digits(text, 2, second) || second > 59)) return false;
    read_char(text, "Z");
    if (!text.empty()) return false;
  }
  seconds = days_of_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
  return true;
}

namespace jinja {

std::string format_time(std::string_view format, int64_t seconds, int64_t utc_offset_s) {
  constexpr int64_t kLatest = 253402300799;  // the end of year 9999
  constexpr int64_t kEarliest = -62135596800;
  const int64_t shown = seconds + utc_offset_s;
  const std::tm time = calendar_time(shown < kEarliest ? kEarliest
                                     : shown > kLatest ? kLatest
                                                       : shown);
  constexpr std::string_view kCodes = "aAbBcCdDeFgGhHIjklmMnprRstSTuUVwWxXyYzZ%";
  std::string out;
  for (size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%' || at + 1 == format.size()) {
      out += format[at];
      continue;
    }
    ++at;
    std::string code = "%";
    if (format[at] == '-' && at + 1 < format.size()) code += format[at++];  // without padding
    code += format[at];
    if (format[at] == 'f') {
      out += "000000";
    } else if (format[at] == 's') {
      out += std::to_string(seconds);
    } else if (format[at] == 'z' || format[at] == 'Z') {
      continue;  // the time has no zone
    } else if (kCodes.find(format[at]) == std::string_view::npos) {
      out += code;
    } else {
      char text[128];
      out.append(text, std::strftime(text, sizeof text, code.c_str(), &time));
    }
  }
  return out;
}

}  // namespace jinja
}  // namespace trireme
