// The readers of plain frames beside the generated messages: whatever the first accept, the second read the
// same way.
#include "daemon/engine/io/plain_frames.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>

#include "poold/v1/stream.pb.h"
#include "poold/v1/worker.pb.h"

namespace poold::engine {
namespace {

v1::ClientFrame submit_of(const std::function<void(v1::TaskSpec&)>& fill = {}) {
  v1::ClientFrame frame;
  frame.mutable_submit()->set_tag(7);
  v1::TaskSpec& spec = *frame.mutable_submit()->mutable_task();
  spec.set_pool("math");
  spec.mutable_function()->set_name("add");
  spec.mutable_function()->add_args()->set_number_value(1.5);
  if (fill) fill(spec);
  return frame;
}

bool is_plain(const v1::ClientFrame& frame) {
  return read_plain_submit(frame.SerializeAsString()).has_value();
}
bool is_plain(const std::function<void(v1::TaskSpec&)>& fill) { return is_plain(submit_of(fill)); }

TEST(PlainSubmit, AFunctionCallIsReadWhole) {
  const v1::ClientFrame frame = submit_of([](v1::TaskSpec& spec) {
    spec.set_name("sum");
    spec.set_priority(-3);
    spec.set_attempts(4);
    spec.set_crash_attempts(5);
  });
  const std::string bytes = frame.SerializeAsString();
  const auto plain = read_plain_submit(bytes);
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->tag, 7u);
  EXPECT_EQ(plain->pool, "math");
  EXPECT_EQ(plain->priority, -3);
  EXPECT_EQ(plain->attempts, 4u);
  EXPECT_EQ(plain->crash_attempts, 5u);
  EXPECT_EQ(plain->spec, frame.submit().task().SerializeAsString());
}

TEST(PlainSubmit, EveryKindOfSimpleArgumentIsPlain) {
  EXPECT_TRUE(is_plain([](v1::TaskSpec& spec) {
    auto& function = *spec.mutable_function();
    function.add_args()->set_null_value(google::protobuf::NULL_VALUE);
    function.add_args()->set_bool_value(true);
    function.add_args()->set_string_value("text\n");
    function.add_args()->mutable_list_value()->add_values()->set_number_value(2);
    function.add_args()->mutable_list_value();
  }));
}

TEST(PlainSubmit, PayloadIsPlain) {
  EXPECT_TRUE(is_plain([](v1::TaskSpec& spec) {
    spec.mutable_function()->clear_args();
    spec.mutable_function()->mutable_payload()->set_content_type("application/octet-stream");
    spec.mutable_function()->mutable_payload()->set_data(std::string("\0\xff", 2));
  }));
}

TEST(PlainSubmit, TheTypeOfAPayloadIsSeen) {
  const std::string bytes = submit_of([](v1::TaskSpec& spec) {
                              spec.mutable_function()->clear_args();
                              spec.mutable_function()->mutable_payload()->set_content_type("a/b");
                            }).SerializeAsString();
  const auto plain = read_plain_submit(bytes);
  ASSERT_TRUE(plain);
  EXPECT_TRUE(plain->has_payload);
  EXPECT_EQ(plain->content_type, "a/b");
}

TEST(PlainSubmit, WhatMayBeWrongOrRareIsLeftToTheMessages) {
  EXPECT_FALSE(is_plain([](v1::TaskSpec& spec) { spec.set_key("k"); }));
  EXPECT_FALSE(is_plain([](v1::TaskSpec& spec) { (*spec.mutable_labels())["a"] = "b"; }));
  EXPECT_FALSE(is_plain([](v1::TaskSpec& spec) { spec.mutable_command()->add_argv("true"); }));
  EXPECT_FALSE(is_plain([](v1::TaskSpec& spec) { spec.mutable_function()->clear_name(); }));
  EXPECT_FALSE(is_plain([](v1::TaskSpec& spec) { spec.clear_function(); }));
  EXPECT_FALSE(is_plain([](v1::TaskSpec& spec) { spec.set_name("a\tb"); }));
  EXPECT_FALSE(is_plain([](v1::TaskSpec& spec) { spec.set_name("\xc3\xa4"); }));
  EXPECT_FALSE(is_plain([](v1::TaskSpec& spec) { spec.set_name(std::string(256, 'n')); }));
  EXPECT_FALSE(is_plain([](v1::TaskSpec& spec) { spec.set_attempts(1'000'001); }));
  EXPECT_FALSE(is_plain([](v1::TaskSpec& spec) { (*spec.mutable_function()->mutable_kwargs())["z"]; }));
  EXPECT_FALSE(is_plain([](v1::TaskSpec& spec) { spec.mutable_function()->add_args(); }));
  EXPECT_FALSE(
      is_plain([](v1::TaskSpec& spec) { spec.mutable_function()->add_args()->mutable_struct_value(); }));
  EXPECT_FALSE(is_plain([](v1::TaskSpec& spec) { spec.mutable_function()->mutable_payload(); }))
      << "arguments and a payload";
  v1::ClientFrame wishes = submit_of();
  wishes.mutable_submit()->set_want_output(true);
  EXPECT_FALSE(is_plain(wishes));
  v1::ClientFrame nothing;
  nothing.mutable_submit();
  EXPECT_FALSE(is_plain(nothing));
}

TEST(PlainSubmit, AFieldThatComesTwiceIsLeftToTheMessages) {
  const std::string bytes = submit_of().SerializeAsString();
  EXPECT_FALSE(read_plain_submit(bytes + bytes));
  EXPECT_FALSE(read_plain_submit(bytes + '\0'));
}

TEST(PlainSubmit, DeepListsAreLeftToTheMessages) {
  for (const auto& [depth, plain] : {std::pair{16, true}, {17, false}}) {
    EXPECT_EQ(is_plain([depth = depth](v1::TaskSpec& spec) {
                auto* value = spec.mutable_function()->add_args();
                for (int i = 0; i < depth; ++i) value = value->mutable_list_value()->add_values();
                value->set_bool_value(false);
              }),
              plain);
  }
}

v1::FromWorker result_of(const std::function<void(v1::Outcome&)>& fill) {
  v1::FromWorker frame;
  frame.mutable_result()->set_task(1234567);
  frame.mutable_result()->set_attempt(2);
  fill(*frame.mutable_result()->mutable_outcome());
  return frame;
}

TEST(PlainResult, AReturnedValueIsReadWhole) {
  const v1::FromWorker frame = result_of([](v1::Outcome& outcome) {
    outcome.set_kind(v1::Outcome::RETURNED);
    outcome.mutable_value()->set_number_value(6);
  });
  const std::string bytes = frame.SerializeAsString();
  const auto plain = read_plain_result(bytes);
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->task, 1234567u);
  EXPECT_EQ(plain->attempt, 2u);
  EXPECT_EQ(plain->kind, core::OutcomeKind::returned);
  EXPECT_EQ(plain->outcome, frame.result().outcome().SerializeAsString());
}

