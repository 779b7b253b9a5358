#include "client/cli/app.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>

#include "client/cli/context.hpp"
#include "client/cli/exit_code.hpp"
#include "client/cli/option_names.hpp"
#include "client/cli/reading.hpp"
#include "client/cli/verbs.hpp"
#include "client/cpp/poold/error.hpp"
#include "common/version.hpp"

namespace poold::cli {
namespace {

constexpr const char* examples_and_exit_codes =
    R"(Examples:
  poolctl run -- sha256sum /etc/hostname
  poolctl run --pool math --function add 1 2
  ls *.wav | poolctl map --joblog log -- flac {}
  id=$(poolctl submit --label job=7 -- make all); poolctl wait $id
  poolctl ps --state failed --since 1h
  poolctl cancel --label job=7

Exit codes:
  0 ok, 1 task failed, 2 usage, 3 not found, 4 permission, 5 daemon unreachable, 6 wrong state,
  7 refused, 70 internal error, 75 try again, 124 timed out
  run: the task's own code, 125 poolctl or the daemon failed, 126 not executable, 127 not found,
  128+N ended by signal N

The socket: --socket, POOLD_SOCKET, $XDG_RUNTIME_DIR/poold/control.sock, /run/poold/control.sock.)";

// CLI11's own usage line does not know that words after the options are a command.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    const std::string verb = app->get_name();
    if (verb == "run" || verb == "submit") {
      const std::string head = "poolctl " + verb + " [OPTIONS]";
      return "Usage: " + head + " [--] COMMAND [ARG...]\n       " + head +
             " --function NAME [ARG...] [--kw K=V...]\n";
    }
    if (verb == "add")
      return "Usage: poolctl cron add --name NAME [OPTIONS] SPEC [--] COMMAND [ARG...]\n"
             "       poolctl cron add --name NAME [OPTIONS] SPEC --function NAME [ARG...] [--kw K=V...]\n";
    if (verb == "map")
      return "Usage: poolctl map [OPTIONS] [--] COMMAND [ARG...] [::: ITEM...]\n"
             "       poolctl map [OPTIONS] --function NAME [ARG...] [--kw K=V...] [::: ITEM...]\n";
    if (app->get_parent() == nullptr) return "Usage: poolctl [OPTIONS] [VERB ...]      without a verb: ps\n";
    return CLI::Formatter::make_usage(app, name);
  }
};

void declare(CLI::App& app, Context& context) {
  auto formatter = std::make_shared<HelpFormatter>();
  formatter->column_width(28);
  app.formatter(formatter);
  app.name("poolctl");
  app.set_help_flag("-h,--help", "Print help");
  app.set_version_flag("--version", "poolctl " POOLD_VERSION, "Print the version");
  app.add_option("--socket", context.socket, "The daemon's control socket")->type_name("PATH");
  app.add_flag("--json", context.json, "Print the protocol's JSON");
  app.add_option("-o,--output", context.output,
                 "How to print: table, json, ndjson (lists: one object a line)")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json", "ndjson"}));
  app.add_option("--color", context.color, "Colour states: auto (on a terminal), always, never")
      ->type_name("WHEN")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.footer(
      "Options of every verb: --socket, --json, -o, --color. Exit codes: poolctl --help");  // copied by
                                                                                            // the verbs
  app.fallthrough();
  for (const auto add :
       {add_submit,  add_run,   add_map,       add_ps,     add_show,  add_logs,      add_wait,
        add_cancel,  add_kill,  add_retry,     add_prune,  add_hold,  add_release,   add_explain,
        add_events,  add_top,   add_pool,      add_worker, add_limit, add_group,     add_cron,
        add_process, add_queue, add_semaphore, add_daemon, add_api,   add_completion})
    add(app, context);
  app.footer(examples_and_exit_codes);
}

bool takes_value(const CLI::App& app, std::string_view option) {
  const CLI::Option* found = app.get_option_no_throw(std::string(option));
  return found && found->get_items_expected_max() > 0;
}

