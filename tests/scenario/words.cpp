#include "tests/scenario/words.hpp"

#include <algorithm>
#include <sstream>

namespace poold::scenario {
namespace {

struct Unit {
  std::string_view name;
  core::Duration value;
};
// The longest first, as text_of() chooses.
constexpr Unit units[] = {{"h", std::chrono::hours(1)},         {"m", std::chrono::minutes(1)},
                          {"s", std::chrono::seconds(1)},       {"ms", std::chrono::milliseconds(1)},
                          {"us", std::chrono::microseconds(1)}, {"ns", core::Duration(1)}};

}  // namespace

std::vector<std::string> parts_of(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

core::Duration duration_of(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto unit = std::ranges::find(units, text.substr(digits), &Unit::name);
  if (unit == std::end(units))
    throw Mistake("'" + std::string(text) + "' is no duration such as 5ms, 2s or 1h");
  return number_of<std::int64_t>(text.substr(0, digits)) * unit->value;
}

std::string text_of(core::Duration duration) {
  if (duration == core::Duration{}) return "0s";
  const auto unit =
      std::ranges::find_if(units, [&](const Unit& u) { return duration % u.value == core::Duration{}; });
  return std::to_string(duration / unit->value) + std::string(unit->name);
}

Words::Words(std::string_view line) {
  std::istringstream stream{std::string(line)};
  stream >> verb_;
  for (std::string word; stream >> word;) {
    const std::size_t equals = word.find('=');
    if (equals == word.npos) {
      plain_.push_back(word);
    } else {
      options_.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
  }
}

std::string Words::plain(std::string_view what) {
  auto word = plain_if_any();
  if (!word) throw Mistake(verb_ + ": " + std::string(what) + " is missing");
  return *word;
}

std::optional<std::string> Words::plain_if_any() {
  return next_ < plain_.size() ? std::optional(plain_[next_++]) : std::nullopt;
}

std::optional<std::string> Words::option(std::string_view name) {
  const auto at = std::ranges::find(options_, name, &std::pair<std::string, std::string>::first);
  if (at == options_.end()) return std::nullopt;
  std::string value = std::move(at->second);
  options_.erase(at);
  return value;
}

bool Words::flag(std::string_view name) {
  const auto at = std::find(plain_.begin() + static_cast<std::ptrdiff_t>(next_), plain_.end(), name);
  if (at == plain_.end()) return false;
  plain_.erase(at);
  return true;
}

void Words::finish() const {
  if (next_ < plain_.size()) throw Mistake(verb_ + ": what is '" + plain_[next_] + "'?");
  if (!options_.empty()) throw Mistake(verb_ + ": there is no option '" + options_[0].first + "'");
}

}  // namespace poold::scenario