TEST(PlainResult, AnExitCodeIsRead) {
  const auto plain = read_plain_result(result_of([](v1::Outcome& outcome) {
                                         outcome.set_kind(v1::Outcome::EXITED);
                                         outcome.set_exit_code(7);
                                       }).SerializeAsString());
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->exit_code, 7);
}

TEST(PlainResult, ErrorsUsageAndUnknownKindsAreLeftToTheMessages) {
  for (const auto& fill : std::initializer_list<std::function<void(v1::Outcome&)>>{
           [](v1::Outcome& outcome) { outcome.mutable_error()->set_type("ValueError"); },
           [](v1::Outcome& outcome) { outcome.mutable_usage(); },
           [](v1::Outcome& outcome) { outcome.mutable_value()->set_string_value("\xc3\xa4"); },
           [](v1::Outcome& outcome) { outcome.set_exit_code(-1); },
           [](v1::Outcome& outcome) { outcome.set_kind(static_cast<v1::Outcome::Kind>(99)); }}) {
    EXPECT_FALSE(read_plain_result(result_of(fill).SerializeAsString()));
  }
}

// Valid frames with bytes changed, cut out, put in and swapped.
std::string damaged(std::string bytes, std::mt19937_64& random) {
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
  for (std::size_t i = below(4); i > 0 && !bytes.empty(); --i) {
    const std::size_t at = below(bytes.size());
    switch (below(4)) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes.erase(at, 1 + below(3));
        break;
      case 2:
        bytes.insert(at, 1, static_cast<char>(random() % 128));
        break;
      case 3:
        std::swap(bytes[at], bytes[below(bytes.size())]);
        break;
    }
  }
  return bytes;
}

