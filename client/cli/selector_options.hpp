// The options that say which tasks a verb is about: ids, or conditions that must all match.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "client/cli/context.hpp"
#include "poold/v1/tasks.pb.h"

namespace poold::cli {

struct SelectorOptions {
  std::vector<std::string> ids;
  std::vector<std::string> pools;
  std::vector<std::string> states;
  std::vector<std::string> names;
  std::vector<std::string> labels;
  std::vector<std::string> groups;
  std::string since;
  std::string before;

  void add_to(CLI::App& verb, bool with_ids = true);
  bool empty() const;
  // Ids and no condition.
  bool only_ids() const;
  // One group and no other condition.
  bool only_a_group() const;
  // Throws UsageError.
  v1::Selector read() const;
  // The same, for verbs that must be told something.
  v1::Selector read_some() const;
};

// Hands over the tasks a page at a time, newest first, at most `count_max` (0: all).
using PageSink = std::function<void(const v1::ListTasksResponse&)>;
void list_pages(Context& context, const v1::Selector& selector, std::uint64_t count_max,
                const PageSink& sink);

// The ids alone: as given, where there are only ids; else those of the tasks that match, oldest first.
std::vector<std::string> resolve_ids(Context& context, const SelectorOptions& options);

// Returns when all these tasks have ended, with them, in order.
std::vector<v1::Task> wait_until_ended(Context& context, const std::vector<std::string>& ids);

// The most that one Wait may name.
inline constexpr std::size_t wait_ids_max = 10'000;

}  // namespace poold::cli
