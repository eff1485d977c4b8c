// A small file that lives on between starts, for what is measured once: written whole or not at
// all, so that ranks of other groups never read a part. A value.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace trireme {

class TuningCache {
 public:
  // An empty folder: nothing is kept, nothing is read.
  TuningCache(std::string folder, const std::string& name)
      : folder_(std::move(folder)), path_(folder_ + "/" + name) {}

  const std::string& path() const { return path_; }
  // Its bytes; none where it is not there, cannot be read, or is larger than what write() takes.
  std::string read() const;
  // Makes the folder if need be. TRI-CUDA-020: the system refuses; what stood there still does.
  Status write(std::string_view bytes) const;

 private:
  std::string folder_;
  std::string path_;
};

}  // namespace trireme
