// The verbs and options of poolctl as a shell's completion needs them, taken from the declarations
// themselves, so that nothing is written twice. What is done with it is in completion_bash.cpp, _zsh.cpp and
// _fish.cpp.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace poold::cli {

// What a value or an argument is, as far as a shell can help with it.
enum class ValueKind {
  other,
  pools,
  tasks,
  states,
  files,
  directories,
  formats,
  colours,
  signals,
  shells,
  command
};

struct OptionModel {
  std::vector<std::string> names;  // "-k", "--keep-order"
  std::string description;
  bool takes_value = false;
  ValueKind value = ValueKind::other;
};

struct VerbModel {
  std::string place;               // "", "run", "pool scale": the words that lead here
  std::vector<std::string> names;  // the last of them, and its other names
  std::string description;
  std::vector<OptionModel> options;  // those of poolctl itself included
  std::vector<std::string> verbs;    // places below this one
  ValueKind argument = ValueKind::other;
  std::string tasks;  // which tasks an ID is one of: "unfinished", "ended", "tasks" (all)
};

// poolctl itself first, then every verb.
std::vector<VerbModel> completion_model(const CLI::App& app);

// The words a value may be, where they are always the same: "table json ndjson". Empty for the others.
std::string fixed_words(ValueKind kind);
// What `poolctl completion` is asked for the words of now: "pools"; empty where there are none.
std::string live_words(ValueKind kind, const VerbModel& verb);

// Between single quotes of a shell.
std::string single_quoted(const std::string& text);
// The place above: "pool" of "pool scale".
std::string place_above(const std::string& place);
// For bash and zsh: what leads from the place above to this one, as a branch of a `case`.
std::string step_line(const VerbModel& verb);

std::string bash_completion(const std::vector<VerbModel>& verbs);
std::string zsh_completion(const std::vector<VerbModel>& verbs);
std::string fish_completion(const std::vector<VerbModel>& verbs);

}  // namespace poold::cli
