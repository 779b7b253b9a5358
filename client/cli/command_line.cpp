#include "client/cli/command_line.hpp"

#include <algorithm>

#include "client/cli/reading.hpp"

namespace poold::cli {
namespace {

bool is_option(std::string_view word) { return word.size() > 1 && word[0] == '-'; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_negative_number(std::string_view word) {
  return word.size() > 1 && word[0] == '-' &&
         (is_digit(word[1]) || (word[1] == '.' && word.size() > 2 && is_digit(word[2])));
}

// "--pool" takes the next word as its value; "--pool=x" and "-ox" bring theirs along.
bool takes_next_word(std::string_view word, const TakesValue& takes_value) {
  if (word.starts_with("--")) return word.find('=') == std::string_view::npos && takes_value(word);
  return word.size() == 2 && takes_value(word);
}

bool names_function(std::string_view word) { return word == "--function" || word.starts_with("--function="); }

}  // namespace

std::optional<std::size_t> find_verb(std::span<const std::string> words, const TakesValue& takes_value) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--") return {};
    if (!is_option(words[i])) return i;
    if (takes_next_word(words[i], takes_value)) ++i;
  }
  return {};
}

WorkLine split_work(std::span<const std::string> words, const TakesValue& takes_value) {
  WorkLine line;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      line.words.insert(line.words.end(), words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      return line;
    }
    const bool argument = !is_option(word) || (line.function_mode && is_negative_number(word));
    if (argument && !line.function_mode) {
      line.words.assign(words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
      return line;
    }
    if (argument) {
      line.words.push_back(word);
      continue;
    }
    line.function_mode |= names_function(word);
    line.options.push_back(word);
    if (takes_next_word(word, takes_value) && i + 1 < words.size()) line.options.push_back(words[++i]);
  }
  return line;
}

WorkLine split_map(std::span<const std::string> words, const TakesValue& takes_value) {
  const auto at = std::find(words.begin(), words.end(), ":::");
  WorkLine line = split_work(words.first(static_cast<std::size_t>(at - words.begin())), takes_value);
  if (at == words.end()) return line;
  line.items.emplace(at + 1, words.end());
  if (std::find(line.items->begin(), line.items->end(), ":::") != line.items->end())
    throw UsageError("map takes one ::: with its items, not two");
  return line;
}

Words with_signal_option(std::span<const std::string> words) {
  Words result;
  for (const std::string& word : words) {
    const std::string_view name = std::string_view(word).substr(std::min<std::size_t>(1, word.size()));
    const bool is_signal = word.size() > 1 && word[0] == '-' &&
                           (std::all_of(name.begin(), name.end(), is_digit) ||
                            (name.size() > 1 && std::all_of(name.begin(), name.end(),
                                                            [](char c) { return c >= 'A' && c <= 'Z'; })));
    if (is_signal)
      result.insert(result.end(), {"-s", std::string(name)});
    else
      result.push_back(word);
  }
  return result;
}

}  // namespace poold::cli
