// The completion of bash: a table of what there is at each place, and a function that finds the place.
#include "client/cli/completion_model.hpp"

namespace poold::cli {
namespace {

constexpr const char* head = R"END(# Completion of poolctl for bash, made by: poolctl completion bash
# Load it with: source <(poolctl completion bash)

)END";

constexpr const char* functions = R"END(
# The words that fit what was typed.
_poolctl_words() {
  local IFS=$'\n'
  COMPREPLY+=($(compgen -W "$1" -- "$cur"))
}

_poolctl_live() {
  _poolctl_words "$(poolctl "${socket[@]}" completion "$1" 2>/dev/null | cut -f1)"
}

_poolctl_value() {
  case $1 in
    files) COMPREPLY+=($(compgen -f -- "$cur")); compopt -o filenames 2>/dev/null ;;
    directories) COMPREPLY+=($(compgen -d -- "$cur")); compopt -o filenames 2>/dev/null ;;
    live:*) _poolctl_live "${1#live:}" ;;
    words:*) _poolctl_words "${1#words:}" ;;
    command) COMPREPLY+=($(compgen -c -- "$cur")) ;;
  esac
}

# What kind of value the option $1 takes at this place; false if it takes none.
_poolctl_kind() {
  local entry
  for entry in "${valued[@]}"; do
    if [[ ${entry%%=*} == "$1" ]]; then
      kind=${entry#*=}
      return 0
    fi
  done
  return 1
}

_poolctl() {
  local cur=${COMP_WORDS[COMP_CWORD]} place='' i word kind called=0 options verbs argument
  local -a valued socket=()
  COMPREPLY=()
  _poolctl_table ''
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [[ $argument == command && ( $word == -- || $word != -* ) ]]; then
      [[ $word == -- ]] && ((++i))
      ((called)) && return
      if ((i < COMP_CWORD)) && declare -F _command_offset >/dev/null; then
        _command_offset "$i"
      elif ((i < COMP_CWORD)); then
        _poolctl_value files
      else
        _poolctl_value command
      fi
      return
    elif [[ $word == -* ]]; then
      [[ $word == --function ]] && called=1
      _poolctl_kind "$word" || continue
      [[ ${COMP_WORDS[i + 1]} == = ]] && ((++i))  # bash takes --pool=x for three words
      if ((i + 1 >= COMP_CWORD)); then
        [[ $cur == = ]] && cur=''
        _poolctl_value "$kind"
        return
      fi
      [[ $word == --socket ]] && socket=(--socket "${COMP_WORDS[i + 1]}")
      ((++i))
    elif _poolctl_step "$place" "$word"; then
      _poolctl_table "$place"
    fi
  done
  if [[ $cur == -* ]]; then
    _poolctl_words "$options"
  elif [[ -n $verbs ]]; then
    _poolctl_words "$verbs"
  elif ((!called)); then
    _poolctl_value "$argument"
  fi
}

complete -F _poolctl poolctl
)END";

// Words for compgen -W, one a line.
std::string lines_of(const std::string& words) {
  std::string lines = words;
  for (char& c : lines)
    if (c == ' ') c = '\n';
  return lines;
}

std::string value_text(ValueKind kind, const VerbModel& verb) {
  if (kind == ValueKind::files) return "files";
  if (kind == ValueKind::directories) return "directories";
  if (kind == ValueKind::command) return "command";
  if (const std::string live = live_words(kind, verb); !live.empty()) return "live:" + live;
  if (const std::string fixed = fixed_words(kind); !fixed.empty()) return "words:" + lines_of(fixed);
  return "other";
}

std::string table_entry(const VerbModel& verb) {
  std::string options, valued, verbs;
  for (const OptionModel& option : verb.options) {
    for (const std::string& name : option.names) {
      options.append(options.empty() ? "" : "\n").append(name);
      if (option.takes_value)
        valued.append(" ").append(single_quoted(name + "=" + value_text(option.value, verb)));
    }
  }
  for (const std::string& place : verb.verbs)
    verbs.append(verbs.empty() ? "" : "\n")
        .append(place.substr(verb.place.empty() ? 0 : verb.place.size() + 1));
  return "    " + single_quoted(verb.place) + ")\n      options=" + single_quoted(options) +
         "\n      valued=(" + valued + " )\n      verbs=" + single_quoted(verbs) +
         "\n      argument=" + single_quoted(value_text(verb.argument, verb)) + "\n      ;;\n";
}

}  // namespace

std::string bash_completion(const std::vector<VerbModel>& verbs) {
  std::string out = head;
  out.append("# What may be typed at a place.\n_poolctl_table() {\n  case $1 in\n");
  for (const VerbModel& verb : verbs) out.append(table_entry(verb));
  out.append("  esac\n}\n\n# The place after one more word; false if the word is no verb there.\n");
  out.append("_poolctl_step() {\n  case \"$1 $2\" in\n");
  for (const VerbModel& verb : verbs)
    if (!verb.place.empty()) out.append(step_line(verb));
  out.append("    *) return 1 ;;\n  esac\n}\n");
  return out + functions;
}

}  // namespace poold::cli
