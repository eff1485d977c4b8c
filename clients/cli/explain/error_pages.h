// One page per error id: meaning, usual causes, remedy. Constant tables, one per area.
// Areas: command has ARGS, RUN, UP, BENCH; model CONF, LOAD, MOD, PLAN, KERN, MEM, VERIFY;
// tokenizer TOK; chat CHAT; gateway HTTP; coordinator NET, REQ and GRP from 40 on; worker the other
// GRP, STEP and CUDA; journal JRN.
// tools/tidy.py checks that every id in the sources has a page here and every page an id.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace trireme {

struct ErrorPage {
  const char* id;
  const char* meaning;
  const char* causes;
  const char* fix;
};

std::span<const ErrorPage> model_error_pages();
std::span<const ErrorPage> tokenizer_error_pages();
std::span<const ErrorPage> chat_error_pages();
std::span<const ErrorPage> gateway_error_pages();  // translation: HTTP from 20 to 49
std::span<const ErrorPage> http_error_pages();     // server: the other HTTP
std::span<const ErrorPage> worker_error_pages();
std::span<const ErrorPage> coordinator_error_pages();
std::span<const ErrorPage> journal_error_pages();
std::span<const ErrorPage> command_error_pages();

// nullptr: no page has this id.
const ErrorPage* find_error_page(const std::string& id);
std::vector<std::string> error_page_ids();

}  // namespace trireme
