// A page for every error id: what it means, what usually causes it, what to do.
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

// The tables, one an area of the project.
std::span<const ErrorPage> model_error_pages();
std::span<const ErrorPage> tokenizer_error_pages();
std::span<const ErrorPage> worker_error_pages();
std::span<const ErrorPage> coordinator_error_pages();
std::span<const ErrorPage> command_error_pages();

// nullptr: there is no such page.
const ErrorPage* find_error_page(const std::string& id);
std::vector<std::string> error_page_ids();

}  // namespace trireme
