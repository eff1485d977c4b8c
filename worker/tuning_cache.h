// A small file that keeps measured matmul algorithms from one start to the next. Replaced
// atomically, so that ranks of other groups never read a part of it. A value.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace trireme {

class TuningCache {
 public:
  // With an empty folder nothing is read or written.
  TuningCache(std::string folder, const std::string& name)
      : folder_(std::move(folder)), path_(folder_ + "/" + name) {}

  const std::string& path() const { return path_; }
  // The content; empty if the file is missing, unreadable or larger than write() accepts.
  std::string read() const;
  // Creates the folder if needed. TRI-CUDA-020: the system refuses; the old content is unchanged.
  Status write(std::string_view bytes) const;

 private:
  std::string folder_;
  std::string path_;
};

}  // namespace trireme
