// Conversations whose texts are unique words, rendered to find out how a template writes them. Used
// by one thread, while loading.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/chat/rendering/chat_template.h"

namespace trireme {

// Words that no template writes by itself, and that no filter changes.
inline constexpr std::string_view kProbeUser = "zquser";
inline constexpr std::string_view kProbeContent = "zqcontent";
inline constexpr std::string_view kProbeSecond = "zqsecond";
inline constexpr std::string_view kProbeThought = "zqthought";
inline constexpr std::string_view kProbeResult = "zqresult";
inline constexpr std::string_view kProbeTool = "zq_first";
inline constexpr std::string_view kProbeOtherTool = "zq_other";
inline constexpr std::string_view kProbeShortIds[] = {"zq3456789", "zq3456788"};
inline constexpr std::string_view kProbeLongIds[] = {"call_zq3456789012345678901234",
                                                     "call_zq3456789012345678901235"};

struct ProbeCall {
  std::string name;
  std::string arguments;  // JSON
  bool operator==(const ProbeCall&) const = default;
};

struct ProbeAnswer {
  std::string content;
  std::string reasoning;
  std::vector<ProbeCall> calls;
};

// The answer as a message; `short_ids`: of its calls.
std::string probe_message(const ProbeAnswer& answer, bool short_ids);
std::string probe_user();
std::string probe_result(const std::string& id, std::string_view name);
std::string probe_tools();

class ProbeChat {
 public:
  explicit ProbeChat(const ChatTemplate& chat_template) : template_(chat_template) {}

  // The rendered chat; empty if the template refuses it, see error(). `messages`: JSON objects.
  std::optional<std::string> render(const std::vector<std::string>& messages,
                                    bool with_tools,
                                    bool add_generation_prompt);
  const std::string& error() const { return error_; }

 private:
  const ChatTemplate& template_;
  std::string error_;
};

}  // namespace trireme
