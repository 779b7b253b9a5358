// Which runs are due, what becomes of missed ones, and what if the last has not ended.
#include "daemon/core/schedules.hpp"

#include <gtest/gtest.h>

#include "tests/unit/core/world.hpp"

namespace poold::core {
namespace {

using Names = std::vector<std::string>;
constexpr std::int64_t noon = 1'800'014'400;  // 2027-01-15 12:00:00 UTC

ScheduleSettings every_minute(CatchUp catch_up = CatchUp::once) {
  ScheduleSettings settings;
  settings.name = "n";
  settings.recurrence = std::get<Recurrence>(Recurrence::parse("* * * * *"));
  settings.zone = std::make_shared<const TimeZone>();
  settings.catch_up = catch_up;
  return settings;
}

TEST(Schedules, RunWhenDueAndNotBefore) {
  Schedules schedules;
  EXPECT_EQ(schedules.next_due(), std::nullopt);
  schedules.put(every_minute(), noon);
  EXPECT_EQ(schedules.next_due(), noon + 60);
  EXPECT_EQ(schedules.take_due(noon + 59), Names());
  EXPECT_EQ(schedules.take_due(noon + 60), Names{"n"});
  EXPECT_EQ(schedules.take_due(noon + 60), Names());
  EXPECT_EQ(schedules.next_due(), noon + 120);
}

TEST(Schedules, IntervalsCountFromWhereTheyWereAdded) {
  Schedules schedules;
  ScheduleSettings settings = every_minute();
  settings.recurrence = std::get<Recurrence>(Recurrence::parse("every 90s"));
  schedules.put(settings, noon + 7);
  EXPECT_EQ(schedules.next_due(), noon + 97);
  EXPECT_EQ(schedules.take_due(noon + 100), Names{"n"});
  EXPECT_EQ(schedules.next_due(), noon + 187);
}

TEST(Schedules, MissedTimesRunOnce) {
  Schedules schedules;
  schedules.put(every_minute(), noon);
  EXPECT_EQ(schedules.take_due(noon + 3599), Names{"n"});
  EXPECT_EQ(schedules.find("n")->missed, 58u);
}

TEST(Schedules, WhatCameDueWhileItWasNotHereIsMissed) {
  Schedules before, after;
  before.put(every_minute(), noon);
  before.take_due(noon + 60);
  after.restore(Schedule(*before.find("n")));
  EXPECT_EQ(after.next_due(), noon + 120);
  EXPECT_EQ(after.take_due(noon + 300), Names{"n"});
  EXPECT_EQ(after.find("n")->missed, 3u);
}

TEST(Schedules, MissedTimesAllRunUpToALimit) {
  Schedules schedules;
  schedules.put(every_minute(CatchUp::all), noon);
  EXPECT_EQ(schedules.take_due(noon + 180).size(), 3u);
  EXPECT_EQ(schedules.take_due(noon + 180 + 60 * 1'000'000).size(), catch_up_max);
  EXPECT_EQ(schedules.next_due(), noon + 180 + 60 * 1'000'000 + 60);
}

TEST(Schedules, WhatIsMoreThanAMinuteLateDoesNotRun) {
  Schedules schedules;
  ScheduleSettings settings = every_minute(CatchUp::none);
  settings.recurrence = std::get<Recurrence>(Recurrence::parse("0 * * * *"));
  schedules.put(settings, noon);
  EXPECT_EQ(schedules.take_due(noon + 3600 + 61), Names());
  EXPECT_EQ(schedules.find("n")->missed, 1u);
  EXPECT_EQ(schedules.take_due(noon + 7200 + 60), Names{"n"});
}

TEST(Schedules, JitterComesLaterAndIsAlwaysTheSame) {
  Schedules schedules;
  ScheduleSettings settings = every_minute();
  settings.recurrence = std::get<Recurrence>(Recurrence::parse("@hourly"));
  settings.jitter = 600;
  std::vector<std::int64_t> late;
  for (int hour = 0; hour < 20; ++hour) {
    schedules.put(settings, noon + 3600 * hour);
    const std::int64_t due = *schedules.next_due();
    late.push_back(due - (noon + 3600 * (hour + 1)));
    EXPECT_GE(late.back(), 0);
    EXPECT_LE(late.back(), 600);
    schedules.put(settings, noon + 3600 * hour);
    EXPECT_EQ(schedules.next_due(), due);
    EXPECT_EQ(schedules.take_due(due - 1), Names());
    EXPECT_EQ(schedules.take_due(due), Names{"n"});
    EXPECT_GE(*schedules.next_due(), noon + 3600 * (hour + 2));
  }
  std::ranges::sort(late);
  EXPECT_GT(std::ranges::unique(late).begin() - late.begin(), 10);
}

TEST(Schedules, AClockPutBackFarStartsAnewAndAlittleIsWaitedFor) {
  Schedules schedules;
  schedules.put(every_minute(), noon);
  EXPECT_EQ(schedules.take_due(noon + 60), Names{"n"});
  schedules.clock_set(noon + 30);
  EXPECT_EQ(schedules.take_due(noon + 90), Names()) << "the same minute does not run twice";
  const std::int64_t day = 24 * 3600;
  schedules.clock_set(noon - day);
  EXPECT_EQ(schedules.next_due(), noon - day + 60);
}

TEST(Schedules, WhatIfTheLastHasNotEnded) {
  World world(1);
  Schedules schedules;
  for (const auto& [overlap, decision] : {std::pair{Overlap::skip, OverlapDecision::skip},
                                          {Overlap::queue, OverlapDecision::run_after_last},
                                          {Overlap::replace, OverlapDecision::replace_last}}) {
    ScheduleSettings settings = every_minute();
    settings.overlap = overlap;
    Schedule& schedule = schedules.put(settings, noon);
    EXPECT_EQ(overlap_decision(world.core.state(), schedule), OverlapDecision::run);
    const Sequence task = world.submit();
    schedule.last_task = world.id(task);
    EXPECT_EQ(overlap_decision(world.core.state(), schedule), decision);
    world.finish(task);
    EXPECT_EQ(overlap_decision(world.core.state(), schedule), OverlapDecision::run);
  }
  world.forget();
}

}  // namespace
}  // namespace poold::core
