// The parts of poolctl map that are functions of their arguments.
#include <gtest/gtest.h>

#include "client/cli/command_line.hpp"
#include "client/cli/halt.hpp"
#include "client/cli/map_items.hpp"
#include "client/cli/output_shelf.hpp"
#include "client/cli/progress.hpp"
#include "client/cli/progress_text.hpp"
#include "client/cli/reading.hpp"
#include "client/cli/task_template.hpp"
#include "poold/v1/task.pb.h"

namespace poold::cli {
namespace {

using std::chrono::milliseconds;

Words items_of(ItemSplitter& splitter) {
  Words items;
  while (const auto item = splitter.next()) items.emplace_back(*item);
  return items;
}

TEST(ItemSplitter, ItemsMayComeInPieces) {
  ItemSplitter splitter('\n');
  splitter.feed("on");
  EXPECT_EQ(items_of(splitter), Words{});
  splitter.feed("e\n\ntw");
  EXPECT_EQ(items_of(splitter), (Words{"one", ""}));
  splitter.finish();
  EXPECT_EQ(items_of(splitter), Words{"tw"});
  EXPECT_EQ(items_of(splitter), Words{});
}

TEST(ItemSplitter, ALastItemWithItsEndIsNotFollowedByAnEmptyOne) {
  ItemSplitter splitter('\0');
  splitter.feed(std::string("a\nb\0", 4));
  splitter.finish();
  EXPECT_EQ(items_of(splitter), Words{"a\nb"});
}

TEST(ItemSplitter, AnItemWithoutEndIsRefused) {
  ItemSplitter splitter('\n');
  EXPECT_THROW(splitter.feed(std::string(17 * 1024 * 1024, 'x')), UsageError);
}

v1::TaskSpec proto_of(const TaskTemplate& pattern, std::string_view item, const std::string& key = "") {
  v1::TaskSpec proto;
  const TaskSpec spec = pattern.make(item, key);
  EXPECT_TRUE(proto.ParseFromArray(spec.bytes().data(), static_cast<int>(spec.bytes().size())));
  return proto;
}

Words argv_of(const v1::TaskSpec& task) {
  return {task.command().argv().begin(), task.command().argv().end()};
}

TEST(TaskTemplate, TheItemIsReplacedWhereverItStands) {
  const TaskTemplate pattern(Command{{"cp", "{}", "to/{}.{}"}, {{"X", "<{}>"}}, "/{}", {}}, {});
  const v1::TaskSpec task = proto_of(pattern, "a");
  EXPECT_EQ(argv_of(task), (Words{"cp", "a", "to/a.a"}));
  EXPECT_EQ(task.command().env().at("X"), "<a>");
  EXPECT_EQ(task.command().cwd(), "/a");
  EXPECT_EQ(pattern.line("a b"), "cp 'a b' 'to/a b.a b'");
}

TEST(TaskTemplate, WithoutAPlaceTheItemComesLast) {
  EXPECT_EQ(argv_of(proto_of(TaskTemplate(Command{{"echo", "x"}, {}, {}, {}}, {}), "a")),
            (Words{"echo", "x", "a"}));
  EXPECT_EQ(proto_of(TaskTemplate(CallWords{"f", {"1"}, {}}, {}), "2").function().args_size(), 2);
}

TEST(TaskTemplate, ANamedArgumentUsesTheItem) {
  const v1::TaskSpec task = proto_of(TaskTemplate(CallWords{"f", {}, {{"z", "{}"}}}, {}), "7");
  EXPECT_EQ(task.function().args_size(), 0);
  EXPECT_EQ(task.function().kwargs().at("z").number_value(), 7);
}

TEST(TaskTemplate, AnItemThatLooksLikeAPlaceIsNotReplacedAgain) {
  EXPECT_EQ(filled("a{}b{}", "{}"), "a{}b{}");
  EXPECT_EQ(filled("{{}}", "x"), "{x}");
}

TEST(TaskTemplate, NameKeyAndLabelsTakeTheItemButDoNotUseItUp) {
  SubmitOptions options;
  options.name = "n-{}";
  options.key = "k-{}";
  options.labels["item"] = "{}";
  const TaskTemplate pattern(Command{{"echo"}, {}, {}, {}}, options);
  const v1::TaskSpec task = proto_of(pattern, "a");
  EXPECT_EQ(task.name(), "n-a");
  EXPECT_EQ(task.key(), "k-a");
  EXPECT_EQ(task.labels().at("item"), "a");
  EXPECT_EQ(argv_of(task), (Words{"echo", "a"}));
  EXPECT_EQ(proto_of(pattern, "a", "other").key(), "other");
}

TEST(TaskTemplate, AnIntegerThatWouldBeRoundedIsRefused) {
  EXPECT_THROW(TaskTemplate(CallWords{"f", {}, {}}, {}).make("9007199254740993", ""), UsageError);
}

bool takes_value(std::string_view option) { return option == "--pool" || option == "-j"; }

TEST(SplitMap, ItemsStandAfterThreeColons) {
  const Words words{"-j", "2", "--", "echo", "-n", "{}", ":::", "a", "--", "-b"};
  const WorkLine line = split_map(words, takes_value);
  EXPECT_EQ(line.options, (Words{"-j", "2"}));
  EXPECT_EQ(line.words, (Words{"echo", "-n", "{}"}));
  EXPECT_EQ(line.items, (Words{"a", "--", "-b"}));
}

TEST(SplitMap, NoItemsAreNotTheSameAsNoColons) {
  EXPECT_EQ(split_map(Words{"echo", ":::"}, takes_value).items, Words{});
  EXPECT_FALSE(split_map(Words{"echo"}, takes_value).items);
  EXPECT_THROW(split_map(Words{"echo", ":::", "a", ":::", "b"}, takes_value), UsageError);
}

TEST(Halt, RulesAreRead) {
  EXPECT_EQ(read_halt("never").when, Halt::When::never);
  const Halt halt = read_halt("soon,fail=20%");
  EXPECT_EQ(halt.when, Halt::When::soon);
  EXPECT_EQ(halt.what, Halt::What::fail);
  EXPECT_EQ(halt.count, 20u);
  EXPECT_TRUE(halt.percent);
  EXPECT_EQ(read_halt("now,done=3").what, Halt::What::done);
  for (const char* wrong : {"", "soon", "now,", "soon,fail", "now,fail=", "now,fail=0", "now,fail=-1",
                            "now,fail=101%", "later,fail=1", "now,fail=1x", "fail=1", "NOW,fail=1"})
    EXPECT_THROW(read_halt(wrong), UsageError) << wrong;
}

TEST(Halt, NumbersAreReached) {
  EXPECT_FALSE(read_halt("now,fail=2").reached({.succeeded = 9, .failed = 1}));
  EXPECT_TRUE(read_halt("now,fail=2").reached({.succeeded = 9, .failed = 2}));
  EXPECT_TRUE(read_halt("now,success=9").reached({.succeeded = 9, .failed = 2}));
  EXPECT_TRUE(read_halt("soon,done=11").reached({.succeeded = 9, .failed = 2}));
  EXPECT_FALSE(read_halt("never").reached({.succeeded = 0, .failed = 1000}));
}

TEST(Halt, AShareOfTwoTasksSaysNothing) {
  EXPECT_FALSE(read_halt("now,fail=50%").reached({.succeeded = 0, .failed = 2}));
  EXPECT_TRUE(read_halt("now,fail=50%").reached({.succeeded = 3, .failed = 3}));
  EXPECT_FALSE(read_halt("now,fail=50%").reached({.succeeded = 4, .failed = 3}));
}

TEST(Window, ShortTasksComeInThousandsAndLongOnesDoNot) {
  const Window::Instant begin{};
  Window window(2, begin);
  const std::size_t first = window.size();
  EXPECT_GE(first, 8u);
  for (int turn = 1; turn <= 10; ++turn) window.ended(100, begin + milliseconds(20) * turn);
  EXPECT_EQ(window.size(), 5000u);
  window.ended(1, begin + milliseconds(2200));
  EXPECT_EQ(window.size(), 2500u) << "a pause says little";
  window.ended(1, begin + milliseconds(30'000));
  EXPECT_EQ(window.size(), first);
}

TEST(Window, HasABound) {
  const Window::Instant begin{};
  Window window(2, begin);
  window.ended(1'000'000, begin + milliseconds(20));
  EXPECT_EQ(window.size(), 8192u);
}

std::string taken(OutputShelf& shelf, OutputShelf::Output& output) {
  std::string text;
  shelf.take(output, [&](const v1::LogChunk& chunk) {
    text.append(chunk.stream() == v1::LogChunk::STDERR ? "E" : "O").append(chunk.data());
    return true;
  });
  return text;
}

TEST(OutputShelf, OrderAndStreamsAreKept) {
  OutputShelf shelf;
  OutputShelf::Output output;
  shelf.add(output, v1::LogChunk::STDOUT, "a");
  shelf.add(output, v1::LogChunk::STDOUT, "b");
  shelf.add(output, v1::LogChunk::STDERR, "c");
  shelf.add(output, v1::LogChunk::STDOUT, "d");
  EXPECT_EQ(output.pieces.size(), 3u);
  EXPECT_EQ(output.bytes, 4u);
  EXPECT_EQ(taken(shelf, output), "OabEcOd");
  EXPECT_TRUE(output.pieces.empty());
}

TEST(OutputShelf, WhatIsTooMuchForMemoryComesBackFromTheFile) {
  OutputShelf shelf(10);
  OutputShelf::Output first, second;
  shelf.add(first, v1::LogChunk::STDOUT, "12345678");
  shelf.add(second, v1::LogChunk::STDOUT, "abcdefgh");
  shelf.add(first, v1::LogChunk::STDERR, "ABCDEFGH");
  EXPECT_EQ(first.pieces[0].file_size, 0u);
  EXPECT_EQ(second.pieces[0].file_size, 8u);
  EXPECT_EQ(taken(shelf, first), "O12345678EABCDEFGH");
  shelf.add(first, v1::LogChunk::STDOUT, "new");
  EXPECT_EQ(first.pieces[0].file_size, 0u) << "there is room in memory again";
  EXPECT_EQ(taken(shelf, second), "Oabcdefgh");
  EXPECT_EQ(taken(shelf, first), "Onew");
}

TEST(OutputShelf, ASinkThatHasEnoughEndsIt) {
  OutputShelf shelf(1);
  OutputShelf::Output output;
  shelf.add(output, v1::LogChunk::STDOUT, "aa");
  shelf.add(output, v1::LogChunk::STDERR, "bb");
  int count = 0;
  EXPECT_FALSE(shelf.take(output, [&](const v1::LogChunk&) { return ++count > 1; }));
  EXPECT_EQ(count, 1);
}

TEST(ProgressText, TotalKnownOrNot) {
  const ProgressState known{{.succeeded = 40, .failed = 2}, 0, 100};
  EXPECT_EQ(progress_text(known, 2), "42 of 100 done, 2.0/s, 29s left, 2 failed");
  EXPECT_EQ(progress_bar(known, 2, 79),
            " 42% [===============>                     ]  42/100  2.0/s  29s left  2 failed");
  EXPECT_EQ(progress_bar(known, 2, 30), "42/100  2.0/s  29s left  2 fa…");
  EXPECT_EQ(progress_text({{.succeeded = 7}, 3, {}}, 1234), "10 done, 1.2k/s");
  EXPECT_EQ(progress_bar({{.succeeded = 7}, 3, {}}, 1234, 79), "10 done  1.2k/s");
  EXPECT_EQ(progress_bar({{.succeeded = 4}, 0, 4}, 1, 40).substr(0, 7), "100% [=");
}

TEST(ProgressLines, OneEveryTenSecondsWhereNobodyWatches) {
  using std::chrono::seconds;
  const Progress::Instant begin{};
  Progress progress(Progress::Kind::lines, begin);
  std::vector<std::string> said;
  for (int second = 1; second <= 21; ++second) {
    EXPECT_EQ(progress.due_in(begin + seconds(second - 1)), seconds(10 - (second - 1) % 10)) << second;
    testing::internal::CaptureStderr();
    progress.show({{.succeeded = static_cast<std::uint64_t>(second)}, 0, 40}, begin + seconds(second));
    said.push_back(testing::internal::GetCapturedStderr());
  }
  EXPECT_EQ(std::ranges::count(said, ""), 19);
  EXPECT_EQ(said[9], "poolctl: 10 of 40 done, 1.0/s, 30s left\n");
  EXPECT_EQ(said[19], "poolctl: 20 of 40 done, 1.0/s, 20s left\n");
}

TEST(ProgressText, ThePaceOfLateCounts) {
  const Pace::Instant begin{};
  Pace pace(begin);
  pace.update(100, begin + milliseconds(1000));
  EXPECT_DOUBLE_EQ(pace.per_second(), 100);
  std::uint64_t done = 100;
  for (int second = 2; second < 40; ++second) pace.update(done += 10, begin + milliseconds(1000) * second);
  EXPECT_NEAR(pace.per_second(), 10, 1);
}

}  // namespace
}  // namespace poold::cli
