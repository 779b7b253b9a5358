// Connection and Client: what the daemon answers, and what becomes of a call when it does not.
#include "client/cpp/src/connection.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "client/cpp/poold/client.hpp"
#include "client/cpp/src/task_proto.hpp"
#include "poold/v1/tasks.pb.h"
#include "tests/unit/client/fake_daemon.hpp"

namespace poold {
namespace {

using std::chrono::milliseconds;
using test::FakeDaemon;
using test::Peer;

constexpr std::string_view json = "application/json";

template <class Exception, class Action>
Exception caught(Action action) {
  try {
    action();
  } catch (const Exception& error) {
    return error;
  }
  throw std::runtime_error("nothing was thrown");
}

bool says(const std::exception& error, const char* text) {
  return std::string(error.what()).find(text) != std::string::npos;
}

TEST(Connection, CallsShareOneConnection) {
  v1::SubmitResponse answer;
  answer.set_id("some id");
  FakeDaemon daemon({[&](Peer& peer) {
    for (int i = 0; i < 2; ++i) {
      const auto request = peer.read_request();
      EXPECT_EQ(request.path(), "/poold.v1.Tasks/Submit");
      EXPECT_NE(request.head.find("Content-Type: application/proto"), std::string::npos);
      v1::TaskSpec task;
      EXPECT_TRUE(task.ParseFromString(request.body));
      EXPECT_EQ(task.command().argv(0), "true");
      peer.answer(answer);
    }
  }});
  Client client({.socket = daemon.path()});
  EXPECT_EQ(client.submit(Command{{"true"}}).id, "some id");
  EXPECT_EQ(client.submit(Command{{"true"}}).id, "some id");
  EXPECT_EQ(daemon.failure(), "");
}

TEST(Connection, AnswersInSingleBytesAndChunksAreTheSame) {
  FakeDaemon daemon({[](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", 1);
    peer.send("3\r\n{\"a\r\n3\r\n\":1\r\n1\r\n}\r\n0\r\n\r\n", 1);
  }});
  EXPECT_EQ(Client({.socket = daemon.path()}).call_json("poold.v1.Tasks/Get", "{}"), "{\"a\":1}");
}

TEST(Connection, ErrorsCarryTheDaemonsCodeAndMessage) {
  FakeDaemon daemon({[](Peer& peer) {
    peer.read_request();
    peer.answer(404, json, R"({"code":"not_found","message":"no task x","details":[]})");
    peer.read_request();
    peer.answer(502, "text/html", "<html>");
    peer.read_request();
    peer.answer(400, json, R"({"code":"no such code"})");
  }});
  Client client({.socket = daemon.path()});
  const auto error = caught<Error>([&] { client.get("x"); });
  EXPECT_EQ(error.code(), Code::not_found);
  EXPECT_STREQ(error.what(), "no task x");
  EXPECT_EQ(caught<Error>([&] { client.get("x"); }).code(), Code::unavailable);
  EXPECT_EQ(caught<Error>([&] { client.get("x"); }).code(), Code::internal);
  EXPECT_EQ(daemon.failure(), "");
}

TEST(Connection, DaemonThatHangsUpLosesTheCallAndTheNextOneConnectsAgain) {
  FakeDaemon daemon({[](Peer& peer) {
                       peer.read_request();
                       peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
                     },
                     [](Peer& peer) { peer.read_request(); },
                     [](Peer& peer) {
                       peer.read_request();
                       peer.answer(200, json, "{}");
                     }});
  Client client({.socket = daemon.path()});
  const auto half = caught<ConnectionLost>([&] { client.call_json("x/y", "{}"); });
  EXPECT_EQ(half.code(), Code::unavailable);
  EXPECT_TRUE(says(half, "middle"));
  EXPECT_TRUE(says(caught<ConnectionLost>([&] { client.call_json("x/y", "{}"); }), "without an answer"));
  EXPECT_EQ(client.call_json("x/y", "{}"), "{}");
  EXPECT_EQ(daemon.failure(), "");
}

TEST(Connection, ConnectionClosedBetweenCallsIsReplacedBeforeAnythingIsSent) {
  FakeDaemon daemon({[](Peer& peer) {
                       peer.read_request();
                       peer.answer(200, json, "{}");
                       ::shutdown(peer.descriptor(), SHUT_WR);
                       peer.wait_for_close();
                     },
                     [](Peer& peer) {
                       peer.read_request();
                       peer.answer(200, json, "{}");
                     }});
  Connection connection(daemon.path());
  connection.call_json("x/y", "{}", no_timeout);
  wait_for(connection.descriptor(), POLLIN, {});
  EXPECT_EQ(connection.call_json("x/y", "{}", no_timeout), "{}");
  EXPECT_EQ(daemon.failure(), "");
}

TEST(Connection, AnswerThatIsGivenBeforeTheRequestWasReadCounts) {
  FakeDaemon daemon({[](Peer& peer) {
    peer.answer(413, json, R"({"code":"resource_exhausted","message":"too long"})");
    peer.wait_for_close();
  }});
  Connection connection(daemon.path());
  const std::string body(8 * 1024 * 1024, ' ');
  const auto error = caught<Error>([&] { connection.call_json("x/y", body, no_timeout); });
  EXPECT_EQ(error.code(), Code::resource_exhausted);
  EXPECT_STREQ(error.what(), "too long");
}

TEST(Connection, DaemonThatDoesNotAnswerInTimeIsALostCall) {
  FakeDaemon daemon({[](Peer& peer) { peer.wait_for_close(); }});
  Connection connection(daemon.path());
  const auto error = caught<ConnectionLost>([&] { connection.call_json("x/y", "{}", milliseconds(20)); });
  EXPECT_EQ(error.code(), Code::deadline_exceeded);
  EXPECT_EQ(connection.descriptor(), -1);
}

TEST(Connection, NoSocketIsUnreachable) {
  Client client({.socket = "/nonexistent/control.sock"});
  const auto error = caught<Unreachable>([&] { client.get("x"); });
  EXPECT_EQ(error.code(), Code::unavailable);
  EXPECT_STREQ(error.what(), "cannot connect to /nonexistent/control.sock: No such file or directory");
}

TEST(Connection, SocketPathBeyondTheKernelsLimitIsUnreachable) {
  Client client({.socket = "/" + std::string(200, 'x')});
  EXPECT_THROW(client.get("x"), Unreachable);
}

TEST(Connection, FullBacklogIsWaitedForUntilTheTimeOut) {
  test::TemporaryDirectory directory;
  const std::string path = directory.path() + "/s";
  const FileDescriptor listener = test::listen_at(path, 0);
  const FileDescriptor first = connect_to(path, milliseconds(1000));
  EXPECT_TRUE(says(caught<Unreachable>([&] { connect_to(path, milliseconds(30)); }), "in time"));

  // Room comes: the waiting connect goes through.
  std::thread acceptor([&] { ::close(::accept(listener.get(), nullptr, nullptr)); });
  EXPECT_TRUE(connect_to(path, milliseconds(10'000)).valid());
  acceptor.join();
}

TEST(Connection, AliasesArriveAsTheyAreSent) {
  FakeDaemon daemon({[](Peer& peer) {
    EXPECT_EQ(peer.read_request().path(), "/v1/events");
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n");
    peer.send("3\r\n[]\n\r\n0\r\n\r\n");
  }});
  std::string taken;
  Connection(daemon.path()).get("/v1/events", [&](std::string_view bytes) { taken.append(bytes); });
  EXPECT_EQ(taken, "{}\n[]\n");
}

TEST(Client, OnlyWhatCanBeMadeAgainIsMadeAgain) {
  const auto hang_up = [](Peer& peer) { peer.read_request(); };
  FakeDaemon daemon({hang_up,
                     [](Peer& peer) {
                       peer.read_request();
                       v1::GetTaskResponse response;
                       response.mutable_task()->set_id("x");
                       peer.answer(response);
                       peer.wait_for_close();
                     },
                     hang_up,
                     [](Peer& peer) {
                       peer.read_request();
                       v1::SubmitResponse response;
                       response.set_id("y");
                       peer.answer(response);
                       peer.wait_for_close();
                     },
                     hang_up});
  EXPECT_EQ(Client({.socket = daemon.path()}).get("x").id, "x");
  EXPECT_EQ(Client({.socket = daemon.path()}).submit(Command{{"true"}}, {.key = "k"}).id, "y");
  const auto lost =
      caught<ConnectionLost>([&] { Client({.socket = daemon.path()}).submit(Command{{"true"}}); });
  EXPECT_TRUE(says(lost, "is not known"));
  EXPECT_EQ(daemon.failure(), "");
}

TEST(Client, ListGoesOnToTheLastPage) {
  FakeDaemon daemon({[](Peer& peer) {
    for (int page = 0; page < 3; ++page) {
      v1::ListTasksRequest request;
      EXPECT_TRUE(request.ParseFromString(peer.read_request().body));
      EXPECT_EQ(request.page_token(), page == 0 ? "" : std::to_string(page));
      EXPECT_EQ(request.selector().states(0), v1::Task::QUEUED);
      v1::ListTasksResponse answer;
      answer.add_tasks()->set_id(std::to_string(page));
      if (page < 2) answer.set_next_page_token(std::to_string(page + 1));
      peer.answer(answer);
    }
  }});
  Client client({.socket = daemon.path()});
  Selector selector;
  selector.states = {TaskState::queued};
  const auto tasks = client.list(selector);
  ASSERT_EQ(tasks.size(), 3u);
  EXPECT_EQ(tasks[2].id, "2");
  EXPECT_EQ(daemon.failure(), "");
}

TEST(Client, CallReturnsTheValueOrThrowsTheOutcome) {
  const auto play = [](const v1::Outcome& outcome) {
    return [outcome](Peer& peer) {
      EXPECT_TRUE(peer.upgrade().cancel_on_close());
      const v1::ClientFrame request = peer.read_frame();
      EXPECT_EQ(request.submit().task().function().name(), "add");
      v1::ServerFrame answer;
      answer.mutable_result()->set_tag(request.submit().tag());
      *answer.mutable_result()->mutable_outcome() = outcome;
      peer.send_frame(answer);
      peer.wait_for_close();
    };
  };
  v1::Outcome returned;
  returned.set_kind(v1::Outcome::RETURNED);
  returned.mutable_value()->set_number_value(3);
  v1::Outcome raised;
  raised.set_kind(v1::Outcome::RAISED);
  raised.mutable_error()->set_type("std::range_error");
  raised.mutable_error()->set_message("too much");
  FakeDaemon daemon({play(returned), play(raised)});
  Client client({.socket = daemon.path()});
  EXPECT_EQ(client.call({"add", {1, 2}, {}, {}}, {.pool = "math"}).as_integer(), 3);
  const auto error = caught<RemoteError>([&] { client.call({"add", {1, 2}, {}, {}}); });
  EXPECT_STREQ(error.what(), "std::range_error: too much");
  EXPECT_EQ(error.outcome().kind, Outcome::Kind::raised);
  EXPECT_EQ(daemon.failure(), "");
}

TEST(Client, RunHandsOutputOverInOrder) {
  FakeDaemon daemon({[](Peer& peer) {
    peer.upgrade();
    const v1::ClientFrame request = peer.read_frame();
    EXPECT_TRUE(request.submit().want_output());
    v1::ServerFrame frame;
    for (const char* text : {"one ", "two"}) {
      frame.mutable_output()->set_tag(1);
      frame.mutable_output()->mutable_chunk()->set_stream(v1::LogChunk::STDOUT);
      frame.mutable_output()->mutable_chunk()->set_data(text);
      peer.send_frame(frame);
    }
    frame.mutable_result()->mutable_outcome()->set_kind(v1::Outcome::EXITED);
    frame.mutable_result()->mutable_outcome()->set_exit_code(7);
    peer.send_frame(frame);
  }});
  std::string text;
  Client client({.socket = daemon.path()});
  const Outcome outcome =
      client.run(Command{{"x"}}, {}, [&](const Output& output) { text.append(output.data); });
  EXPECT_EQ(text, "one two");
  EXPECT_EQ(outcome.exit_code, 7);
}

TEST(TaskSpec, WhatTheProtocolCannotCarryIsRefusedByName) {
  const auto error = caught<std::invalid_argument>([] { TaskSpec(Command{{"x"}}, {.name = "\xff"}); });
  EXPECT_STREQ(error.what(), "name is not UTF-8");
  EXPECT_THROW(TaskSpec(Command{{std::string("a\0b", 3)}}), std::invalid_argument);
  EXPECT_THROW(TaskSpec(Command{{std::string(17 * 1024 * 1024, 'x')}}), std::invalid_argument);
}

TEST(TaskSpec, ArgumentsThatAreNotUtf8TravelAsBytes) {
  v1::TaskSpec proto;
  ASSERT_TRUE(proto.ParseFromString(std::string(TaskSpec(Command{{"cat", "\xff"}}).bytes())));
  EXPECT_EQ(proto.command().argv_size(), 0);
  EXPECT_EQ(proto.command().argv_bytes(1), "\xff");
  EXPECT_EQ(from_proto(proto.command()).argv[1], "\xff");
}

}  // namespace
}  // namespace poold
