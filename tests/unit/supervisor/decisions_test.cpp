#include "daemon/supervisor/decisions.hpp"

#include <gtest/gtest.h>

namespace poold::supervisor {
namespace {

TEST(EngineDelay, NoneAfterAnEngineThatHadServed) {
  EXPECT_EQ(engine_delay(true, milliseconds{6'400}), milliseconds{0});
}

TEST(EngineDelay, DoublesFromATenthOfASecondToTenSecondsWhileEnginesDieBeforeReady) {
  milliseconds delay{0};
  std::vector<long> seen;
  for (int i = 0; i < 9; ++i) seen.push_back((delay = engine_delay(false, delay)).count());
  EXPECT_EQ(seen, (std::vector<long>{100, 200, 400, 800, 1'600, 3'200, 6'400, 10'000, 10'000}));
}

TEST(EngineTimes, WithoutAWatchdogEveryQuarterOfAMinute) {
  const EngineTimes times = engine_times(std::nullopt);
  EXPECT_EQ(times.period, milliseconds{15'000});
  EXPECT_EQ(times.patience, milliseconds{30'000});
}

TEST(EngineTimes, AnEngineThatStandsStillIsReplacedBeforeTheWatchdogRings) {
  for (const int seconds : {1, 4, 60, 3'600}) {
    const std::chrono::microseconds watchdog = std::chrono::seconds(seconds);
    const EngineTimes times = engine_times(watchdog);
    // It is killed at the third question after its last answer, at the latest.
    EXPECT_LE(3 * times.period, watchdog * 3 / 4) << seconds;
    EXPECT_LE(times.patience, 2 * times.period) << seconds;
  }
}

TEST(EngineTimes, ALongWatchdogDoesNotMakeTheSupervisorPatient) {
  EXPECT_EQ(engine_times(std::chrono::hours(1)).period, milliseconds{15'000});
}

TEST(StopTimeout, NowMeansNoneWhateverIsAsked) {
  EXPECT_EQ(stop_timeout(true, 500, milliseconds{30'000}), milliseconds{0});
}

TEST(StopTimeout, ZeroOrNonsenseMeansAsConfigured) {
  EXPECT_EQ(stop_timeout(false, 0, milliseconds{30'000}), milliseconds{30'000});
  EXPECT_EQ(stop_timeout(false, -7, milliseconds{30'000}), milliseconds{30'000});
}

TEST(StopTimeout, AnEndlessRequestStaysANumberThatCanBeAdded) {
  EXPECT_EQ(stop_timeout(false, INT64_MAX, milliseconds{1}), stop_timeout_max);
}

TEST(StopLimit, CountsTheSlowestPool) {
  settings::Settings settings;
  settings.pools.resize(2);
  settings.pools[0].grace = milliseconds{1'000};
  settings.pools[1].grace = milliseconds{20'000};
  EXPECT_EQ(stop_limit(milliseconds{300}, settings), milliseconds{25'300});
}

}  // namespace
}  // namespace poold::supervisor
