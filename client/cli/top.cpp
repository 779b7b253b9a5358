// top: pools, workers and tasks as they change, and keys to do something about them. The loop: it waits for
// keys, for answers and for the next second, and draws after each.
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "client/cli/exit_code.hpp"
#include "client/cli/reading.hpp"
#include "client/cli/text.hpp"
#include "client/cli/top/desk.hpp"
#include "client/cli/top/frame.hpp"
#include "client/cli/top/model.hpp"
#include "client/cli/top/terminal.hpp"
#include "client/cli/verbs.hpp"
#include "common/overloaded.hpp"

namespace poold::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct TopOptions {
  bool once = false;
  bool ended_too = false;
  std::string interval = "1s";
};

constexpr std::chrono::milliseconds interval_min{100};
constexpr std::chrono::milliseconds interval_max = std::chrono::hours(1);

std::chrono::milliseconds read_interval(const std::string& text) {
  const char* accepted = " (accepted: 100ms to 1h, such as 500ms or 2s)";
  std::chrono::milliseconds interval{};
  try {
    interval = read_duration(text);
  } catch (const UsageError&) {
    throw UsageError("--interval " + text + ": not a duration" + accepted);
  }
  if (interval < interval_min || interval > interval_max)
    throw UsageError("--interval " + text + ": too short or too long" + accepted);
  return interval;
}

// The signals that end top or change the terminal, as something to wait for: a terminal is given back before
// anything ends.
class Signals {
 public:
  Signals() {
    sigset_t wanted;
    sigemptyset(&wanted);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH}) sigaddset(&wanted, number);
    ::sigprocmask(SIG_BLOCK, &wanted, &before_);
    descriptor_ = FileDescriptor(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!descriptor_.valid()) throw std::system_error(errno, std::generic_category(), "signalfd");
  }
  ~Signals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int descriptor() const { return descriptor_.get(); }
  int take() {
    signalfd_siginfo info{};
    return ::read(descriptor_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo)
                                                                        : 0;
  }

 private:
  sigset_t before_;
  FileDescriptor descriptor_;
};

// Names in any script are as wide as they are, whatever the locale says of the language.
void use_utf8() {
  if (!::setlocale(LC_CTYPE, "") ||
      std::string_view(::setlocale(LC_CTYPE, nullptr)).find("UTF-8") == std::string_view::npos)
    ::setlocale(LC_CTYPE, "C.UTF-8");
}

class Loop {
 public:
  Loop(Context& context, top::Snapshot first, const TopOptions& options)
      : interval_(read_interval(options.interval)),
        desk_(context.socket_path()),
        terminal_(std::in_place, context.colours()) {
    if (options.ended_too) model_.press({top::Key::Kind::text, "a"});
    model_.say("");  // who asked for it on the command line knows
    model_.take(std::move(first));
    next_refresh_ = Clock::now() + interval_;
  }

  // What top exits with.
  int run() {
    while (!exit_) {
      terminal_->show(top::draw(model_, terminal_->size()));
      wait();
      take_signals();
      take_keys();
      for (top::News& news : desk_.take()) take(std::move(news));
      if (Clock::now() >= next_refresh_) refresh();
    }
    terminal_.reset();
    // A daemon that does not answer keeps nobody here: what is asked is forgotten.
    if (desk_.busy()) ::_exit(*exit_);
    return *exit_;
  }

