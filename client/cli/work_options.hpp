// The options of submit, run and map alike: where and how a task is to run, and what it is.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "client/cli/command_line.hpp"
#include "client/cli/schedule_options.hpp"
#include "client/cli/task_template.hpp"
#include "client/cpp/poold/task.hpp"

namespace poold::cli {

struct WorkOptions {
  std::string pool;
  std::string name;
  std::vector<std::string> labels;
  std::string key;
  std::int32_t priority = 0;
  std::uint32_t attempts = 0;
  std::uint32_t crash_attempts = 0;
  std::vector<std::string> env;
  std::string cwd;
  std::string stdin_file;
  std::string function;
  std::vector<std::string> kwargs;
  ScheduleOptions schedule;

  void add_to(CLI::App& verb);
  // The task that the options and the words after them mean. A command runs in the caller's directory unless
  // told otherwise. Throws UsageError.
  TaskSpec read(const WorkLine& line) const;
  // The same with {} for the item.
  TaskTemplate read_template(const WorkLine& line) const;

 private:
  void check(const WorkLine& line) const;
  SubmitOptions read_options() const;
  Command read_command(const Words& words) const;
  Function read_function(const Words& words) const;
};

}  // namespace poold::cli
