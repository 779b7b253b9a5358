#include "client/cli/shown_ends.hpp"

#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

namespace poold::cli {
namespace {

using std::chrono::milliseconds;
using Time = ShownEnds::Time;

Time at(int ms) { return Time(milliseconds(ms)); }

v1::Event event(const std::string& id, int ms, v1::Task::State state = v1::Task::SUCCEEDED,
                std::uint32_t attempt = 1) {
  v1::Event event;
  event.set_id(id);
  *event.mutable_time() = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(ms);
  event.set_state(state);
  event.set_attempt(attempt);
  return event;
}

TEST(ShownEnds, WhatEndedBeforeIsNotWanted) {
  const ShownEnds shown(at(1'000));
  EXPECT_FALSE(shown.wants_listed(event("a", 999)));
  EXPECT_TRUE(shown.wants_listed(event("a", 1'000)));
}

TEST(ShownEnds, AnEndThatWasToldLaterThanItHappenedIsTheSame) {
  ShownEnds shown(at(0));
  shown.add_live(event("a", 5'000));
  EXPECT_FALSE(shown.wants_listed(event("a", 2'000)));
  EXPECT_TRUE(shown.wants_listed(event("b", 2'000)));
}

TEST(ShownEnds, ATaskThatWasRetriedEndsAgain) {
  ShownEnds shown(at(0));
  shown.add_live(event("a", 1'000));
  EXPECT_TRUE(shown.wants_listed(event("a", 2'000, v1::Task::FAILED, 2)));
}

TEST(ShownEnds, WhatWasListedMayComeOnceMoreAsItHappened) {
  ShownEnds shown(at(0));
  shown.add_listed(event("a", 1'000));
  EXPECT_FALSE(shown.wants_live(event("a", 900, v1::Task::RUNNING)));
  EXPECT_FALSE(shown.wants_live(event("a", 3'000)));
  EXPECT_TRUE(shown.wants_live(event("a", 4'000, v1::Task::QUEUED)));
  EXPECT_TRUE(shown.wants_live(event("a", 4'001, v1::Task::FAILED, 2)));
  EXPECT_TRUE(shown.wants_live(event("b", 1'000)));
}

TEST(ShownEnds, OnlyTheLatestAreKeptAndNoneOfTheOthersIsShownTwice) {
  ShownEnds shown(at(0), 2);
  for (int i = 1; i <= 4; ++i) shown.add_live(event(std::to_string(i), 1'000 * i));
  EXPECT_EQ(shown.since(), at(2'000));
  EXPECT_FALSE(shown.wants_listed(event("1", 1'000)));
  EXPECT_FALSE(shown.wants_listed(event("4", 4'000)));
  EXPECT_TRUE(shown.wants_listed(event("5", 4'000)));
}

TEST(ShownEnds, AnotherEndOfATaskIsKeptWhenTheFirstIsForgotten) {
  ShownEnds shown(at(0), 2);
  shown.add_live(event("a", 1'000));
  shown.add_live(event("a", 2'000, v1::Task::FAILED, 2));
  shown.add_live(event("b", 3'000));
  EXPECT_FALSE(shown.wants_listed(event("a", 2'000, v1::Task::FAILED, 2)));
}

}  // namespace
}  // namespace poold::cli
