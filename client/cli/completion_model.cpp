#include "client/cli/completion_model.hpp"

#include <cstdlib>
#include <map>

namespace poold::cli {
namespace {

// By the names that the help shows for values and arguments.
ValueKind kind_of(const std::string& type) {
  static const std::map<std::string, ValueKind> kinds = {
      {"POOL", ValueKind::pools},     {"ID", ValueKind::tasks},     {"STATE[,STATE]", ValueKind::states},
      {"FILE", ValueKind::files},     {"PATH", ValueKind::files},   {"DIR", ValueKind::directories},
      {"FORMAT", ValueKind::formats}, {"WHEN", ValueKind::colours}, {"SIGNAL", ValueKind::signals},
      {"SHELL", ValueKind::shells},
  };
  const auto found = kinds.find(type.substr(0, type.find(':')));  // a check's words may follow
  return found == kinds.end() ? ValueKind::other : found->second;
}

OptionModel model_of(const CLI::Option& option) {
  OptionModel model;
  for (const std::string& name : option.get_snames()) model.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) model.names.push_back("--" + name);
  model.description = option.get_description();
  model.takes_value = option.get_items_expected_max() > 0;
  model.value = model.takes_value ? kind_of(option.get_type_name()) : ValueKind::other;
  return model;
}

// The tasks that a verb is usually about.
std::string tasks_of(const std::string& verb) {
  for (const char* unfinished : {"wait", "cancel", "kill", "hold", "release", "explain"})
    if (verb == unfinished) return "unfinished";
  return verb == "retry" || verb == "prune" ? "ended" : "tasks";
}

void add_options(const CLI::App& app, VerbModel& verb) {
  for (const CLI::Option* option : app.get_options(nullptr)) {
    if (option->get_positional()) {
      if (verb.argument == ValueKind::other) verb.argument = kind_of(option->get_name(true));
    } else {
      verb.options.push_back(model_of(*option));
    }
  }
}

void add_verb(const CLI::App& app, const VerbModel& above, std::vector<VerbModel>& verbs) {
  VerbModel verb;
  verb.names = {app.get_name()};
  for (const std::string& alias : app.get_aliases()) verb.names.push_back(alias);
  verb.place = above.place.empty() ? app.get_name() : above.place + " " + app.get_name();
  verb.description = app.get_description();
  verb.tasks = tasks_of(app.get_name());
  add_options(app, verb);
  if (app.get_option_no_throw("--function")) verb.argument = ValueKind::command;
  // poolctl's own options are every verb's, apart from those it has, too.
  for (const OptionModel& option : verbs.front().options)
    if (option.names.back() != "--help" && option.names.back() != "--version") verb.options.push_back(option);
  for (const CLI::App* below : app.get_subcommands(nullptr))
    verb.verbs.push_back(verb.place + " " + below->get_name());
  verbs.push_back(verb);
  for (const CLI::App* below : app.get_subcommands(nullptr)) add_verb(*below, verb, verbs);
}

}  // namespace

std::vector<VerbModel> completion_model(const CLI::App& app) {
  VerbModel root;
  root.names = {app.get_name()};
  add_options(app, root);
  for (const CLI::App* below : app.get_subcommands(nullptr)) root.verbs.push_back(below->get_name());
  std::vector<VerbModel> verbs = {root};
  for (const CLI::App* below : app.get_subcommands(nullptr)) add_verb(*below, root, verbs);
  return verbs;
}

std::string fixed_words(ValueKind kind) {
  switch (kind) {
    case ValueKind::states:
      return "waiting queued running succeeded failed cancelled";
    case ValueKind::formats:
      return "table json ndjson";
    case ValueKind::colours:
      return "auto always never";
    case ValueKind::signals:
      return "TERM INT HUP QUIT KILL USR1 USR2 STOP CONT";
    case ValueKind::shells:
      return "bash zsh fish";
    case ValueKind::other:
    case ValueKind::pools:
    case ValueKind::tasks:
    case ValueKind::files:
    case ValueKind::directories:
    case ValueKind::command:
      return {};
  }
  std::abort();
}

std::string live_words(ValueKind kind, const VerbModel& verb) {
  if (kind == ValueKind::pools) return "pools";
  return kind == ValueKind::tasks ? verb.tasks : std::string();
}

std::string place_above(const std::string& place) {
  const std::size_t blank = place.rfind(' ');
  return blank == std::string::npos ? std::string() : place.substr(0, blank);
}

std::string step_line(const VerbModel& verb) {
  std::string patterns;
  for (const std::string& name : verb.names)
    patterns.append(patterns.empty() ? "" : " | ")
        .append(single_quoted(place_above(verb.place) + " " + name));
  return "    " + patterns + ") place=" + single_quoted(verb.place) + " ;;\n";
}

std::string single_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) c == '\'' ? out.append("'\\''") : out.append(1, c);
  return out + "'";
}

}  // namespace poold::cli