Words names_of(const CLI::App& app) {
  Words names;
  for (const CLI::App* verb : app.get_subcommands(nullptr)) {
    names.push_back(verb->get_name());
    const auto& aliases = verb->get_aliases();
    names.insert(names.end(), aliases.begin(), aliases.end());
  }
  return names;
}

std::string verbs_of(const CLI::App& app) {
  std::string all;
  for (const CLI::App* verb : app.get_subcommands(nullptr))
    all.append(all.empty() ? "" : ", ").append(verb->get_name());
  return all;
}

CLI::App& find_subcommand(CLI::App& app, const std::string& word, const std::string& what) {
  for (CLI::App* verb : app.get_subcommands(nullptr))
    if (verb->check_name(word)) return *verb;
  const Words known = names_of(app);
  const std::string near = nearest(word, known);
  if (!near.empty()) throw UsageError("unknown " + what + " '" + word + "': did you mean " + near + "?");
  throw UsageError("unknown " + what + " '" + word + "' (accepted: " + verbs_of(app) + ")");
}

bool takes_work(const CLI::App& verb) {
  return verb.get_name() == "run" || verb.get_name() == "submit" || verb.get_name() == "map";
}

// Of `process start`: what stands behind it is work, as for `run`.
void take_work(CLI::App& app, CLI::App& verb, Context& context, Words& words, std::size_t at) {
  const auto behind = words.begin() + static_cast<std::ptrdiff_t>(at) + 1;
  context.work = split_work(Words(behind, words.end()), [&](std::string_view option) {
    return takes_value(verb, option) || takes_value(app, option);
  });
  words.erase(behind, words.end());
  words.insert(words.end(), context.work.options.begin(), context.work.options.end());
}

// SPEC is the first word that is no option; what follows is as for submit.
Words prepare_cron_add(const CLI::App& app, const CLI::App& add, Context& context, const Words& rest) {
  const auto any_takes_value = [&](std::string_view option) {
    return takes_value(add, option) || takes_value(app, option);
  };
  const auto second = find_verb(rest, any_takes_value);
  const auto begin = rest.begin() + static_cast<std::ptrdiff_t>(*second) + 1;
  Words words(begin, rest.end());
  if (const auto spec = find_verb(words, any_takes_value)) {
    const auto at = words.begin() + static_cast<std::ptrdiff_t>(*spec);
    context.spec = *at;
    words.erase(at);
  }
  context.work = split_work(words, any_takes_value);
  Words prepared(rest.begin(), begin);
  prepared.insert(prepared.end(), context.work.options.begin(), context.work.options.end());
  return prepared;
}

// The words as CLI11 is to read them: the verb is there and known, a command is taken out.
Words prepare(CLI::App& app, Context& context, const Words& words, bool& is_run) {
  const auto root_takes_value = [&](std::string_view option) { return takes_value(app, option); };
  const auto at = find_verb(words, root_takes_value);
  const bool asks_for_help = std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return word == "-h" || word == "--help" || word == "--version";
  });
  if (!at) {
    Words prepared = words;
    if (!asks_for_help) prepared.insert(prepared.begin(), "ps");
    return prepared;
  }
  const auto offset = static_cast<std::ptrdiff_t>(*at);
  CLI::App& verb = find_subcommand(app, words[*at], "verb");
  is_run = verb.get_name() == "run";
  const auto any_takes_value = [&](std::string_view option) {
    return takes_value(verb, option) || takes_value(app, option);
  };
  Words rest(words.begin() + offset + 1, words.end());
  bool is_cron_add = false;
  if (verb.get_name() == "kill") rest = with_signal_option(rest);
  if (!verb.get_subcommands(nullptr).empty()) {
    if (const auto second = find_verb(rest, any_takes_value)) {
      CLI::App& below = find_subcommand(verb, rest[*second], verb.get_name() + " verb");
      is_cron_add = verb.get_name() == "cron" && below.get_name() == "add";
      if (verb.get_name() == "process" && below.get_name() == "start")
        take_work(app, below, context, rest, *second);
    } else if (!asks_for_help)
      throw UsageError(verb.get_name() + " what? (accepted: " + verbs_of(verb) + ")");
  }
  if (is_cron_add) {
    rest = prepare_cron_add(app, *verb.get_subcommand("add"), context, rest);
  } else if (takes_work(verb)) {
    context.work =
        verb.get_name() == "map" ? split_map(rest, any_takes_value) : split_work(rest, any_takes_value);
    rest = context.work.options;
  }
  Words prepared(words.begin(), words.begin() + offset + 1);
  prepared.insert(prepared.end(), rest.begin(), rest.end());
  return prepared;
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string unreachable_text(const Context& context, const Unreachable& error) {
  std::string text = error.what();
  if (error.code() == Code::unavailable && context.socket.empty())
    text.append(
        " (is poold running? Start it with `poold`, or name its socket with --socket or POOLD_SOCKET)");
  else if (error.code() == Code::unavailable)
    text.append(" (start a daemon with `poold --socket ").append(context.socket).append("`)");
  return text;
}

