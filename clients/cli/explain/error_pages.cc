#include "clients/cli/explain/error_pages.h"

namespace trireme {

static std::vector<std::span<const ErrorPage>> all_tables() {
  return {model_error_pages(),
          tokenizer_error_pages(),
          chat_error_pages(),
          gateway_error_pages(),
          http_error_pages(),
          worker_error_pages(),
          coordinator_error_pages(),
          journal_error_pages(),
          command_error_pages()};
}

const ErrorPage* find_error_page(const std::string& id) {
  for (const std::span<const ErrorPage> table : all_tables()) {
    for (const ErrorPage& page : table) {
      if (id == page.id) return &page;
    }
  }
  return nullptr;
}

std::vector<std::string> error_page_ids() {
  std::vector<std::string> ids;
  for (const std::span<const ErrorPage> table : all_tables()) {
    for (const ErrorPage& page : table) ids.emplace_back(page.id);
  }
  return ids;
}

}  // namespace trireme
