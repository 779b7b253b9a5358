// The completion of zsh: the same table as bash has, with descriptions beside the words.
#include "client/cli/completion_model.hpp"

namespace poold::cli {
namespace {

constexpr const char* head = R"END(#compdef poolctl
# Completion of poolctl for zsh, made by: poolctl completion zsh
# Put it into a directory of $fpath as _poolctl, or load it with: source <(poolctl completion zsh)

)END";

constexpr const char* functions = R"END(
# The pools or tasks of now, with what they are.
_poolctl_live() {
  local line
  local -a choices
  for line in ${(f)"$(poolctl $socket completion $1 2>/dev/null)"}; do
    choices+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  _describe -V "$1" choices
}

_poolctl_value() {
  local -a choices
  case $1 in
    files) _files ;;
    directories) _files -/ ;;
    command) _command_names -e ;;
    live:*) _poolctl_live ${1#live:} ;;
    words:*)
      choices=(${(s: :)1#words:})
      compadd -a choices
      ;;
  esac
}

_poolctl() {
  local place='' word argument i called=0
  local -a socket flags verbs
  local -A valued
  _poolctl_table ''
  for ((i = 2; i < CURRENT; ++i)); do
    word=${words[i]}
    if [[ $argument == command && ( $word == -- || $word != -* ) ]]; then
      [[ $word == -- ]] && ((++i))
      ((called)) && return
      shift $((i - 1)) words
      ((CURRENT -= i - 1))
      if ((CURRENT == 1)); then
        _poolctl_value command
      else
        _normal
      fi
      return
    elif [[ $word == -* ]]; then
      [[ $word == --function ]] && called=1
      [[ -n ${valued[$word]} ]] || continue
      if ((i + 1 >= CURRENT)); then
        _poolctl_value ${valued[$word]}
        return
      fi
      [[ $word == --socket ]] && socket=(--socket ${words[i + 1]})
      ((++i))
    elif _poolctl_step "$place" "$word"; then
      _poolctl_table "$place"
    fi
  done
  if [[ $PREFIX == --*=* && -n ${valued[${PREFIX%%=*}]} ]]; then
    local kind=${valued[${PREFIX%%=*}]}
    compset -P '*='
    _poolctl_value $kind
  elif [[ $PREFIX == -* ]]; then
    _describe -o option flags
  elif (($#verbs)); then
    _describe verb verbs
  elif ((!called)); then
    _poolctl_value $argument
  fi
}

if [[ $funcstack[1] == _poolctl ]]; then
  _poolctl "$@"
else
  compdef _poolctl poolctl
fi
)END";

std::string value_text(ValueKind kind, const VerbModel& verb) {
  if (kind == ValueKind::files) return "files";
  if (kind == ValueKind::directories) return "directories";
  if (kind == ValueKind::command) return "command";
  if (const std::string live = live_words(kind, verb); !live.empty()) return "live:" + live;
  if (const std::string fixed = fixed_words(kind); !fixed.empty()) return "words:" + fixed;
  return "other";
}

const VerbModel& at(const std::vector<VerbModel>& verbs, const std::string& place) {
  for (const VerbModel& verb : verbs)
    if (verb.place == place) return verb;
  throw std::logic_error("no verb at " + place);
}

std::string table_entry(const std::vector<VerbModel>& verbs, const VerbModel& verb) {
  std::string out = "    " + single_quoted(verb.place) + ")\n      flags=(\n";
  std::string valued;
  for (const OptionModel& option : verb.options) {
    for (const std::string& name : option.names) {
      out.append("        ").append(single_quoted(name + ":" + option.description)).append("\n");
      if (option.takes_value)
        valued.append(" ").append(name).append(" ").append(single_quoted(value_text(option.value, verb)));
    }
  }
  out.append("      )\n      valued=(").append(valued).append(" )\n      verbs=(\n");
  for (const std::string& below : verb.verbs) {
    const VerbModel& model = at(verbs, below);
    out.append("        ").append(single_quoted(model.names.front() + ":" + model.description)).append("\n");
  }
  return out + "      )\n      argument=" + single_quoted(value_text(verb.argument, verb)) + "\n      ;;\n";
}

}  // namespace

std::string zsh_completion(const std::vector<VerbModel>& verbs) {
  std::string out = head;
  out.append("# What may be typed at a place.\n_poolctl_table() {\n  case $1 in\n");
  for (const VerbModel& verb : verbs) out.append(table_entry(verbs, verb));
  out.append("  esac\n}\n\n# The place after one more word; false if the word is no verb there.\n");
  out.append("_poolctl_step() {\n  case \"$1 $2\" in\n");
  for (const VerbModel& verb : verbs)
    if (!verb.place.empty()) out.append(step_line(verb));
  out.append("    *) return 1 ;;\n  esac\n}\n");
  return out + functions;
}

}  // namespace poold::cli
