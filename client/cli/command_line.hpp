// What has to be known about a command line before CLI11 reads it: where the verb is, and, for the verbs that
// take work, where poolctl's own options end and the command begins. Pure functions of words.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace poold::cli {

using Words = std::vector<std::string>;
// Whether an option ("--pool", "-o") takes a value of its own.
using TakesValue = std::function<bool(std::string_view option)>;

// The index of the first word that is neither an option nor an option's value; none if there is no such word.
std::optional<std::size_t> find_verb(std::span<const std::string> words, const TakesValue& takes_value);

// The words after `run`, `submit` and `map`.
struct WorkLine {
  Words options;               // poolctl's own, for CLI11
  Words words;                 // the command, or the function's arguments
  bool function_mode = false;  // --function was given
  std::optional<Words> items;  // map's, after ":::"; none if there is no ":::"
};

// A command begins at the first word that is no option, or after "--", and everything from there on belongs
// to it, as with env(1) and xargs(1). With --function, options may stand among the arguments; numbers below
// zero are arguments; after "--" everything is one.
WorkLine split_work(std::span<const std::string> words, const TakesValue& takes_value);

// The same for `map`: what stands after ":::" are its items. Throws UsageError for a second ":::".
WorkLine split_map(std::span<const std::string> words, const TakesValue& takes_value);

// `kill -9` and `kill -KILL` as `kill -s ...`.
Words with_signal_option(std::span<const std::string> words);

}  // namespace poold::cli
