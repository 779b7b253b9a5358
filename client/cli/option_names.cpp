#include "client/cli/option_names.hpp"

#include <algorithm>
#include <utility>

namespace poold::cli {
namespace {

constexpr std::pair<std::string_view, const char*> options[] = {
    {"pool", "--pool"},
    {"pools", "--pool"},
    {"name", "--name"},
    {"key", "--key"},
    {"labels", "--label"},
    {"priority", "--priority"},
    {"attempts", "--attempts"},
    {"crashAttempts", "--crash-attempts"},
    {"delay", "--delay"},
    {"at", "--at"},
    {"ttl", "--ttl"},
    {"after", "--after"},
    {"afterAny", "--after-any"},
    {"onParentFailure", "--on-parent-failure"},
    {"hold", "--hold"},
    {"group", "--group"},
    {"afterGroup", "--after-group"},
    {"whenFull", "--when-full"},
    {"limits", "--limit"},
    {"backoff", "--backoff"},
    {"backoffMax", "--backoff-max"},
    {"retryOn", "--retry-on"},
    {"timeout", "--timeout"},
    {"grace", "--grace"},
    {"deadline", "--deadline"},
    {"command.env", "--env"},
    {"command.cwd", "--cwd"},
    {"command.stdin", "--stdin"},
    {"overlap", "--overlap"},
    {"catchUp", "--catch-up"},
    {"jitter", "--jitter"},
    {"timeZone", "--time-zone"},
    {"spec", "SPEC"},
};

// " db" for "[db]"; nothing for "[0]", which is no word of the user's.
std::string key_of(std::string_view index) {
  if (index.size() < 3) return {};
  const std::string_view key = index.substr(1, index.size() - 2);
  if (key.find_first_not_of("0123456789") == key.npos) return {};
  return " " + std::string(key);
}

std::string_view without_prefix(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

}  // namespace

std::string with_option_name(const std::string& text) {
  // The name of a pool is a word of its own with some verbs, and --pool with others.
  if (text.starts_with("name: there is no pool")) return text.substr(6);
  const std::string_view rest =
      without_prefix(without_prefix(without_prefix(text, "schedule."), "task."), "selector.");
  const std::size_t colon = rest.find(": ");
  if (colon == rest.npos) return text;
  const std::string_view field = rest.substr(0, std::min(rest.find('['), colon));
  for (const auto& [name, option] : options)
    if (field == name)
      return option + key_of(rest.substr(field.size(), colon - field.size())) +
             std::string(rest.substr(colon));
  return text;
}

}  // namespace poold::cli
