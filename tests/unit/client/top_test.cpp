// top without a terminal: what keys do to the model, and what the model looks like on screens of all sizes.
#include <gtest/gtest.h>
#include <locale.h>

#include "client/cli/top/columns.hpp"
#include "client/cli/top/frame.hpp"
#include "client/cli/top/model.hpp"

namespace poold::cli::top {
namespace {

v1::Pool pool(const std::string& name, std::uint32_t workers, v1::Pool::State state = v1::Pool::READY) {
  v1::Pool made;
  made.set_name(name);
  made.set_workers(workers);
  made.set_state(state);
  return made;
}

v1::Task task(const std::string& id, const std::string& name, v1::Task::State state) {
  v1::Task made;
  made.set_id(id);
  made.set_name(name);
  made.set_pool("default");
  made.set_state(state);
  made.mutable_submitted_at()->set_seconds(1000);
  made.mutable_command()->add_argv(name);
  return made;
}

Snapshot snapshot(std::vector<v1::Task> tasks = {}) {
  Snapshot made;
  made.at = Time(std::chrono::seconds(1060));
  made.info.set_version("1.2.3");
  made.info.set_engine_pid(7);
  made.info.mutable_started_at()->set_seconds(1000);
  made.pools = {pool("default", 2), pool("math", 1, v1::Pool::PAUSED)};
  for (std::uint32_t slot = 0; slot < 2; ++slot) {
    v1::Worker worker;
    worker.set_pool("default");
    worker.set_slot(slot);
    worker.set_pid(static_cast<int>(100 + slot));
    worker.set_state(v1::Worker::IDLE);
    made.workers.push_back(worker);
  }
  made.workers[1].set_state(v1::Worker::BUSY);
  made.workers[1].set_task_id("id-run");
  made.tasks = std::move(tasks);
  return made;
}

std::vector<v1::Task> three_tasks() {
  return {task("id-wait", "later", v1::Task::WAITING), task("id-queue", "next", v1::Task::QUEUED),
          task("id-run", "now", v1::Task::RUNNING)};
}

Key letter(char c) { return {Key::Kind::text, std::string(1, c)}; }

std::vector<std::string> lines(const Frame& frame) {
  std::vector<std::string> texts;
  for (const FrameLine& line : frame.lines) texts.push_back(to_text(line, false));
  return texts;
}

std::string text(const Frame& frame) {
  std::string all;
  for (const std::string& line : lines(frame)) all += line + "\n";
  return all;
}

class Top : public ::testing::Test {
 protected:
  Top() {
    ::setlocale(LC_CTYPE, "C.UTF-8");
    model.take(snapshot(three_tasks()));
    draw(model, {80, 24});
  }
  ~Top() override { ::setlocale(LC_CTYPE, "C"); }

  std::string chosen() const { return model.shown(model.view())[model.cursor(model.view())].id; }
  void type(const std::string& keys) {
    for (const char c : keys) model.press(letter(c));
  }

