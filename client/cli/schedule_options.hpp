// The options of submit, run and map that say when a task may run, beside how many others, and what follows
// when it fails.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "client/cpp/poold/task.hpp"

namespace poold::cli {

struct ScheduleOptions {
  std::string delay, at, ttl;
  std::vector<std::string> after, after_any;
  std::string on_parent_failure;
  bool hold = false;
  std::string group, after_group, when_full;
  std::vector<std::string> limits;
  std::string backoff, backoff_max;
  std::vector<std::string> retry_on;
  std::string timeout, grace, deadline;

  void add_to(CLI::App& verb);
  // Throws UsageError.
  void read(SubmitOptions& into) const;
};

}  // namespace poold::cli
