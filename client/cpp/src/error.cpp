#include "client/cpp/poold/error.hpp"

#include <algorithm>
#include <array>

namespace poold {
namespace {

// In the order of Code.
constexpr std::array<std::string_view, 17> names = {
    "ok",        "canceled",       "unknown",           "invalid_argument",   "deadline_exceeded",
    "not_found", "already_exists", "permission_denied", "resource_exhausted", "failed_precondition",
    "aborted",   "out_of_range",   "unimplemented",     "internal",           "unavailable",
    "data_loss", "unauthenticated"};
static_assert(names[static_cast<std::size_t>(Code::unauthenticated)] == "unauthenticated");

}  // namespace

std::string_view to_string(Code code) { return names[static_cast<std::size_t>(code)]; }

std::optional<Code> parse_code(std::string_view text) {
  const auto found = std::find(names.begin() + 1, names.end(), text);  // an error is never "ok"
  if (found == names.end()) return {};
  return static_cast<Code>(found - names.begin());
}

}  // namespace poold
