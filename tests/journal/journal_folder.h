// A temporary folder for a journal; removed with its content.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "base/check.h"

namespace trireme::journal {

class JournalFolder {
 public:
  JournalFolder() {
    std::string path = std::filesystem::temp_directory_path().string() + "/journal-XXXXXX";
    CHECK(::mkdtemp(path.data()) != nullptr);
    path_ = path;
  }
  ~JournalFolder() { std::filesystem::remove_all(path_); }
  JournalFolder(const JournalFolder&) = delete;
  JournalFolder& operator=(const JournalFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace trireme::journal
