// The hand-written reader of results against the generated messages: the same bytes must mean the same to
// both.
#include "client/cpp/src/result_reader.hpp"

#include <gtest/gtest.h>

#include <random>

#include "client/cpp/src/task_proto.hpp"
#include "poold/v1/stream.pb.h"

namespace poold {
namespace {

v1::Outcome some_outcome(std::mt19937& random) {
  const auto pick = [&](int count) { return std::uniform_int_distribution<int>(0, count - 1)(random); };
  v1::Outcome outcome;
  outcome.set_kind(static_cast<v1::Outcome::Kind>(pick(11)));
  if (pick(2)) outcome.set_exit_code(pick(2) ? pick(256) : -1);
  if (pick(3) == 0) outcome.set_signal(pick(65));
  if (pick(4) == 0) outcome.set_core_dumped(pick(2));
  switch (pick(8)) {
    case 0:
      outcome.mutable_value()->set_number_value(pick(1000) / 8.0);
      break;
    case 1:
      outcome.mutable_value()->set_string_value("text");
      break;
    case 2:
      outcome.mutable_value()->set_bool_value(pick(2));
      break;
    case 3:
      outcome.mutable_value()->set_null_value({});
      break;
    case 4:
      outcome.mutable_value()->mutable_list_value()->add_values()->set_number_value(1);
      break;
    case 5:
      (*outcome.mutable_value()->mutable_struct_value()->mutable_fields())["k"].set_bool_value(true);
      break;
    case 6:
      outcome.mutable_value();
      break;
    default:
      break;
  }
  if (pick(4) == 0) outcome.mutable_payload()->set_data(std::string("\0\xff", 2));
  if (pick(4) == 0) outcome.mutable_error()->set_message("wrong");
  if (pick(4) == 0) outcome.mutable_usage()->mutable_wall()->set_nanos(5);
  return outcome;
}

TEST(ResultReader, ReadsWhatTheGeneratedMessagesRead) {
  std::mt19937 random(1);
  StreamResult result;  // reused, so that nothing of one result may be left in the next
  for (int i = 0; i < 20'000; ++i) {
    v1::ServerFrame frame;
    frame.mutable_result()->set_tag(random());
    frame.mutable_result()->set_attempt(random() % 5);
    *frame.mutable_result()->mutable_outcome() = some_outcome(random);
    ASSERT_EQ(read_server_frame(frame.SerializeAsString(), result), ServerFrameKind::result);
    ASSERT_EQ(result.tag, frame.result().tag());
    ASSERT_EQ(result.attempt, frame.result().attempt());
    ASSERT_EQ(result.code, Code::ok);
    ASSERT_EQ(result.outcome, from_proto(frame.result().outcome())) << frame.DebugString();
  }
}

TEST(ResultReader, BrokenBytesAreRefusedOrReadButNeverBeyondTheirEnd) {
  std::mt19937 random(2);
  StreamResult result;
  for (int i = 0; i < 20'000; ++i) {
    v1::ServerFrame frame;
    frame.mutable_result()->set_tag(random());
    *frame.mutable_result()->mutable_outcome() = some_outcome(random);
    std::string bytes = frame.SerializeAsString();
    bytes.resize(random() % (bytes.size() + 1));
    if (!bytes.empty()) bytes[random() % bytes.size()] = static_cast<char>(random());
    // A copy of exactly this size, so that the sanitizer sees a read beyond it.
    const std::vector<char> exact(bytes.begin(), bytes.end());
    try {
      read_server_frame({exact.data(), exact.size()}, result);
    } catch (const ProtocolError&) {
    }
  }
}

TEST(ResultReader, FramesOfANewerVersionAreSkipped) {
  StreamResult result;
  EXPECT_EQ(read_server_frame("", result), ServerFrameKind::other);
  EXPECT_EQ(read_server_frame(std::string("\x7a\x01x", 3), result), ServerFrameKind::other);
}

}  // namespace
}  // namespace poold
