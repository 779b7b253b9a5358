// What people write: durations, times, states, signals, values; and which exit code an ending becomes.
#include "client/cli/reading.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include "client/cli/exit_code.hpp"

namespace poold::cli {
namespace {

using namespace std::chrono_literals;

TEST(ReadDuration, EveryUnit) {
  EXPECT_EQ(read_duration("500ms"), 500ms);
  EXPECT_EQ(read_duration("30s"), 30s);
  EXPECT_EQ(read_duration("1.5s"), 1500ms);
  EXPECT_EQ(read_duration("2m"), 120s);
  EXPECT_EQ(read_duration("2h"), 7200s);
  EXPECT_EQ(read_duration("3d"), 72h);
  EXPECT_EQ(read_duration("7"), 7s);
  EXPECT_EQ(read_duration("0s"), 0ms);
}

TEST(ReadDuration, AnythingElseIsRefused) {
  for (const char* text : {"", "s", "-1s", "1x", "1 s", "1e9s", "nan", "inf", "99999999d", "+1s"})
    EXPECT_THROW(read_duration(text), UsageError) << text;
}

TEST(ReadTime, SoLongAgoOrAMoment) {
  const Time now = Time(std::chrono::seconds(1'700'000'000));
  EXPECT_EQ(read_time("10m", now), now - 10min);
  EXPECT_EQ(read_time("2023-11-14T22:13:20Z", now), now);
  EXPECT_EQ(read_time("2023-11-14T23:13:20+01:00", now), now);
  for (const char* text : {"yesterday", "2023-11-14", "T", "-5m", ""})
    EXPECT_THROW(read_time(text, now), UsageError) << text;
}

TEST(ReadStates, EitherCaseAndSeveral) {
  EXPECT_EQ(read_states("queued,RUNNING"), (std::vector<TaskState>{TaskState::queued, TaskState::running}));
  EXPECT_EQ(read_states("Failed"), (std::vector<TaskState>{TaskState::failed}));
  for (const char* text : {"", "done", "queued,", "STATE_UNSPECIFIED"})
    EXPECT_THROW(read_states(text), UsageError) << text;
}

TEST(ReadSignal, NamesAndNumbers) {
  EXPECT_EQ(read_signal("TERM"), SIGTERM);
  EXPECT_EQ(read_signal("sigkill"), SIGKILL);
  EXPECT_EQ(read_signal("15"), 15);
  EXPECT_EQ(read_signal("64"), 64);
  for (const char* text : {"", "0", "65", "-9", "FOO", "SIG"})
    EXPECT_THROW(read_signal(text), UsageError) << text;
}

TEST(ReadPair, SplitsAtTheFirstEqualsSign) {
  using Pair = std::pair<std::string, std::string>;
  EXPECT_EQ(read_pair("--label", "a=b=c"), Pair("a", "b=c"));
  EXPECT_EQ(read_pair("--label", "a="), Pair("a", ""));
  EXPECT_THROW(read_pair("--label", "a"), UsageError);
  EXPECT_THROW(read_pair("--label", "=b"), UsageError);
}

TEST(ReadValue, JsonIfItParsesElseAString) {
  EXPECT_EQ(read_value("1"), Value(1));
  EXPECT_EQ(read_value("-1.5"), Value(-1.5));
  EXPECT_EQ(read_value("true"), Value(true));
  EXPECT_EQ(read_value("null"), Value());
  EXPECT_EQ(read_value("\"1\""), Value("1"));
  EXPECT_EQ(read_value("[1,{\"a\":2}]"), Value(Value::List{1, Value::Map{{"a", 2}}}));
  EXPECT_EQ(read_value("hello world"), Value("hello world"));
  EXPECT_EQ(read_value("[1"), Value("[1"));
  EXPECT_EQ(read_value(""), Value(""));
}

TEST(ReadValue, IntegersThatDoublesCannotHoldAreRefusedNotRounded) {
  for (const char* text : {"9007199254740993", "-9007199254740993", "1e999"})
    EXPECT_THROW(read_value(text), UsageError);
  for (const char* text : {"01", "1.", ".5", "1e", "-", "1_000", "0x10"})
    EXPECT_EQ(read_value(text), Value(text));
}

TEST(ShortDuration, SixColumnsAtMost) {
  EXPECT_EQ(short_duration(-1s), "0s");
  EXPECT_EQ(short_duration(59'999ms), "59s");
  EXPECT_EQ(short_duration(245s), "4m05s");
  EXPECT_EQ(short_duration(2h + 10min), "2h10m");
  EXPECT_EQ(short_duration(76h), "3d04h");
  EXPECT_EQ(exact_duration(213ms), "0.213 s");
}

TEST(Nearest, NamesWhatWasProbablyMeant) {
  const std::vector<std::string> verbs = {"submit", "run", "ps", "cancel", "scale", "log"};
  EXPECT_EQ(nearest("sbumit", verbs), "submit");
  EXPECT_EQ(nearest("canel", verbs), "cancel");
  EXPECT_EQ(nearest("sub", verbs), "submit");
  EXPECT_EQ(nearest("rnu", verbs), "run");
  EXPECT_EQ(nearest("frobnicate", verbs), "");
  EXPECT_EQ(nearest("foo", verbs), "");
}

TEST(ExitCode, ConnectsCodes) {
  EXPECT_EQ(exit_code_of(Error(Code::not_found, "")), 3);
  EXPECT_EQ(exit_code_of(Error(Code::permission_denied, "")), 4);
  EXPECT_EQ(exit_code_of(Unreachable(Code::unavailable, "")), 5);
  EXPECT_EQ(exit_code_of(Unreachable(Code::permission_denied, "")), 4);
  EXPECT_EQ(exit_code_of(Error(Code::already_exists, "")), 6);
  EXPECT_EQ(exit_code_of(Error(Code::failed_precondition, "")), 6);
  EXPECT_EQ(exit_code_of(Error(Code::resource_exhausted, "")), 7);
  EXPECT_EQ(exit_code_of(Error(Code::invalid_argument, "")), 2);
  EXPECT_EQ(exit_code_of(Error(Code::unavailable, "")), 75);
  EXPECT_EQ(exit_code_of(ConnectionLost(Code::deadline_exceeded, "")), 124);
}

Outcome outcome_of(Outcome::Kind kind, std::optional<int> exit_code = {}, std::optional<int> signal = {}) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.exit_code = exit_code;
  outcome.signal = signal;
  return outcome;
}

TEST(ExitCode, CommandsEndAsAShellTellsIt) {
  using Kind = Outcome::Kind;
  EXPECT_EQ(exit_code_of_command(outcome_of(Kind::exited, 0)), 0);
  EXPECT_EQ(exit_code_of_command(outcome_of(Kind::exited, 7)), 7);
  EXPECT_EQ(exit_code_of_command(outcome_of(Kind::exited, 127)), 127);
  EXPECT_EQ(exit_code_of_command(outcome_of(Kind::signaled, {}, SIGKILL)), 137);
  EXPECT_EQ(exit_code_of_command(outcome_of(Kind::timed_out, {}, SIGTERM)), 124);
  EXPECT_EQ(exit_code_of_command(outcome_of(Kind::worker_lost, {}, SIGSEGV)), 139);
  EXPECT_EQ(exit_code_of_command(outcome_of(Kind::worker_lost, 1)), 125);
  EXPECT_EQ(exit_code_of_command(outcome_of(Kind::cancelled, {}, SIGTERM)), 143);
  EXPECT_EQ(exit_code_of_command(outcome_of(Kind::cancelled, 0)), 143);
  EXPECT_EQ(exit_code_of_command(outcome_of(Kind::cancelled, 3)), 3);
  EXPECT_EQ(exit_code_of_command(outcome_of(Kind::rejected)), 125);
}

TEST(ExitCode, FunctionsSucceedOrFail) {
  EXPECT_EQ(exit_code_of_function(outcome_of(Outcome::Kind::returned)), 0);
  EXPECT_EQ(exit_code_of_function(outcome_of(Outcome::Kind::raised)), 1);
  EXPECT_EQ(exit_code_of_function(outcome_of(Outcome::Kind::worker_lost, {}, SIGSEGV)), 1);
}

}  // namespace
}  // namespace poold::cli
