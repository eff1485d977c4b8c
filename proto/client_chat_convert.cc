// Conversion of chats, and of text and token ids without a request.
#include "proto/client_convert.h"

namespace trireme {
namespace {

using wire::RangeCheck;
using wire::take;
using wire::to_int32;

v1::ToolChoice to_wire(ToolChoice choice) {
  switch (choice) {
    case ToolChoice::kAuto:
      return v1::TOOL_CHOICE_AUTO;
    case ToolChoice::kNone:
      return v1::TOOL_CHOICE_NONE;
    case ToolChoice::kRequired:
      return v1::TOOL_CHOICE_REQUIRED;
    case ToolChoice::kNamed:
      break;
  }
  return v1::TOOL_CHOICE_NAMED;
}

ToolChoice read_tool_choice(RangeCheck& check, v1::ToolChoice choice) {
  switch (choice) {
    case v1::TOOL_CHOICE_AUTO:
      return ToolChoice::kAuto;
    case v1::TOOL_CHOICE_NONE:
      return ToolChoice::kNone;
    case v1::TOOL_CHOICE_REQUIRED:
      return ToolChoice::kRequired;
    case v1::TOOL_CHOICE_NAMED:
      return ToolChoice::kNamed;
    default:
      check.unknown(choice, v1::ToolChoice_MAX, "tool_choice");
      return ToolChoice::kAuto;
  }
}

v1::PartKind to_wire(PartKind kind) {
  switch (kind) {
    case PartKind::kContent:
      return v1::PART_CONTENT;
    case PartKind::kReasoning:
      return v1::PART_REASONING;
    case PartKind::kToolCall:
      break;
  }
  return v1::PART_TOOL_CALL;
}

PartKind read_part_kind(RangeCheck& check, v1::PartKind kind) {
  switch (kind) {
    case v1::PART_CONTENT:
      return PartKind::kContent;
    case v1::PART_REASONING:
      return PartKind::kReasoning;
    case v1::PART_TOOL_CALL:
      return PartKind::kToolCall;
    default:
      check.unknown(kind, v1::PartKind_MAX, "parts");
      return PartKind::kContent;
  }
}

}  // namespace

void write(const ChatRequest& from, v1::Chat& to) {
  to.set_messages_json(from.messages_json);
  to.set_tools_json(from.tools_json);
  to.set_documents_json(from.documents_json);
  to.set_kwargs_json(from.kwargs_json);
  to.set_no_generation_prompt(from.no_generation_prompt);
  to.set_continue_final_message(from.continue_final_message);
  to.set_tool_choice(to_wire(from.tool_choice));
  to.set_tool_name(from.tool_name);
  to.set_one_call(from.one_call);
  to.set_raw(from.raw);
}

void read(RangeCheck& check, const v1::Chat& from, ChatRequest& to) {
  to.messages_json = from.messages_json();
  to.tools_json = from.tools_json();
  to.documents_json = from.documents_json();
  to.kwargs_json = from.kwargs_json();
  to.no_generation_prompt = from.no_generation_prompt();
  to.continue_final_message = from.continue_final_message();
  to.tool_choice = read_tool_choice(check, from.tool_choice());
  to.tool_name = from.tool_name();
  to.one_call = from.one_call();
  to.raw = from.raw();
}

void write(const AnswerPart& from, v1::AnswerPart& to) {
  to.set_kind(to_wire(from.kind));
  to.set_call_index(static_cast<uint32_t>(from.call_index));
  to.set_call_id(from.call_id);
  to.set_name(from.name);
  to.set_text(from.text);
}

void read(RangeCheck& check, const v1::AnswerPart& from, AnswerPart& to) {
  to.kind = read_part_kind(check, from.kind());
  to.call_index = to_int32(check, from.call_index(), "call_index");
  to.call_id = from.call_id();
  to.name = from.name();
  to.text = from.text();
}

void write(const door::Tokenize& from, v1::Tokenize& to) {
  to.set_tag(from.tag);
  if (const auto* text = std::get_if<std::string>(&from.what)) {
    to.set_text(*text);
  } else {
    write(std::get<ChatRequest>(from.what), *to.mutable_chat());
  }
  if (!from.add_special_tokens) to.set_add_special_tokens(false);
  to.set_want_pieces(from.want_pieces);
}

void read(RangeCheck& check, const v1::Tokenize& from, door::Tokenize& to) {
  to.tag = from.tag();
  if (from.tag() == 0) check.fail("tag", "is 0, allowed is 1 and above");
  switch (from.what_case()) {
    case v1::Tokenize::kText:
      to.what = from.text();
      break;
    case v1::Tokenize::kChat:
      read(check, from.chat(), to.what.emplace<ChatRequest>());
      break;
    case v1::Tokenize::WHAT_NOT_SET:
      check.fail("what", "is missing; set text or chat");
      break;
  }
  to.add_special_tokens = !from.has_add_special_tokens() || from.add_special_tokens();
  to.want_pieces = from.want_pieces();
}

void write(const door::Detokenize& from, v1::Detokenize& to) {
  to.set_tag(from.tag);
  wire::put(from.ids, to.mutable_ids());
  if (!from.skip_special_tokens) to.set_skip_special_tokens(false);
}

void read(RangeCheck& check, const v1::Detokenize& from, door::Detokenize& to) {
  to.tag = from.tag();
  if (from.tag() == 0) check.fail("tag", "is 0, allowed is 1 and above");
  take(check, from.ids(), to.ids, "ids");
  to.skip_special_tokens = !from.has_skip_special_tokens() || from.skip_special_tokens();
}

void write(const door::Tokenized& from, v1::Tokenized& to) {
  to.set_tag(from.tag);
  wire::put(from.ids, to.mutable_ids());
  for (const std::string& piece : from.pieces) to.add_pieces(piece);
}

void read(RangeCheck& check, const v1::Tokenized& from, door::Tokenized& to) {
  to.tag = from.tag();
  take(check, from.ids(), to.ids, "ids");
  if (from.pieces_size() > 0) check.same_length(from.ids_size(), from.pieces_size(), "pieces");
  to.pieces.assign(from.pieces().begin(), from.pieces().end());
}

void write(const door::Detokenized& from, v1::Detokenized& to) {
  to.set_tag(from.tag);
  to.set_text(from.text);
}

void read(RangeCheck&, const v1::Detokenized& from, door::Detokenized& to) {
  to.tag = from.tag();
  to.text = from.text();
}

}  // namespace trireme
