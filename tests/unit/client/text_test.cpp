// Quoting and escaping, tables and sheets.
#include "client/cli/text.hpp"

#include <gtest/gtest.h>

#include "client/cli/table.hpp"

namespace poold::cli {
namespace {

TEST(ShellQuoted, PlainWordsStayAsTheyAre) {
  EXPECT_EQ(shell_quoted("/usr/bin/make"), "/usr/bin/make");
  EXPECT_EQ(shell_quoted("a=b"), "a=b");
}

TEST(ShellQuoted, WhatAShellWouldReadIsQuoted) {
  EXPECT_EQ(shell_quoted(""), "''");
  EXPECT_EQ(shell_quoted("a b"), "'a b'");
  EXPECT_EQ(shell_quoted("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_quoted("$HOME;*"), "'$HOME;*'");
  EXPECT_EQ(shell_quoted("\u00e9"), "'\u00e9'");
  EXPECT_EQ(shell_quoted("a\nb'\\"), "$'a\\nb\\'\\\\'");
  EXPECT_EQ(shell_quoted("\x1b[2J\xff"), "$'\\x1b[2J\\xff'");
  const std::vector<std::string> words = {"sh", "-c", "exit 7"};
  EXPECT_EQ(shell_quoted(words), "sh -c 'exit 7'");
}

TEST(EscapedLine, NothingOrdersTheTerminalAbout) {
  EXPECT_EQ(escaped_line("\x1b]0;title\a"), "\\x1b]0;title\\x07");
  EXPECT_EQ(escaped_line("a\tb\r\n"), "a\\tb\\r\\n");
  EXPECT_EQ(escaped_line("\x7f\xc2\x9b"), "\\x7f\\xc2\\x9b");  // delete, and C1's control sequence introducer
  EXPECT_EQ(escaped_line("\xe2\x80\xae"), "\\xe2\\x80\\xae");  // right-to-left override
  EXPECT_EQ(escaped_line("\xff\xc3(\xed\xa0\x80"), "\\xff\\xc3(\\xed\\xa0\\x80");
  EXPECT_EQ(escaped_line("gr\u00fcn \u65e5\u672c \U0001f642"), "gr\u00fcn \u65e5\u672c \U0001f642");
}

TEST(TerminalEscaper, CharactersSplitBetweenPiecesStayWhole) {
  const std::string text = "\u00e9\u65e5\U0001f642\n\x1b[1m\xff";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    TerminalEscaper escaper;
    std::string shown = escaper.escape(text.substr(0, cut));
    shown += escaper.escape(text.substr(cut));
    shown += escaper.finish();
    EXPECT_EQ(shown, "\u00e9\u65e5\U0001f642\n\\x1b[1m\\xff") << cut;
  }
}

TEST(TerminalEscaper, CharacterThatNeverBecomesWholeIsShownAtTheEnd) {
  TerminalEscaper escaper;
  EXPECT_EQ(escaper.escape("a\xe2\x82"), "a");
  EXPECT_EQ(escaper.finish(), "\\xe2\\x82");
  EXPECT_EQ(escaper.finish(), "");
}

TEST(CutToWidth, CutsBetweenCharacters) {
  EXPECT_EQ(cut_to_width("gr\u00fcn", 4), "gr\u00fcn");
  EXPECT_EQ(cut_to_width("gr\u00fcnes", 4), "gr\u00fc\u2026");
  EXPECT_EQ(cut_to_width("ab", 1), "\u2026");
  EXPECT_EQ(cut_to_width("ab", 0), "");
}

TEST(Table, ColumnsStandUnderOneAnotherWithoutBlanksAtTheEnd) {
  Table table({{"NAME"}, {"N", true}, {"OUTCOME"}}, {});
  EXPECT_EQ(table.format({{{"long name"}, {"1"}, {""}}, {{"x"}, {"100"}, {"failed"}}}),
            "NAME         N  OUTCOME\n"
            "long name    1\n"
            "x          100  failed\n");
  // Later pages keep the widths and have no titles.
  EXPECT_EQ(table.format({{{"y"}, {"2"}, {"ok"}}}), "y            2  ok\n");
}

TEST(Table, FlexibleColumnsAreCutToFitATerminal) {
  Table table({{"ID"}, {"NAME", false, true}}, {.width = 20, .colours = false});
  EXPECT_EQ(table.format({{{"12345678"}, {"a rather long name"}}}),
            "ID        NAME\n12345678  a rather \u2026\n");
}

TEST(Table, NothingIsCutWithoutATerminal) {
  Table table({{"NAME", false, true}}, {});
  EXPECT_EQ(table.format({{{std::string(300, 'x')}}}), "NAME\n" + std::string(300, 'x') + "\n");
}

TEST(Table, ColoursTakeNoWidth) {
  Table table({{"STATE"}, {"N", true}}, {.width = 80, .colours = true});
  EXPECT_EQ(table.format({{{"OK", Colour::green}, {"1"}}}), "STATE  N\n\x1b[32mOK\x1b[0m     1\n");
}

TEST(Sheet, ValuesStandUnderOneAnotherAndEmptyOnesAreLeftOut) {
  EXPECT_EQ(format_sheet({{"id", "1"}, {"key", ""}, {"environment", "A=1\nB=2\n"}}),
            "id:           1\nenvironment:  A=1\n              B=2\n");
}

}  // namespace
}  // namespace poold::cli
