// What map makes its tasks from: a command or a call in which {} stands for the item.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "client/cli/command_line.hpp"
#include "client/cpp/poold/task.hpp"

namespace poold::cli {

// A call before its arguments are read: with the item put in, each is JSON if it parses, else a string.
struct CallWords {
  std::string name;
  Words args;
  std::vector<std::pair<std::string, std::string>> kwargs;
};

// `text` with every {} replaced.
std::string filled(std::string_view text, std::string_view item);

class TaskTemplate {
 public:
  using Work = std::variant<Command, CallWords>;

  // Without a {} in the work the item becomes its last argument. {} in the name, key and label values is
  // replaced, too, but does not count as use of the item.
  TaskTemplate(Work work, SubmitOptions options);

  // `key`: in place of the options' own, if not empty. Throws UsageError and std::invalid_argument for an
  // item that makes no task.
  TaskSpec make(std::string_view item, const std::string& key) const;
  // The command line quoted for a shell, or the call; one line.
  std::string line(std::string_view item) const;

  bool is_function() const { return std::holds_alternative<CallWords>(work_); }
  const SubmitOptions& options() const { return options_; }

 private:
  SubmitOptions filled_options(std::string_view item) const;
  Words filled_words(const Words& words, std::string_view item) const;

  Work work_;
  SubmitOptions options_;
  bool options_have_place_ = false;  // a {} in name, key or labels
  bool append_item_ = false;
};

}  // namespace poold::cli