TEST(PlainFrames, WhatIsAcceptedMeansTheSameToTheMessages) {
  std::mt19937_64 random(1);
  const std::string submit =
      submit_of([](v1::TaskSpec& spec) {
        spec.set_name("sum");
        spec.set_priority(-3);
        spec.set_attempts(4);
        spec.mutable_function()->add_args()->mutable_list_value()->add_values()->set_bool_value(true);
        spec.mutable_function()->add_args()->set_string_value("text");
      }).SerializeAsString();
  int accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    const std::string bytes = damaged(submit, random);
    const auto plain = read_plain_submit(bytes);
    if (!plain) continue;
    ++accepted;
    v1::ClientFrame frame;
    ASSERT_TRUE(frame.ParseFromString(bytes)) << testing::PrintToString(bytes);
    ASSERT_TRUE(frame.has_submit() && frame.submit().task().has_function());
    const v1::TaskSpec& spec = frame.submit().task();
    ASSERT_EQ(frame.submit().tag(), plain->tag);
    ASSERT_FALSE(frame.submit().want_accepted() || frame.submit().want_started() ||
                 frame.submit().want_output());
    ASSERT_EQ(spec.pool(), plain->pool);
    ASSERT_EQ(spec.priority(), plain->priority);
    ASSERT_EQ(spec.attempts(), plain->attempts);
    ASSERT_EQ(spec.crash_attempts(), plain->crash_attempts);
    ASSERT_FALSE(spec.function().name().empty());
    v1::TaskSpec again;
    ASSERT_TRUE(again.ParseFromArray(plain->spec.data(), static_cast<int>(plain->spec.size())));
    ASSERT_EQ(again.SerializeAsString(), spec.SerializeAsString());
  }
  EXPECT_GT(accepted, 50'000);
}

TEST(PlainFrames, ResultsThatAreAcceptedMeanTheSameToTheMessages) {
  std::mt19937_64 random(2);
  const std::string result = result_of([](v1::Outcome& outcome) {
                               outcome.set_kind(v1::Outcome::RETURNED);
                               outcome.set_exit_code(3);
                               outcome.mutable_value()->set_string_value("text");
                             }).SerializeAsString();
  int accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    const std::string bytes = damaged(result, random);
    const auto plain = read_plain_result(bytes);
    if (!plain) continue;
    ++accepted;
    v1::FromWorker frame;
    ASSERT_TRUE(frame.ParseFromString(bytes)) << testing::PrintToString(bytes);
    ASSERT_TRUE(frame.has_result());
    const v1::WorkerResult& message = frame.result();
    ASSERT_EQ(message.task(), plain->task);
    ASSERT_EQ(message.attempt(), plain->attempt);
    ASSERT_TRUE(v1::Outcome::Kind_IsValid(message.outcome().kind()));
    ASSERT_EQ(static_cast<int>(message.outcome().kind()), static_cast<int>(plain->kind));
    ASSERT_EQ(message.outcome().exit_code(), plain->exit_code);
    v1::Outcome again;
    ASSERT_TRUE(again.ParseFromArray(plain->outcome.data(), static_cast<int>(plain->outcome.size())));
    ASSERT_EQ(again.SerializeAsString(), message.outcome().SerializeAsString());
  }
  EXPECT_GT(accepted, 50'000);
}

}  // namespace
}  // namespace poold::engine
