// POOLD_FUNCTION: which callables fit, how arguments are read, and how they are refused.
#include "client/cpp/poold/function.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "client/cpp/src/function_caller.hpp"
#include "client/cpp/src/value_proto.hpp"

namespace poold {
namespace {

int twice(int x) noexcept { return 2 * x; }
struct Counter {
  int calls = 0;
  int operator()() { return ++calls; }
};
struct Odd {};

POOLD_FUNCTION("twice", twice);
POOLD_FUNCTION("counter", Counter());
POOLD_FUNCTION("byte", [](unsigned char b) { return b; });
POOLD_FUNCTION("total", [](const std::vector<double>& numbers) {
  double sum = 0;
  for (const double number : numbers) sum += number;
  return sum;
});
POOLD_FUNCTION("keys", [](const std::map<std::string, int>& map) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : map) keys.push_back(key);
  return keys;
});
POOLD_FUNCTION("greet", [](std::string_view name, std::optional<std::string> greeting,
                           std::optional<bool> loud) {
  return greeting.value_or("hello") + " " + std::string(name) + (loud.value_or(false) ? "!" : "");
});
POOLD_FUNCTION("matrix", [](std::vector<std::vector<int>> rows) { return rows; });
POOLD_FUNCTION("same", [](Value value) { return value; });
POOLD_FUNCTION("size", [](BytesView bytes) { return bytes.data.size(); });
POOLD_FUNCTION("maybe", [](bool there) { return there ? std::optional<int>(1) : std::nullopt; });
POOLD_FUNCTION("huge", [] { return std::int64_t{1} << 60; });
POOLD_FUNCTION("bad_text", [] { return "\xff"; });
POOLD_FUNCTION("throw_odd", [] { throw Odd(); });
POOLD_FUNCTION("binary_what", [] { throw std::runtime_error("\xff"); });
POOLD_FUNCTION("either", [](bool bytes) -> Result {
  if (bytes) return Bytes{"b", "text/plain"};
  return Value("v");
});

class Functions : public testing::Test {
 protected:
  std::string call(const std::string& name, const std::string& arguments) {
    v1::TaskSpec spec;
    spec.mutable_function()->set_name(name);
    for (const Value& value : Value::from_json(arguments).as_list())
      to_proto(value, *spec.mutable_function()->add_args());
    return call(spec);
  }
  std::string call(const v1::TaskSpec& spec) {
    caller.call(spec, outcome);
    if (outcome.has_payload()) return outcome.payload().content_type() + " " + outcome.payload().data();
    if (outcome.has_value()) return from_proto(outcome.value()).to_json();
    return outcome.error().type() + ": " + outcome.error().message();
  }

  plugin::CancelledFlag cancelled_word{0};
  worker::FunctionCaller caller{*poold_plugin_table(), cancelled_word};
  v1::Outcome outcome;  // one for all calls, as in a worker
};

TEST_F(Functions, EveryKindOfCallableIsCalled) {
  EXPECT_EQ(call("twice", "[21]"), "42");
  const int calls = std::stoi(call("counter", "[]"));
  EXPECT_EQ(call("counter", "[]"), std::to_string(calls + 1));
  EXPECT_EQ(call("total", "[[1,2,3.5]]"), "6.5");
  EXPECT_EQ(call("keys", R"([{"b":1,"a":2}])"), R"(["a","b"])");
  EXPECT_EQ(call("matrix", "[[[1,2],[3]]]"), "[[1,2],[3]]");
  EXPECT_EQ(call("same", R"([{"a":null}])"), R"({"a":null})");
}

TEST_F(Functions, OptionalArgumentsMayBeLeftOutAtTheEndOrNull) {
  EXPECT_EQ(call("greet", R"(["you"])"), "\"hello you\"");
  EXPECT_EQ(call("greet", R"(["you","hi"])"), "\"hi you\"");
  EXPECT_EQ(call("greet", R"(["you",null,true])"), "\"hello you!\"");
  EXPECT_EQ(call("greet", "[]"), "TypeError: greet: takes 1 to 3 arguments, got 0");
  EXPECT_EQ(call("greet", R"(["a",1])"), "TypeError: greet: argument 2: expected string or null, got number");
  EXPECT_EQ(call("maybe", "[true]"), "1");
  EXPECT_EQ(call("maybe", "[false]"), "null");
}

TEST_F(Functions, WhatDoesNotFitIsNamedWithItsPlace) {
  EXPECT_EQ(call("byte", "[256]"),
            "TypeError: byte: argument 1: expected integer from 0 to 255, got number 256");
  EXPECT_EQ(call("byte", "[255]"), "255");
  EXPECT_EQ(call("byte", "[-1]"),
            "TypeError: byte: argument 1: expected integer from 0 to 255, got number -1");
  EXPECT_EQ(call("total", R"([[1,"x"]])"),
            "TypeError: total: argument 1: expected list of number, got string at [1]");
  EXPECT_EQ(call("keys", R"([{"a":true}])"),
            "TypeError: keys: argument 1: expected map of integer from -2147483648 to 2147483647, got "
            "boolean at [\"a\"]");
  EXPECT_EQ(call("twice", "[]"), "TypeError: twice: takes 1 argument, got 0");
  EXPECT_EQ(call("size", "[]"), "TypeError: size: takes bytes, got typed arguments");
}

TEST_F(Functions, BytesGoToWhoTakesBytes) {
  v1::TaskSpec spec;
  spec.mutable_function()->set_name("size");
  spec.mutable_function()->mutable_payload()->set_data("12345");
  EXPECT_EQ(call(spec), "5");
  spec.mutable_function()->set_name("twice");
  spec.mutable_function()->mutable_payload()->set_content_type("a/b");
  EXPECT_EQ(call(spec), "TypeError: twice: takes typed arguments, got bytes of type a/b");
}

TEST_F(Functions, ResultMayBeEitherValueOrBytes) {
  EXPECT_EQ(call("either", "[true]"), "text/plain b");
  EXPECT_EQ(call("either", "[false]"), "\"v\"");
  EXPECT_FALSE(outcome.has_payload());
}

TEST_F(Functions, WhatCannotBeSentIsRaisedInItsPlace) {
  EXPECT_EQ(call("huge", "[]"), "std::out_of_range: integer beyond 2^53: pass it as a string or as bytes");
  EXPECT_EQ(call("bad_text", "[]"), "std::invalid_argument: string that is not UTF-8: pass it as bytes");
  EXPECT_EQ(call("binary_what", "[]"), "std::runtime_error: \uFFFD");
  EXPECT_EQ(call("throw_odd", "[]"), "poold::(anonymous namespace)::Odd: ");
  EXPECT_EQ(outcome.kind(), v1::Outcome::RAISED);
}

TEST_F(Functions, FunctionSeesThatItWasCancelled) {
  EXPECT_FALSE(cancelled());
  cancelled_word = 1;
  EXPECT_TRUE(cancelled());
  EXPECT_TRUE(sleep_unless_cancelled(std::chrono::hours(1)));
}

TEST_F(Functions, PluginOfAnotherVersionIsRefused) {
  plugin::Table table = *poold_plugin_table();
  table.abi = 99;
  EXPECT_THROW(worker::FunctionCaller(table, cancelled_word), std::runtime_error);
}

}  // namespace
}  // namespace poold
