#include "daemon/supervisor/log.hpp"

#include <spdlog/spdlog.h>

#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "common/invariant.hpp"
#include "daemon/journal/journal.hpp"

namespace poold::supervisor {
namespace {

constexpr std::array<std::pair<std::string_view, spdlog::level::level_enum>, 5> levels{{
    {"trace", spdlog::level::trace},
    {"debug", spdlog::level::debug},
    {"info", spdlog::level::info},
    {"warning", spdlog::level::warn},
    {"error", spdlog::level::err},
}};

std::optional<spdlog::level::level_enum> find_level(std::string_view name) {
  for (const auto& [known, level] : levels)
    if (known == name) return level;
  return std::nullopt;
}

}  // namespace

void start_log() {
  auto logger = std::make_shared<spdlog::logger>("poold", make_log_sink("poold"));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %n[%P] %l: %v");
  spdlog::set_default_logger(std::move(logger));
}

bool is_log_level(std::string_view level) { return find_level(level).has_value(); }

void set_log_level(std::string_view level) {
  const std::optional<spdlog::level::level_enum> found = find_level(level);
  invariant(found.has_value(), "log levels are checked where they come in");
  spdlog::set_level(*found);
}

}  // namespace poold::supervisor
