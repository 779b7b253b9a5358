// Any text as configuration: settings within their limits, or complaints that can be printed.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "daemon/settings/settings.hpp"

namespace poold::settings {
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const Errors& errors, std::string_view text) {
  const auto lines =
      2 + std::count_if(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; });
  require(!errors.empty() && errors.size() <= 101);
  for (const Error& error : errors) {
    require(!error.message.empty() && error.line >= 0 && error.line <= lines && error.column >= 0);
    for (const char c : to_string(error)) require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  }
}

void check(const Settings& settings) {
  std::size_t workers = 0;
  require(!settings.pools.empty() && settings.pools.size() <= 1000);
  for (const Pool& pool : settings.pools) {
    workers += pool.workers;
    require(!pool.name.empty() && pool.name.size() <= 63 && pool.name.find('/') == std::string::npos);
    require(pool.workers <= 1000 && pool.queue_size >= 1 && pool.crash_attempts >= 1);
    const int programs = !pool.plugin.empty() + !pool.program.empty();
    require(programs == (pool.kind == PoolKind::function ? 1 : 0));
    require(pool.durability == Durability::memory || pool.durability == Durability::disk);
    for (const auto& [name, value] : pool.env)
      require(!name.starts_with("POOLD_") && value.find('\0') == value.npos);
  }
  require(workers <= 10'000);
}

}  // namespace
}  // namespace poold::settings

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace poold::settings;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result result = parse(text, "fuzz.yaml");
  if (const auto* errors = std::get_if<Errors>(&result)) {
    check(*errors, text);
  } else {
    check(std::get<Settings>(result));
  }
  return 0;
}
