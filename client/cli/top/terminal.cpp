#include "client/cli/top/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cwchar>

#include "client/cli/reading.hpp"

// Its macros are called like half the world.
#define NCURSES_NOMACROS 1
#define NCURSES_WIDECHAR 1
#include <ncurses.h>

namespace poold::cli::top {
namespace {

constexpr int escape_delay_ms = 25;  // how long the rest of a key's sequence may take

constexpr const char* instead =
    " (for one frame anywhere: poolctl top --once; for lists: poolctl ps, poolctl pool ls)";

short pair_of(Colour colour) { return static_cast<short>(colour); }

void start_colours() {
  if (!::has_colors()) return;
  ::start_color();
  ::use_default_colors();
  ::init_pair(pair_of(Colour::green), COLOR_GREEN, -1);
  ::init_pair(pair_of(Colour::red), COLOR_RED, -1);
  ::init_pair(pair_of(Colour::yellow), COLOR_YELLOW, -1);
  ::init_pair(pair_of(Colour::cyan), COLOR_CYAN, -1);
}

attr_t attributes_of(const Span& span) {
  attr_t attributes = A_NORMAL;
  if (span.bold) attributes |= A_BOLD;
  if (span.dim) attributes |= A_DIM;
  if (span.reversed) attributes |= A_REVERSE;
  return attributes;
}

std::string utf8(wint_t point) {
  char bytes[MB_LEN_MAX];
  std::mbstate_t state{};
  const std::size_t length = std::wcrtomb(bytes, static_cast<wchar_t>(point), &state);
  return length == static_cast<std::size_t>(-1) ? "" : std::string(bytes, length);
}

std::optional<Key> special_key(wint_t code) {
  using Kind = Key::Kind;
  switch (code) {
    case KEY_UP:
      return Key{Kind::up};
    case KEY_DOWN:
      return Key{Kind::down};
    case KEY_PPAGE:
      return Key{Kind::page_up};
    case KEY_NPAGE:
      return Key{Kind::page_down};
    case KEY_HOME:
      return Key{Kind::home};
    case KEY_END:
      return Key{Kind::end};
    case KEY_BTAB:
      return Key{Kind::back_tab};
    case KEY_ENTER:
      return Key{Kind::enter};
    case KEY_BACKSPACE:
      return Key{Kind::backspace};
    default:
      return {};
  }
}

std::optional<Key> plain_key(wint_t code) {
  using Kind = Key::Kind;
  switch (code) {
    case '\t':
      return Key{Kind::tab};
    case '\r':
    case '\n':
      return Key{Kind::enter};
    case 27:
      return Key{Kind::escape};
    case 8:
    case 127:
      return Key{Kind::backspace};
    case 12:
      return Key{Kind::redraw};
    default:
      return code < 32 ? std::nullopt : std::optional(Key{Kind::text, utf8(code)});
  }
}

}  // namespace

void require_terminal() {
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1)
    throw UsageError(std::string("top needs a terminal") + instead);
  const char* type = std::getenv("TERM");
  if (!type || !*type)
    throw UsageError(std::string("top needs to know the terminal: TERM is not set") + instead);
}

Terminal::Terminal(bool colours) {
  require_terminal();
  ::set_escdelay(escape_delay_ms);
  if (!::newterm(nullptr, stdout, stdin))
    throw UsageError("top does not know this terminal: TERM is '" + std::string(std::getenv("TERM")) + "'" +
                     instead);
  ::cbreak();
  ::noecho();
  ::nonl();
  ::keypad(stdscr, TRUE);
  ::nodelay(stdscr, TRUE);
  ::curs_set(0);
  if (colours) start_colours();
}

Terminal::~Terminal() {
  ::curs_set(1);
  ::endwin();
}

Size Terminal::size() const {
  return {static_cast<std::size_t>(std::max(::getmaxx(stdscr), 1)),
          static_cast<std::size_t>(std::max(::getmaxy(stdscr), 1))};
}

void Terminal::show(const Frame& frame) {
  ::werase(stdscr);
  for (std::size_t row = 0; row < frame.lines.size(); ++row) {
    ::wmove(stdscr, static_cast<int>(row), 0);
    for (const Span& span : frame.lines[row]) {
      const short pair = ::has_colors() ? pair_of(span.colour) : short{0};
      ::wattr_set(stdscr, attributes_of(span), pair, nullptr);
      ::waddnstr(stdscr, span.text.c_str(), -1);
    }
  }
  ::wattr_set(stdscr, A_NORMAL, 0, nullptr);
  ::curs_set(frame.caret_column ? 1 : 0);
  if (frame.caret_column)
    ::wmove(stdscr, static_cast<int>(frame.lines.size()) - 1, static_cast<int>(*frame.caret_column));
  ::wrefresh(stdscr);
}

void Terminal::resize() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
    ::resizeterm(size.ws_row, size.ws_col);
}

void Terminal::redraw() { ::wclear(stdscr); }

std::optional<Key> Terminal::read() {
  for (;;) {
    wint_t code = 0;
    const int kind = ::wget_wch(stdscr, &code);
    if (kind == ERR) return {};
    if (const auto key = kind == KEY_CODE_YES ? special_key(code) : plain_key(code)) return key;
  }
}

}  // namespace poold::cli::top