 private:
  void wait() {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_refresh_ - Clock::now());
    std::array<pollfd, 3> entries{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{signals_.descriptor(), POLLIN, 0},
                                  pollfd{desk_.descriptor(), POLLIN, 0}};
    const int timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, interval_max.count()));
    if (::poll(entries.data(), entries.size(), timeout) < 0 && errno != EINTR)
      throw std::system_error(errno, std::generic_category(), "poll");
    const bool gone = (entries[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
    if (gone) exit_ = exit_signal_base + SIGHUP;
  }

  void take_signals() {
    while (const int number = signals_.take()) {
      if (number == SIGWINCH)
        terminal_->resize();
      else
        exit_ = number == SIGINT ? static_cast<int>(exit_ok) : exit_signal_base + number;
    }
  }

  void take_keys() {
    while (const auto key = terminal_->read())
      if (auto wish = model_.press(*key)) take(std::move(*wish));
  }

  void take(top::Wish wish) {
    switch (wish.what) {
      case top::Wish::What::quit:
        exit_ = exit_ok;
        return;
      case top::Wish::What::redraw:
        terminal_->redraw();
        return;
      case top::Wish::What::refresh:
        return desk_.refresh(model_.shows_ended());
      case top::Wish::What::log:
        model_.open(
            {.kind = top::Sheet::Kind::log, .id = wish.id, .title = "Log of " + wish.name, .at_end = true});
        return desk_.ask(std::move(wish));
      case top::Wish::What::show:
        return desk_.ask(std::move(wish));
      case top::Wish::What::cancel:
      case top::Wish::What::retry:
      case top::Wish::What::pause:
      case top::Wish::What::resume:
      case top::Wish::What::scale:
        desk_.ask(std::move(wish));
        return desk_.refresh(model_.shows_ended());  // what came of it
    }
  }

  void take(top::News news) {
    std::visit(Overloaded{[&](top::Snapshot& snapshot) { model_.take(std::move(snapshot)); },
                          [&](top::Lost& lost) { model_.lose(std::move(lost.why) + ": trying again"); },
                          [&](top::Answer& answer) { model_.say(std::move(answer.text), answer.wrong); },
                          [&](top::Sheet& sheet) { model_.open(std::move(sheet)); },
                          [&](top::LogLines& log) { model_.add_lines(log.id, std::move(log.lines)); }},
               news);
  }

  void refresh() {
    next_refresh_ = Clock::now() + interval_;
    if (desk_.busy()) return;  // it is asking already
    if (const auto& sheet = model_.sheet(); sheet && sheet->kind == top::Sheet::Kind::log)
      desk_.ask({top::Wish::What::log, sheet->id});
    desk_.refresh(model_.shows_ended());
  }

  std::chrono::milliseconds interval_;
  Signals signals_;
  top::Desk desk_;
  std::optional<top::Terminal> terminal_;
  top::Model model_;
  Clock::time_point next_refresh_;
  std::optional<int> exit_;
};

int print_once(Context& context, top::Snapshot snapshot) {
  top::Model model;
  model.take(std::move(snapshot));
  for (const top::FrameLine& line : top::draw_once(model, context.screen().width))
    print(top::to_text(line, context.colours()) + "\n");
  return exit_ok;
}

int run_top(Context& context, const TopOptions& options) {
  if (context.format() != Format::table)
    throw UsageError(
        "top is for people (for JSON: poolctl ps, pool ls, worker ls or daemon info with --json)");
  read_interval(options.interval);
  use_utf8();
  if (!options.once) top::require_terminal();  // before a daemon is asked for nothing
  top::Snapshot first = top::ask_snapshot(context.connection(), options.ended_too);
  if (options.once) return print_once(context, std::move(first));
  return Loop(context, std::move(first), options).run();
}

}  // namespace

void add_top(CLI::App& app, Context& context) {
  const auto options = std::make_shared<TopOptions>();
  CLI::App* verb =
      app.add_subcommand("top", "Watch pools, workers and tasks, and act on them (? lists the keys)");
  verb->group(group_tasks);
  verb->add_option("-d,--interval", options->interval, "How often it looks (default: 1s)")->type_name("D");
  verb->add_flag("-b,--once", options->once, "Print one frame and end; needs no terminal");
  verb->add_flag("-a,--all", options->ended_too, "Ended tasks too");
  verb->callback(
      [&context, options] { context.action = [&context, options] { return run_top(context, *options); }; });
}

}  // namespace poold::cli
