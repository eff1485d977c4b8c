#include "worker/tuning_cache.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "base/text.h"

namespace trireme {
namespace {

constexpr std::uintmax_t kMaxBytes = 1 << 20;

Status refused(const std::string& path, const std::string& why) {
  return unavailable("TRI-CUDA-020",
                     "{} cannot be written ({}): what was measured is measured again at the next "
                     "start; name another folder with --cache-dir, or none",
                     path,
                     why);
}

}  // namespace

std::string TuningCache::read() const {
  std::error_code error;
  const std::uintmax_t size = folder_.empty() ? 0 : std::filesystem::file_size(path_, error);
  if (error || size == 0 || size > kMaxBytes) return {};
  std::string bytes(size, '\0');
  std::ifstream file(path_, std::ios::binary);
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  return file ? bytes : std::string();
}

Status TuningCache::write(std::string_view bytes) const {
  if (folder_.empty()) return ok_status();
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) return refused(path_, error.message());
  if (bytes.size() > kMaxBytes) return refused(path_, "it would be larger than any that is read");
  std::string fresh = path_ + ".XXXXXX";  // unique: other processes may write here, too
  const int descriptor = mkstemp(fresh.data());
  if (descriptor < 0) return refused(path_, std::strerror(errno));
  const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
  const bool is_whole = written == static_cast<ssize_t>(bytes.size());
  const bool is_closed = close(descriptor) == 0;
  if (is_whole && is_closed) std::filesystem::rename(fresh, path_, error);
  if (is_whole && is_closed && !error) return ok_status();
  const std::string why = error ? error.message() : std::string(std::strerror(errno));
  std::filesystem::remove(fresh, error);
  return refused(path_, why);
}

}  // namespace trireme
