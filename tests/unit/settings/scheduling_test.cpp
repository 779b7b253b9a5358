// The keys of scheduling: limits, rates, shares, ageing, and what their mistakes are answered with.
#include <gmock/gmock.h>

#include "tests/unit/settings/parsed.hpp"

namespace poold::settings {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(SchedulingSettings, LimitsAreSizesOrMaps) {
  const Settings settings = accepted("limits: {gpu: 2, closed: 0, api: {size: 5, rate: 100/m, burst: 10}}\n");
  ASSERT_EQ(settings.limits.size(), 3u);
  EXPECT_EQ(settings.limits[0], (TaskLimit{"gpu", 2, {}}));
  EXPECT_EQ(settings.limits[1], (TaskLimit{"closed", 0, {}}));
  EXPECT_EQ(settings.limits[2], (TaskLimit{"api", 5, Rate{100, minutes(1), 10}}));
}

TEST(SchedulingSettings, ALimitWithARateAndNoSizeHasSizeOne) {
  EXPECT_EQ(accepted("limits: {api: {rate: 5/10s}}").limits,
            (std::vector<TaskLimit>{{"api", 1, Rate{5, seconds(10), 1}}}));
}

TEST(SchedulingSettings, APoolHasARateSharesAndAgeing) {
  const Pool pool = accepted_pool(
      "pools: {a: {rate: 10/s, burst: 3, ageing: 5s, user_tasks: 7, shares: {1000: 5, 0: 1000}}}");
  EXPECT_EQ(pool.rate, (Rate{10, seconds(1), 3}));
  EXPECT_EQ(pool.ageing, seconds(5));
  EXPECT_EQ(pool.user_tasks, 7u);
  EXPECT_THAT(pool.shares, testing::UnorderedElementsAre(Pool::Share{1000, 5}, Pool::Share{0, 1000}));
}

TEST(SchedulingSettings, RatesThatAreNone) {
  for (const char* rate :
       {"10", "0/s", "10/", "/s", "10/0s", "1000001/s", "10/25h", "ten/s", "10/fortnight"}) {
    const std::string text = "pools:\n  a:\n    rate: " + std::string(rate) + "\n";
    EXPECT_THAT(refused(text), ElementsAre(AllOf(HasSubstr("poold.yaml:3:11: pools.a.rate: "),
                                                 HasSubstr("a rate such as 10/s, 100/m or 5/10s"))))
        << rate;
  }
  EXPECT_THAT(refused("limits:\n  api: {rate: fast}\n"),
              ElementsAre(AllOf(HasSubstr("poold.yaml:2:15: limits.api.rate: "),
                                HasSubstr("a rate such as 10/s, 100/m or 5/10s"))));
}

TEST(SchedulingSettings, ABurstNeedsARate) {
  EXPECT_THAT(refused("pools: {a: {burst: 3}}"), ElementsAre(HasSubstr("only a rate has a burst")));
  EXPECT_THAT(refused("pools: {a: {rate: 1/s, burst: 0}}"),
              ElementsAre(AllOf(HasSubstr("pools.a.burst: "), HasSubstr("from 1 to 1,000,000"))));
}

TEST(SchedulingSettings, LimitsOutOfRange) {
  EXPECT_THAT(refused("limits:\n  gpu: 1000001\n"),
              ElementsAre(AllOf(HasSubstr("poold.yaml:2:8: limits.gpu: "), HasSubstr("from 0 to 1,000,000"),
                                HasSubstr("or a map of size, rate and burst"))));
  EXPECT_THAT(refused("limits: {gpu: {size: -1}}"),
              ElementsAre(AllOf(HasSubstr("limits.gpu.size: "), HasSubstr("from 0 to 1,000,000"))));
  EXPECT_THAT(refused("limits: {gpu: {sice: 1}}"), ElementsAre(HasSubstr("did you mean 'size'?")));
  EXPECT_THAT(refused("limits: {\"\": 1}"), ElementsAre(HasSubstr("a limit's name has 1 to 255 bytes")));
}

TEST(SchedulingSettings, SharesThatAreNone) {
  EXPECT_THAT(refused("pools: {a: {shares: {alice: 2}}}"),
              ElementsAre(HasSubstr("expected the number of a user (uid)")));
  EXPECT_THAT(refused("pools: {a: {shares: {1000: 0}}}"),
              ElementsAre(AllOf(HasSubstr("pools.a.shares.1000: "), HasSubstr("from 1 to 1,000"))));
  EXPECT_THAT(refused("pools: {a: {shares: {1000: 1001}}}"), ElementsAre(HasSubstr("got '1001'")));
}

TEST(SchedulingSettings, AgeingAndTasksOfAUserOutOfRange) {
  EXPECT_THAT(refused("pools: {a: {ageing: 25h}}"),
              ElementsAre(AllOf(HasSubstr("pools.a.ageing: "), HasSubstr("from 0s to 24h"))));
  EXPECT_THAT(refused("pools: {a: {user_tasks: 0}}"),
              ElementsAre(AllOf(HasSubstr("pools.a.user_tasks: "), HasSubstr("from 1 to 10,000,000"))));
}

}  // namespace
}  // namespace poold::settings
