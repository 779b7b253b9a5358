#include "daemon/supervisor/environment.hpp"

#include <algorithm>
#include <array>

#include "common/fail_point.hpp"
#include "common/memory_socket.hpp"
#include "common/result_ring.hpp"

namespace poold::supervisor {
namespace {

constexpr std::array<std::string_view, 8> allowed_names{"PATH",  "HOME", "USER", "LOGNAME",
                                                        "SHELL", "LANG", "TZ",   "TMPDIR"};

std::string_view name_of(std::string_view variable) { return variable.substr(0, variable.find('=')); }

bool allowed(std::string_view name) {
  return name.starts_with("LC_") ||
         std::find(allowed_names.begin(), allowed_names.end(), name) != allowed_names.end();
}

void set(Environment& environment, std::string_view name, std::string_view value) {
  std::string variable(name);
  variable.append("=").append(value);
  for (std::string& known : environment) {
    if (name_of(known) != name) continue;
    known = std::move(variable);
    return;
  }
  environment.push_back(std::move(variable));
}

template <typename Chosen>
Environment filtered(const char* const* inherited, Chosen chosen) {
  Environment environment;
  for (; inherited && *inherited; ++inherited) {
    const std::string_view variable = *inherited;
    const std::size_t equals = variable.find('=');
    if (equals == std::string_view::npos || !chosen(variable.substr(0, equals))) continue;
    set(environment, variable.substr(0, equals), variable.substr(equals + 1));
  }
  return environment;
}

}  // namespace

Environment engine_environment(const char* const* inherited) {
  return filtered(inherited, [](std::string_view name) {
    return allowed(name) || name == "JOURNAL_STREAM" || (fail_points_built && name == "POOLD_FAILPOINTS");
  });
}

Environment worker_environment(const char* const* inherited, const settings::Pool& pool, std::uint32_t slot,
                               std::uint32_t generation) {
  Environment environment =
      filtered(inherited, [](std::string_view name) { return allowed(name) || name == "XDG_RUNTIME_DIR"; });
  if (pool.account && !pool.account->name.empty()) {
    set(environment, "USER", pool.account->name);
    set(environment, "LOGNAME", pool.account->name);
    set(environment, "HOME", pool.account->home);
    set(environment, "SHELL", pool.account->shell);
    // It names the daemon's directory.
    std::erase_if(environment, [](const auto& variable) { return name_of(variable) == "XDG_RUNTIME_DIR"; });
  }
  for (const auto& [name, value] : pool.env) set(environment, name, value);
  set(environment, "POOLD_POOL", pool.name);
  set(environment, result_ring_variable, std::to_string(result_ring_descriptor));
  if (pool.shared_memory) set(environment, memory_socket_variable, std::to_string(memory_socket_descriptor));
  set(environment, "POOLD_WORKER", pool.name + "/" + std::to_string(slot) + "/" + std::to_string(generation));
  return environment;
}

std::string_view value_of(const Environment& environment, std::string_view name) {
  for (const std::string& variable : environment)
    if (name_of(variable) == name && variable.size() > name.size())
      return std::string_view(variable).substr(name.size() + 1);
  return {};
}

}  // namespace poold::supervisor
