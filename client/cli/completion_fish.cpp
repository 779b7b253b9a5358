// The completion of fish: a line for each word and each option, with the place where it may be typed.
#include "client/cli/completion_model.hpp"

namespace poold::cli {
namespace {

constexpr const char* head = R"END(# Completion of poolctl for fish, made by: poolctl completion fish
# Load it with: poolctl completion fish | source

complete -c poolctl -e
complete -c poolctl -f

# The verbs typed so far; "command" behind them once the words are a command's.
function __poolctl_place
  set -l place
  set -l called no
  set -l skip no
  for word in (commandline -opc)[2..-1]
    if test $skip = yes
      set skip no
      continue
    end
    switch $word
      case --
        echo "$place command"
        return
      case '-*'
        test $word = --function; and set called yes
        contains -- "$place $word" $__poolctl_valued; and set skip yes
      case '*'
        set -l next (__poolctl_step "$place" $word)
        if test -n "$next"
          set place $next
        else if contains -- "$place" $__poolctl_works; and test $called = no
          echo "$place command"
          return
        end
    end
  end
  echo $place
end

function __poolctl_is
  set -l place (__poolctl_place)
  test "$place" = "$argv"
end

# The pools or tasks of now, with what they are.
function __poolctl_live
  set -l socket
  set -l words (commandline -opc)
  set -l at (contains -i -- --socket $words); and set socket --socket $words[(math $at + 1)]
  poolctl $socket completion $argv 2>/dev/null
end

)END";

std::string fish_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "'";
}

std::string condition(const std::string& place) { return "'__poolctl_is " + place + "'"; }

std::string value_text(ValueKind kind, const VerbModel& verb) {
  if (kind == ValueKind::files) return " -r -F";
  if (kind == ValueKind::directories) return " -x -a '(__fish_complete_directories)'";
  if (const std::string live = live_words(kind, verb); !live.empty())
    return " -x -a '(__poolctl_live " + live + ")'";
  if (const std::string fixed = fixed_words(kind); !fixed.empty()) return " -x -a " + fish_quoted(fixed);
  return " -x";
}

std::string option_line(const VerbModel& verb, const OptionModel& option) {
  std::string line = "complete -c poolctl -n " + condition(verb.place);
  for (const std::string& name : option.names)
    line.append(name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1));
  if (option.takes_value) line.append(value_text(option.value, verb));
  return line + " -d " + fish_quoted(option.description) + "\n";
}

// What stands where no option does.
std::string argument_line(const VerbModel& verb) {
  if (verb.argument == ValueKind::command) {
    std::string lines =
        "complete -c poolctl -n " + condition(verb.place) + " -a '(__fish_complete_command)'\n";
    return lines + "complete -c poolctl -n " + condition(verb.place + " command") + " -F\n";
  }
  if (const std::string live = live_words(verb.argument, verb); !live.empty())
    return "complete -c poolctl -n " + condition(verb.place) + " -k -a '(__poolctl_live " + live + ")'\n";
  if (const std::string fixed = fixed_words(verb.argument); !fixed.empty())
    return "complete -c poolctl -n " + condition(verb.place) + " -a " + fish_quoted(fixed) + "\n";
  return {};
}

}  // namespace

std::string fish_completion(const std::vector<VerbModel>& verbs) {
  std::string valued = "set -g __poolctl_valued";
  std::string works = "set -g __poolctl_works";
  std::string step = "function __poolctl_step\n  switch \"$argv\"\n";
  std::string lines;
  for (const VerbModel& verb : verbs) {
    for (const OptionModel& option : verb.options) {
      for (const std::string& name : option.names)
        if (option.takes_value) valued.append(" ").append(fish_quoted(verb.place + " " + name));
      lines.append(option_line(verb, option));
    }
    lines.append(argument_line(verb));
    if (verb.argument == ValueKind::command) works.append(" ").append(verb.place);
    if (verb.place.empty()) continue;
    step.append("    case");
    for (const std::string& name : verb.names)
      step.append(" ").append(fish_quoted(place_above(verb.place) + " " + name));
    step.append("\n      echo ").append(verb.place).append("\n");
    lines.append("complete -c poolctl -n " + condition(place_above(verb.place)) + " -a " +
                 verb.names.front() + " -d " + fish_quoted(verb.description) + "\n");
  }
  return head + step + "  end\nend\n\n" + valued + "\n" + works + "\n\n" + lines;
}

}  // namespace poold::cli
