#include "kernels/emulation/symbols.h"

#include <cxxabi.h>
#include <elf.h>
#include <link.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <vector>

namespace trireme::emulation {
namespace {

// Kernels have internal linkage, so only the symbol table of the file knows them.
std::string mangled_name(const std::vector<char>& file, uintptr_t address) {
  if (file.size() < sizeof(Elf64_Ehdr)) return "";
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(file.data());
  const auto* sections = reinterpret_cast<const Elf64_Shdr*>(file.data() + header->e_shoff);
  for (int i = 0; i < header->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const char* names = file.data() + sections[sections[i].sh_link].sh_offset;
    const auto* symbols = reinterpret_cast<const Elf64_Sym*>(file.data() + sections[i].sh_offset);
    for (size_t s = 0; s < sections[i].sh_size / sizeof(Elf64_Sym); ++s) {
      if (ELF64_ST_TYPE(symbols[s].st_info) == STT_FUNC && symbols[s].st_value == address) {
        return names + symbols[s].st_name;
      }
    }
  }
  return "";
}

int main_program_base(dl_phdr_info* info, size_t, void* base) {
  *static_cast<uintptr_t*>(base) = info->dlpi_addr;
  return 1;  // the first entry is the program itself
}

std::string demangled(const std::string& name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  std::string plain = status == 0 ? text : name;
  std::free(text);
  const std::string anonymous = "(anonymous namespace)::";
  for (size_t at = plain.find(anonymous); at != std::string::npos; at = plain.find(anonymous)) {
    plain.erase(at, anonymous.size());
  }
  if (plain.starts_with("void ")) plain.erase(0, 5);
  return plain.substr(0, plain.find('('));
}

}  // namespace

std::string symbol_name(const void* function) {
  static std::mutex mutex;
  static std::map<const void*, std::string> known;  // cached: the program is large, kernels are few
  const std::lock_guard lock(mutex);
  const auto [found, is_new] = known.try_emplace(function);
  if (!is_new) return found->second;
  uintptr_t base = 0;
  dl_iterate_phdr(main_program_base, &base);
  std::ifstream stream("/proc/self/exe", std::ios::binary);
  const std::vector<char> file{std::istreambuf_iterator<char>(stream), {}};
  const std::string name = mangled_name(file, reinterpret_cast<uintptr_t>(function) - base);
  return found->second = name.empty() ? "?" : demangled(name);
}

}  // namespace trireme::emulation
