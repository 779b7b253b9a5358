#include "common/allowed_program.hpp"

namespace poold {

std::optional<std::string_view> find_allowed(std::span<const std::string> allowed, std::string_view program) {
  const bool is_path = program.find('/') != std::string_view::npos;
  for (const std::string_view path : allowed) {
    const std::string_view name = is_path ? path : path.substr(path.find_last_of('/') + 1);
    if (name == program) return path;
  }
  return std::nullopt;
}

bool changes_program(std::string_view variable) { return variable.starts_with("LD_"); }

}  // namespace poold
