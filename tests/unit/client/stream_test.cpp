// Streams: results in any order, refusals, connections that break, and socket buffers that are full both
// ways.
#include "client/cpp/poold/stream.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "common/frame_message.hpp"
#include "tests/unit/client/fake_daemon.hpp"

namespace poold {
namespace {

using std::chrono::milliseconds;
using test::FakeDaemon;
using test::Peer;

const TaskSpec& noop() {
  static const TaskSpec spec(Function{"noop", {}, {}, {}});
  return spec;
}

v1::ServerFrame result_frame(std::uint64_t tag, double value = 0) {
  v1::ServerFrame frame;
  frame.mutable_result()->set_tag(tag);
  frame.mutable_result()->set_attempt(1);
  frame.mutable_result()->mutable_outcome()->set_kind(v1::Outcome::RETURNED);
  frame.mutable_result()->mutable_outcome()->mutable_value()->set_number_value(value);
  return frame;
}

v1::ServerFrame rejected_frame(std::uint64_t tag) {
  v1::ServerFrame frame;
  frame.mutable_rejected()->set_tag(tag);
  frame.mutable_rejected()->set_code("resource_exhausted");
  frame.mutable_rejected()->set_message("the queue is full");
  return frame;
}

constexpr std::uint64_t large_tag = std::uint64_t{1} << 40;

TEST(PolledStream, ResultsComeInTheDaemonsOrder) {
  FakeDaemon daemon({[](Peer& peer) {
    EXPECT_FALSE(peer.upgrade().cancel_on_close());
    std::vector<std::uint64_t> tags;
    for (int i = 0; i < 3; ++i) tags.push_back(peer.read_frame().submit().tag());
    EXPECT_EQ(tags, (std::vector<std::uint64_t>{1, 300, large_tag}));
    peer.send_frame(result_frame(tags[2], 1.5));
    v1::ServerFrame ignored;
    ignored.mutable_started()->set_tag(tags[0]);
    peer.send_frame(ignored);
    peer.send_frame(rejected_frame(tags[1]));
    peer.send_frame(result_frame(tags[0]));
    peer.wait_for_close();
  }});
  {
    PolledStream stream({.socket = daemon.path()});
    for (const std::uint64_t tag : {std::uint64_t{1}, std::uint64_t{300}, large_tag})
      stream.submit(tag, noop());
    EXPECT_EQ(stream.pending(), 3u);
    const StreamResult* result = stream.next_result();
    ASSERT_TRUE(result);
    EXPECT_EQ(result->tag, large_tag);
    EXPECT_EQ(result->get().value.as_number(), 1.5);
    result = stream.next_result();
    EXPECT_EQ(result->tag, 300u);
    EXPECT_EQ(result->code, Code::resource_exhausted);
    EXPECT_THROW(result->get(), Error);
    EXPECT_EQ(stream.next_result()->get().value.as_number(), 0);
    EXPECT_EQ(stream.pending(), 0u);
    EXPECT_EQ(stream.next_result(milliseconds(0)), nullptr);
  }
  EXPECT_EQ(daemon.failure(), "");
}

TEST(PolledStream, FramesInSingleBytesAreWhole) {
  FakeDaemon daemon({[](Peer& peer) {
    peer.upgrade();
    std::string bytes;
    for (int i = 0; i < 100; ++i) append_message(bytes, result_frame(peer.read_frame().submit().tag(), i));
    peer.send(bytes, 1);
  }});
  PolledStream stream({.socket = daemon.path()});
  for (std::uint64_t i = 0; i < 100; ++i) stream.submit(i, noop());
  for (int i = 0; i < 100; ++i) ASSERT_EQ(stream.next_result()->get().value.as_number(), i);
}

// The daemon writes results and reads nothing until they are all taken; the client has more to write than
// both buffers hold.
TEST(PolledStream, FlushReadsWhileTheDaemonDoesNot) {
  constexpr std::uint64_t count = 200'000;
  FakeDaemon daemon({[&](Peer& peer) {
    peer.upgrade();
    std::string bytes;
    for (std::uint64_t tag = 0; tag < count; ++tag) append_message(bytes, result_frame(tag));
    peer.send(bytes);
    for (std::uint64_t tag = 0; tag < count; ++tag) EXPECT_EQ(peer.read_frame().submit().tag(), tag);
    peer.wait_for_close();
  }});
  {
    PolledStream stream({.socket = daemon.path()});
    for (std::uint64_t tag = 0; tag < count; ++tag) stream.submit(tag, noop());
    stream.flush();
    for (std::uint64_t tag = 0; tag < count; ++tag) ASSERT_EQ(stream.next_result()->tag, tag);
  }
  EXPECT_EQ(daemon.failure(), "");
}

TEST(PolledStream, BrokenConnectionSaysHowMuchIsUnfinished) {
  FakeDaemon daemon({[](Peer& peer) {
    peer.upgrade();
    peer.send_frame(result_frame(peer.read_frame().submit().tag()));
    peer.read_frame();
  }});
  PolledStream stream({.socket = daemon.path()});
  stream.submit(1, noop());
  stream.submit(2, noop());
  EXPECT_EQ(stream.next_result()->tag, 1u);
  try {
    stream.next_result();
    FAIL();
  } catch (const ConnectionLost& error) {
    EXPECT_NE(std::string(error.what()).find("1 tasks unfinished"), std::string::npos);
  }
}

TEST(PolledStream, RefusedUpgradeIsTheDaemonsError) {
  FakeDaemon daemon({[](Peer& peer) {
    peer.read_request();
    peer.answer(403, "application/json", R"({"code":"permission_denied","message":"not you"})");
  }});
  try {
    PolledStream stream({.socket = daemon.path()});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::permission_denied);
  }
}

TEST(PolledStream, FrameBeyondTheLimitAndUnknownFlagsAreRefused) {
  for (const std::string_view bytes :
       {std::string_view("\0\x7f\xff\xff\xff", 5), std::string_view("\x01\0\0\0\0", 5)}) {
    FakeDaemon daemon({[&](Peer& peer) {
      peer.upgrade();
      peer.send(bytes);
      peer.wait_for_close();
    }});
    PolledStream stream({.socket = daemon.path()});
    EXPECT_THROW(stream.next_result(), ProtocolError);
  }
}

TEST(Stream, FuturesAndCallbacksGetTheirOwnResults) {
  FakeDaemon daemon({[](Peer& peer) {
    EXPECT_TRUE(peer.upgrade().cancel_on_close());
    const auto first = peer.read_frame().submit().tag();
    const auto second = peer.read_frame().submit().tag();
    peer.send_frame(result_frame(second, 2));
    peer.send_frame(result_frame(first, 1));
    peer.send_frame(rejected_frame(peer.read_frame().submit().tag()));
    peer.wait_for_close();
  }});
  {
    Stream stream({.socket = daemon.path(), .cancel_on_close = true});
    auto first = stream.submit(noop());
    std::promise<double> promise;
    stream.submit(noop(),
                  [&](const StreamResult& result) { promise.set_value(result.get().value.as_number()); });
    EXPECT_EQ(promise.get_future().get(), 2);
    EXPECT_EQ(first.get().value.as_number(), 1);
    auto refused = stream.submit(noop());
    EXPECT_THROW(refused.get(), Error);
    stream.join();
    EXPECT_EQ(stream.pending(), 0u);
  }
  EXPECT_EQ(daemon.failure(), "");
}

TEST(Stream, BrokenConnectionFailsEverythingUnfinishedAndWhatComesLater) {
  FakeDaemon daemon({[](Peer& peer) {
    peer.upgrade();
    for (int i = 0; i < 3; ++i) peer.read_frame();
  }});
  Stream stream({.socket = daemon.path(), .reconnect = {}});
  auto one = stream.submit(noop());
  auto two = stream.submit(noop());
  std::promise<Code> code;
  stream.submit(noop(), [&](const StreamResult& result) { code.set_value(result.code); });
  EXPECT_THROW(one.get(), ConnectionLost);
  EXPECT_THROW(two.get(), ConnectionLost);
  EXPECT_EQ(code.get_future().get(), Code::unavailable);
  EXPECT_THROW(stream.submit(noop()), ConnectionLost);
  stream.join();
}

TEST(Stream, TasksWithAKeyAreSubmittedAgainAndTheOthersAreLost) {
  FakeDaemon daemon({[](Peer& peer) {
                       peer.upgrade();
                       for (int i = 0; i < 3; ++i) peer.read_frame();  // the last is a cancel
                     },
                     [](Peer& peer) {
                       peer.upgrade();
                       const v1::StreamSubmit submit = peer.read_frame().submit();
                       EXPECT_EQ(submit.task().key(), "k");
                       EXPECT_TRUE(submit.take_over());
                       EXPECT_EQ(peer.read_frame().cancel().tag(), submit.tag());
                       peer.send_frame(result_frame(submit.tag()));
                       const v1::StreamSubmit later = peer.read_frame().submit();
                       EXPECT_FALSE(later.take_over());
                       peer.send_frame(result_frame(later.tag()));
                     }});
  Stream stream({.socket = daemon.path()});
  std::uint64_t tag = 0;
  auto with_key = stream.submit(TaskSpec(Function{"noop"}, {.key = "k"}), &tag);
  auto without = stream.submit(noop());
  stream.cancel(tag);
  try {
    without.get();
    FAIL();
  } catch (const ConnectionLost& error) {
    EXPECT_NE(std::string(error.what()).find("is not known"), std::string::npos);
  }
  with_key.get();
  stream.submit(noop()).get();
  stream.join();
  EXPECT_EQ(daemon.failure(), "");
}

TEST(Stream, WhatACallbackSubmitsWhileThereIsNoConnectionIsSentLater) {
  FakeDaemon daemon({[](Peer& peer) {
                       peer.upgrade();
                       peer.read_frame();
                     },
                     [](Peer& peer) {
                       peer.upgrade();
                       peer.send_frame(result_frame(peer.read_frame().submit().tag()));
                     }});
  Stream stream({.socket = daemon.path()});
  std::promise<Code> code;
  stream.submit(noop(), [&](const StreamResult& lost) {
    EXPECT_EQ(lost.code, Code::unavailable);
    stream.submit(noop(), [&](const StreamResult& result) { code.set_value(result.code); });
  });
  EXPECT_EQ(code.get_future().get(), Code::ok);
  stream.join();
  EXPECT_EQ(daemon.failure(), "");
}

TEST(Stream, DaemonsLastWordIsTheReason) {
  FakeDaemon daemon({[](Peer& peer) {
    peer.upgrade();
    peer.read_frame();
    v1::ServerFrame error;
    error.mutable_error()->set_code("resource_exhausted");
    error.mutable_error()->set_message("you read too slowly");
    peer.send_frame(error);
  }});
  Stream stream({.socket = daemon.path()});
  try {
    stream.submit(noop()).get();
    FAIL();
  } catch (const ConnectionLost& error) {
    EXPECT_EQ(error.code(), Code::resource_exhausted);
    EXPECT_NE(std::string(error.what()).find("you read too slowly"), std::string::npos);
  }
}

TEST(Stream, ClosingItFailsWhatIsUnfinished) {
  FakeDaemon daemon({[](Peer& peer) {
    peer.upgrade();
    peer.wait_for_close();
  }});
  std::future<Outcome> future;
  {
    Stream stream({.socket = daemon.path()});
    future = stream.submit(noop());
  }
  EXPECT_THROW(future.get(), ConnectionLost);
}

TEST(Stream, CancelNamesTheTaskAndALateOneIsNotSent) {
  FakeDaemon daemon({[](Peer& peer) {
    peer.upgrade();
    const auto tag = peer.read_frame().submit().tag();
    EXPECT_EQ(peer.read_frame().cancel().tag(), tag);
    peer.send_frame(result_frame(tag));
    const v1::ClientFrame next = peer.read_frame();
    EXPECT_TRUE(next.has_submit());
    EXPECT_NE(next.submit().tag(), tag);
    EXPECT_EQ(peer.read_frame().signal().signal(), 10u);
    peer.send_frame(result_frame(next.submit().tag()));
    peer.wait_for_close();
  }});
  {
    Stream stream({.socket = daemon.path()});
    std::uint64_t tag = 0;
    auto future = stream.submit(noop(), &tag);
    stream.cancel(tag);
    future.get();
    stream.cancel(tag);
    std::uint64_t second = 0;
    auto later = stream.submit(noop(), &second);
    stream.signal(second, 10);
    later.get();
  }
  EXPECT_EQ(daemon.failure(), "");
}

// Several submitters, a daemon that answers in bursts, callbacks that submit again.
TEST(Stream, ManyThreadsAndCallbacksSubmitAtOnce) {
  constexpr int threads = 4;
  constexpr int each = 5'000;
  FakeDaemon daemon({[](Peer& peer) {
    peer.upgrade();
    for (int i = 0; i < 2 * threads * each; ++i)
      peer.send_frame(result_frame(peer.read_frame().submit().tag()));
    peer.wait_for_close();
  }});
  std::atomic<int> done{0};
  {
    Stream stream({.socket = daemon.path()});
    std::vector<std::thread> submitters;
    for (int t = 0; t < threads; ++t) {
      submitters.emplace_back([&] {
        for (int i = 0; i < each; ++i) {
          stream.submit(noop(), [&](const StreamResult&) {
            stream.submit(noop(), [&](const StreamResult&) { ++done; });
          });
        }
      });
    }
    for (auto& submitter : submitters) submitter.join();
    stream.join();
  }
  EXPECT_EQ(done, threads * each);
  EXPECT_EQ(daemon.failure(), "");
}

}  // namespace
}  // namespace poold
