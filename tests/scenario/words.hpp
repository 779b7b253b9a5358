// One command of a script, as words: `submit 3 priority=5 limit=db:2` is a verb, a plain word and two
// options. Whatever is wrong with it is a Mistake, which names the word; what the verbs mean is in stage.cpp.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/core/types.hpp"

namespace poold::scenario {

struct Mistake : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A number from `text`, all of it.
template <class Number = std::uint32_t>
Number number_of(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    throw Mistake("'" + std::string(text) + "' is no number");
  return number;
}
// "5", "1,2,3"
std::vector<std::string> parts_of(std::string_view text, char separator);
// 10us, 5ms, 2s, 3m, 1h
core::Duration duration_of(std::string_view text);
// As duration_of() reads it.
std::string text_of(core::Duration duration);

class Words {
 public:
  explicit Words(std::string_view line);

  const std::string& verb() const { return verb_; }
  // The next plain word; a Mistake that names `what` if there is none.
  std::string plain(std::string_view what);
  std::optional<std::string> plain_if_any();
  // The option's value; each is asked for once.
  std::optional<std::string> option(std::string_view name);
  bool flag(std::string_view name);
  template <class Value>
  void read(std::string_view name, Value& value) {
    const auto text = option(name);
    if (!text) return;
    if constexpr (std::is_same_v<Value, core::Duration>) {
      value = duration_of(*text);
    } else {
      value = number_of<Value>(*text);
    }
  }
  // Nothing may be left that nobody asked for.
  void finish() const;

 private:
  std::string verb_;
  std::vector<std::string> plain_;
  std::size_t next_ = 0;
  std::vector<std::pair<std::string, std::string>> options_;
};

}  // namespace poold::scenario
