#include "worker/kept_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "base/text.h"

namespace trireme {
namespace {

constexpr std::uintmax_t kMostBytes = 1 << 20;

Status refused(const std::string& path, const std::string& why) {
  return unavailable("TRI-CUDA-020",
                     path,
                     " cannot be written (",
                     why,
                     "): what was measured is measured again at the next start; name another folder"
                     " with --cache-dir, or none");
}

}  // namespace

std::string KeptFile::read() const {
  std::error_code error;
  const std::uintmax_t size = folder_.empty() ? 0 : std::filesystem::file_size(path_, error);
  if (error || size == 0 || size > kMostBytes) return {};
  std::string bytes(size, '\0');
  std::ifstream file(path_, std::ios::binary);
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  return file ? bytes : std::string();
}

Status KeptFile::write(std::string_view bytes) const {
  if (folder_.empty()) return ok_status();
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) return refused(path_, error.message());
  const std::string fresh = concat(path_, ".", getpid());  // ranks that write are processes
  std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (file) std::filesystem::rename(fresh, path_, error);
  if (file && !error) return ok_status();
  const std::string why = error ? error.message() : std::string(std::strerror(errno));
  std::filesystem::remove(fresh, error);
  return refused(path_, why);
}

}  // namespace trireme