int fail(const Context& context, bool is_run, const std::exception& error) {
  int code = exit_internal;
  std::string text = error.what();
  if (const auto* unreachable = dynamic_cast<const Unreachable*>(&error))
    text = unreachable_text(context, *unreachable);
  if (const auto* known = dynamic_cast<const Error*>(&error)) code = exit_code_of(*known);
  const bool has_work = !context.work.words.empty() || context.work.function_mode;
  if (has_work) text = with_option_name(text);
  if (dynamic_cast<const UsageError*>(&error) || dynamic_cast<const std::invalid_argument*>(&error))
    code = exit_usage;
  complain(one_line(text));
  return is_run ? static_cast<int>(exit_run_error) : code;
}

// "poolctl pool scale", as far as it was given.
std::string verb_of(const CLI::App& app) {
  std::string text = "poolctl";
  for (auto below = app.get_subcommands(); !below.empty(); below = below.front()->get_subcommands())
    text += " " + below.front()->get_name();
  return text;
}

// CLI11's "Could not convert: --priority = high" says neither what is wrong nor what would be right.
std::string parse_error_text(const CLI::App& app, const CLI::ParseError& error) {
  const std::string text = error.what();
  constexpr std::string_view conversion = "Could not convert: ";
  if (text.starts_with(conversion)) {
    const std::string said = text.substr(conversion.size());
    const std::size_t equals = said.find(" = ");
    return said.substr(0, equals) + (equals == said.npos ? "" : " " + said.substr(equals + 3)) +
           ": not a whole number, or one beyond what it can be";
  }
  if (!dynamic_cast<const CLI::ExtrasError*>(&error)) return text;
  const std::size_t dash = text.find("-");
  const std::size_t end = text.find_first_of(" =", dash);
  if (dash == text.npos) return text;
  const CLI::App* verb = &app;
  Words known;
  for (;;) {
    for (const CLI::Option* option : verb->get_options())
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    const auto below = verb->get_subcommands();
    if (below.empty()) break;
    verb = below.front();
  }
  const std::string near = nearest(text.substr(dash, end - dash), known);
  return near.empty() ? text : text + ": did you mean " + near + "?";
}

}  // namespace

int run_app(const Words& words) {
  Context context;
  bool is_run = false;
  try {
    CLI::App app("poolctl: submit tasks to poold, follow them, and look after its pools");
    declare(app, context);
    Words prepared = prepare(app, context, words, is_run);
    std::reverse(prepared.begin(), prepared.end());  // as CLI11 takes them
    try {
      app.parse(prepared);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
      throw UsageError(parse_error_text(app, error) + " (see " + verb_of(app) + " --help)");
    }
    if (!context.action) throw UsageError("what is to be done? (see poolctl --help)");
    const int code = context.action();
    if (std::fflush(stdout) != 0) throw std::runtime_error("cannot write to stdout");
    return code;
  } catch (const std::exception& error) {
    return fail(context, is_run, error);
  }
}

}  // namespace poold::cli