  Model model;
};

TEST_F(Top, TasksThatRunStandFirst) {
  ASSERT_EQ(model.view(), View::tasks);
  EXPECT_EQ(chosen(), "id-run");
  type("j");
  EXPECT_EQ(chosen(), "id-queue");
  type("jjj");
  EXPECT_EQ(chosen(), "id-wait");
  type("g");
  EXPECT_EQ(chosen(), "id-run");
}

TEST_F(Top, TheCursorStaysAtItsRowWhenOthersComeAndGo) {
  type("j");
  auto tasks = three_tasks();
  tasks.insert(tasks.begin(), task("id-new", "new", v1::Task::RUNNING));
  model.take(snapshot(tasks));
  EXPECT_EQ(chosen(), "id-queue");
  model.take(snapshot({task("id-run", "now", v1::Task::RUNNING)}));
  EXPECT_EQ(chosen(), "id-run") << "its row is gone: the last one";
  model.take(snapshot());
  EXPECT_EQ(model.cursor(View::tasks), 0u);
}

TEST_F(Top, TabGoesRoundTheTablesAndLettersGoStraight) {
  for (const View view : {View::pools, View::workers, View::tasks}) {
    model.press({Key::Kind::tab});
    EXPECT_EQ(model.view(), view);
  }
  model.press({Key::Kind::back_tab});
  EXPECT_EQ(model.view(), View::workers);
  type("p");
  EXPECT_EQ(model.view(), View::pools);
  type("w");
  EXPECT_EQ(model.view(), View::workers);
  type("t");
  EXPECT_EQ(model.view(), View::tasks);
}

TEST_F(Top, CancelAsksFirst) {
  EXPECT_FALSE(model.press(letter('c')));
  EXPECT_EQ(model.prompt(), "cancel now? (y/n) ");
  EXPECT_FALSE(model.press(letter('x')));
  EXPECT_TRUE(model.prompt()) << "only y and n answer";
  EXPECT_FALSE(model.press(letter('n')));
  EXPECT_FALSE(model.prompt());
  EXPECT_EQ(model.message(), "nothing was done");
  model.press(letter('c'));
  const auto wish = model.press(letter('y'));
  ASSERT_TRUE(wish);
  EXPECT_EQ(wish->what, Wish::What::cancel);
  EXPECT_EQ(wish->id, "id-run");
}

TEST_F(Top, TheTaskOfAWorkerIsTheOneItRuns) {
  type("w");
  EXPECT_FALSE(model.press({Key::Kind::enter}));
  EXPECT_EQ(model.message(), "no task here");
  type("j");
  const auto wish = model.press({Key::Kind::enter});
  ASSERT_TRUE(wish);
  EXPECT_EQ(wish->what, Wish::What::show);
  EXPECT_EQ(wish->id, "id-run");
}

TEST_F(Top, PauseIsResumeWhereThePoolStands) {
  type("p");
  EXPECT_EQ(model.press(letter('P'))->what, Wish::What::pause);
  type("j");
  EXPECT_EQ(model.press(letter('P'))->what, Wish::What::resume);
}

TEST_F(Top, ScaleGoesByOneAndAsksBeforeTheLastWorkerGoes) {
  type("p");
  EXPECT_EQ(model.press(letter('+'))->workers, 3u);
  EXPECT_EQ(model.press(letter('-'))->workers, 1u);
  type("j");
  EXPECT_FALSE(model.press(letter('-')));
  EXPECT_TRUE(model.prompt());
  const auto wish = model.press(letter('y'));
  ASSERT_TRUE(wish);
  EXPECT_EQ(wish->workers, 0u);
  EXPECT_EQ(wish->id, "math");
}

TEST_F(Top, EveryWordOfAFilterMustBeInTheRow) {
  type("/NEXT que");
  EXPECT_TRUE(model.typing());
  ASSERT_EQ(model.shown(View::tasks).size(), 1u);
  EXPECT_EQ(chosen(), "id-queue");
  model.press({Key::Kind::enter});
  EXPECT_FALSE(model.typing());
  EXPECT_NE(text(draw(model, {80, 24})).find("Tasks 1 of 3  filter: NEXT que"), std::string::npos);
  type("/x");
  EXPECT_TRUE(model.shown(View::tasks).empty());
  model.press({Key::Kind::escape});
  EXPECT_EQ(model.filter(View::tasks), "NEXT que") << "what was there before";
  model.press({Key::Kind::escape});
  EXPECT_EQ(model.shown(View::tasks).size(), 3u);
}

TEST_F(Top, SortGoesThroughTheColumnsAndBackToTheDaemonsOrder) {
  type("sss");  // by pool
  EXPECT_EQ(model.sort_column(View::tasks), 2u);
  type("s");
  EXPECT_EQ(model.shown(View::tasks)[0].name, "later");
  EXPECT_EQ(model.shown(View::tasks)[2].name, "now");
  type("S");
  EXPECT_EQ(model.shown(View::tasks)[0].name, "now");
  for (std::size_t i = 4; i <= columns(View::tasks).size(); ++i) type("s");
  EXPECT_FALSE(model.sort_column(View::tasks));
}

TEST_F(Top, ASheetLiesOverTheTablesUntilItIsClosed) {
  type("?");
  EXPECT_NE(text(draw(model, {80, 24})).find("cancel the task"), std::string::npos);
  EXPECT_FALSE(model.press(letter('c'))) << "keys are the sheet's now";
  EXPECT_FALSE(model.prompt());
  EXPECT_FALSE(model.press(letter('q'))) << "closes the sheet, not top";
  EXPECT_FALSE(model.sheet());
  EXPECT_EQ(model.press(letter('q'))->what, Wish::What::quit);
}

TEST_F(Top, ALogStaysAtItsEndUntilSomebodyScrolls) {
  model.open({.kind = Sheet::Kind::log, .id = "id-run", .title = "Log", .at_end = true});
  std::vector<std::string> log;
  for (int i = 0; i < 100; ++i) log.push_back("line " + std::to_string(i));
  model.add_lines("id-run", log);
  EXPECT_NE(text(draw(model, {40, 12})).find("line 99"), std::string::npos);
  model.press({Key::Kind::up});
  log.push_back("line 100");
  model.add_lines("id-run", log);
  EXPECT_EQ(text(draw(model, {40, 12})).find("line 100"), std::string::npos);
  model.press({Key::Kind::end});
  EXPECT_NE(text(draw(model, {40, 12})).find("line 100"), std::string::npos);
  model.add_lines("another", {"stranger"});
  EXPECT_EQ(text(draw(model, {40, 12})).find("stranger"), std::string::npos);
}

TEST_F(Top, RatesNeedTwoLooksAtTheSameEngine) {
  EXPECT_FALSE(model.rates().tasks);
  Snapshot later = snapshot(three_tasks());
  later.at += std::chrono::seconds(2);
  later.pools[0].set_succeeded(30);
  later.info.mutable_busy()->set_nanos(500'000'000);
  model.take(later);
  EXPECT_DOUBLE_EQ(model.rates().tasks.value(), 15);
  EXPECT_DOUBLE_EQ(model.rates().load.value(), 0.25);
  EXPECT_NE(lines(draw(model, {80, 24}))[0].find("load 25%  15 tasks/s"), std::string::npos);
  later.info.set_engine_pid(8);
  later.at += std::chrono::seconds(1);
  model.take(later);
  EXPECT_FALSE(model.rates().tasks);
}

TEST_F(Top, ALostDaemonIsSaidAndThePictureStays) {
  model.lose("cannot connect");
  const auto seen = lines(draw(model, {80, 24}));
  EXPECT_EQ(seen[0], "cannot connect");
  EXPECT_NE(text(draw(model, {80, 24})).find("later"), std::string::npos);
  model.take(snapshot());
  EXPECT_EQ(lines(draw(model, {80, 24}))[0].find("cannot"), std::string::npos);
}

TEST_F(Top, NoScreenIsTooSmallAndNoLineTooWide) {
  auto tasks = three_tasks();
  tasks[0].set_name("名前はとても長い日本語です名前はとても長い日本語です");
  for (int i = 0; i < 50; ++i) tasks.push_back(task("more" + std::to_string(i), "n", v1::Task::QUEUED));
  model.take(snapshot(tasks));
  for (const bool sheet : {false, true}) {
    if (sheet) type("?");
    for (std::size_t width : {1, 5, 20, 40, 79, 80, 132, 400}) {
      for (std::size_t height = 1; height <= 60; ++height) {
        const Frame frame = draw(model, {width, height});
        ASSERT_EQ(frame.lines.size(), height);
        for (const std::string& line : lines(frame))
          ASSERT_LE(columns_of(line), width) << height << ": " << line;
      }
    }
  }
}

TEST_F(Top, TheCursorIsAlwaysOnTheScreen) {
  std::vector<v1::Task> tasks;
  for (int i = 0; i < 50; ++i)
    tasks.push_back(task("t" + std::to_string(i), "name" + std::to_string(i), v1::Task::QUEUED));
  model.take(snapshot(tasks));
  for (const std::size_t height : {5, 24, 7, 50}) {
    type("G");
    EXPECT_NE(text(draw(model, {80, height})).find("name49"), std::string::npos) << height;
    type("g");
    EXPECT_NE(text(draw(model, {80, height})).find("name0 "), std::string::npos) << height;
  }
}

TEST_F(Top, TheSmallestScreenShowsStateAndName) {
  const auto seen = lines(draw(model, {20, 5}));
  EXPECT_EQ(seen[0].substr(0, 11), "poold 1.2.3");
  EXPECT_EQ(seen[1].substr(0, 5), "STATE");
  EXPECT_EQ(seen[2].substr(0, 7), "RUNNING");
  EXPECT_NE(seen[2].find("now"), std::string::npos);
}

TEST(TopNumbers, AreShort) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(9999), "9999");
  EXPECT_EQ(short_number(12'345), "12.3k");
  EXPECT_EQ(short_number(999'400), "999k");
  EXPECT_EQ(short_number(999'999), "1.00M");
  EXPECT_EQ(short_number(4'560'000), "4.56M");
  EXPECT_EQ(short_number(3'000'000'000), "3.00G");
  EXPECT_EQ(short_rate(0), "0");
  EXPECT_EQ(short_rate(0.44), "0.4");
  EXPECT_EQ(short_rate(12.4), "12");
}

TEST_F(Top, WideCharactersTakeTwoColumns) {
  EXPECT_EQ(columns_of("日本"), 4u);
  EXPECT_EQ(cut_to_columns("日本語", 4), "日…");
  EXPECT_EQ(cut_to_columns("abc", 3), "abc");
  EXPECT_EQ(cut_to_columns("abcd", 3), "ab…");
}

}  // namespace
}  // namespace poold::cli::top
