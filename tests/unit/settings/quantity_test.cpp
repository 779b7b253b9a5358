#include "daemon/settings/quantity.hpp"

#include <gtest/gtest.h>

namespace poold::settings {
namespace {

using std::chrono::milliseconds;

TEST(Quantity, DurationsInEveryUnit) {
  EXPECT_EQ(parse_duration("500ms"), milliseconds(500));
  EXPECT_EQ(parse_duration("30s"), milliseconds(30'000));
  EXPECT_EQ(parse_duration("5m"), milliseconds(300'000));
  EXPECT_EQ(parse_duration("2h"), milliseconds(7'200'000));
  EXPECT_EQ(parse_duration("7d"), milliseconds(604'800'000));
  EXPECT_EQ(parse_duration("0s"), milliseconds(0));
}

TEST(Quantity, NoDurations) {
  for (const char* text : {"", "5", "s", "-5s", "+5s", "5 s", "5S", "1.5s", "5s ", "1h30m", "0x5s",
                           "9223372036854775807s", "99999999999999999999ms", "5min", "MiB"})
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
}

TEST(Quantity, Sizes) {
  EXPECT_EQ(parse_size("0B"), 0u);
  EXPECT_EQ(parse_size("5B"), 5u);
  EXPECT_EQ(parse_size("64KiB"), 65'536u);
  EXPECT_EQ(parse_size("64MiB"), 67'108'864u);
  EXPECT_EQ(parse_size("4GiB"), 4'294'967'296u);
  for (const char* text : {"", "5", "5MB", "5mib", "64M", "9999999999GiB", "-1B"})
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
}

TEST(Quantity, Numbers) {
  EXPECT_EQ(parse_number("0"), 0u);
  EXPECT_EQ(parse_number("18446744073709551615"), 18446744073709551615u);
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "1e3", "0x10", "1.0", "18446744073709551616"})
    EXPECT_EQ(parse_number(text), std::nullopt) << text;
}

TEST(Quantity, WrittenInTheLargestUnitThatDivides) {
  EXPECT_EQ(format_duration(milliseconds(0)), "0s");
  EXPECT_EQ(format_duration(milliseconds(1500)), "1500ms");
  EXPECT_EQ(format_duration(std::chrono::hours(24)), "24h");
  EXPECT_EQ(format_duration(std::chrono::hours(48)), "2d");
  EXPECT_EQ(format_size(0), "0B");
  EXPECT_EQ(format_size(65'536), "64KiB");
  EXPECT_EQ(format_size(65'537), "65537B");
  EXPECT_EQ(format_number(0), "0");
  EXPECT_EQ(format_number(999), "999");
  EXPECT_EQ(format_number(1000), "1,000");
  EXPECT_EQ(format_number(1'234'567), "1,234,567");
}

}  // namespace
}  // namespace poold::settings
