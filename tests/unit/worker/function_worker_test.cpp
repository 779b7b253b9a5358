// A function worker as the engine meets it: the real program with the plug-in of examples, over real pipes.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "client/cpp/src/value_proto.hpp"
#include "tests/unit/worker/worker_process.hpp"

namespace poold::test {
namespace {

class FunctionWorker : public testing::Test {
 protected:
  FunctionWorker() {
    const v1::FromWorker first = worker.receive();
    hello = first.hello();
    worker.send(welcome("", 0, 100));
  }

  v1::Outcome call(const v1::ToWorker& task) {
    worker.send(task);
    const v1::WorkerResult result = worker.receive_result();
    EXPECT_EQ(result.task(), task.task().task());
    EXPECT_EQ(result.attempt(), task.task().attempt());
    return result.outcome();
  }
  // The returned value as JSON, or the outcome's kind, type and message.
  std::string answer(const std::string& name, const std::string& arguments,
                     const std::string& keywords = "{}") {
    const v1::Outcome outcome = call(function(7, name, arguments, keywords));
    if (outcome.kind() == v1::Outcome::RETURNED) return from_proto(outcome.value()).to_json();
    return v1::Outcome::Kind_Name(outcome.kind()) + " " + outcome.error().type() + ": " +
           outcome.error().message();
  }

  WorkerProcess worker{{"--plugin", EXAMPLES_PLUGIN}};
  v1::WorkerHello hello;
};

TEST_F(FunctionWorker, HelloNamesGenerationVersionAndFunctions) {
  ASSERT_EQ(hello.versions_size(), 1);
  EXPECT_EQ(hello.versions(0), 1u);
  EXPECT_EQ(hello.generation(), 3u);
  EXPECT_TRUE(hello.agent().starts_with("poold-worker "));
  EXPECT_FALSE(hello.want_ids());
  EXPECT_EQ(std::vector<std::string>(hello.functions().begin(), hello.functions().end()),
            (std::vector<std::string>{"add", "allocate", "crash", "echo", "exit_now", "noop", "raise",
                                      "sleep_ms", "spin_ms", "spin_us"}));
}

TEST_F(FunctionWorker, TypedArgumentsAndResults) {
  EXPECT_EQ(answer("noop", "[]"), "null");
  EXPECT_EQ(answer("noop", "[1,[2],\"x\"]", R"({"k":1})"), "null");
  EXPECT_EQ(answer("add", "[1,2]", R"({"z":3})"), "6");
  EXPECT_EQ(answer("add", "[]"), "0");
  EXPECT_EQ(answer("echo", R"([{"a":[1,null,"é"]}])"), R"({"a":[1,null,"é"]})");
  EXPECT_EQ(answer("allocate", "[1000000]"), "1000000");
  EXPECT_EQ(answer("sleep_ms", "[0]"), "null");
}

TEST_F(FunctionWorker, WrongArgumentsAreRejectedByName) {
  EXPECT_EQ(answer("spin_ms", "[\"x\"]"),
            "REJECTED TypeError: spin_ms: argument 1: expected integer, got string");
  EXPECT_EQ(answer("spin_ms", "[1.5]"),
            "REJECTED TypeError: spin_ms: argument 1: expected integer, got number 1.5");
  EXPECT_EQ(answer("spin_ms", "[]"), "REJECTED TypeError: spin_ms: takes 1 argument, got 0");
  EXPECT_EQ(answer("exit_now", "[1,2]"), "REJECTED TypeError: exit_now: takes 0 to 1 argument, got 2");
  EXPECT_EQ(answer("crash", "[]", R"({"hard":true})"),
            "REJECTED TypeError: crash: takes no keyword arguments, got \"hard\"");
  EXPECT_EQ(answer("no_such", "[]"),
            "REJECTED UnknownFunction: no function \"no_such\" in this pool's workers");
}

TEST_F(FunctionWorker, ExceptionHasItsTypeAndMessage) {
  EXPECT_EQ(answer("raise", "[\"no luck\"]"), "RAISED std::runtime_error: no luck");
  EXPECT_EQ(answer("add", "[\"x\"]"), "RAISED std::invalid_argument: expected number, got string");
  EXPECT_EQ(answer("noop", "[]"), "null");
}

TEST_F(FunctionWorker, CommandIsRejected) {
  EXPECT_EQ(call(command(1, {"true"})).kind(), v1::Outcome::REJECTED);
}

TEST_F(FunctionWorker, BytesAreEchoedWithTheirType) {
  v1::ToWorker task = function(1, "echo");
  auto& payload = *task.mutable_task()->mutable_spec()->mutable_function()->mutable_payload();
  payload.set_content_type("application/x-test");
  payload.set_data(std::string("\0\xff raw", 6));
  const v1::Outcome outcome = call(task);
  EXPECT_EQ(outcome.payload().SerializeAsString(), payload.SerializeAsString());
  EXPECT_FALSE(outcome.has_value());
  payload.set_data(std::string(15 << 20, 'x'));
  EXPECT_EQ(call(task).payload().data().size(), std::size_t{15} << 20);
  EXPECT_EQ(answer("noop", "[]"), "null");
}

TEST_F(FunctionWorker, ResultBeyondTheFrameLimitRaisesInItsPlace) {
  v1::ToWorker task = function(1, "echo");
  task.mutable_task()->mutable_spec()->mutable_function()->mutable_payload()->set_data(
      std::string((16 << 20) - 1000, 'x'));
  const v1::Outcome outcome = call(task);
  EXPECT_EQ(outcome.kind(), v1::Outcome::RAISED);
  EXPECT_EQ(outcome.error().type(), "ResultTooLarge");
  EXPECT_NE(outcome.error().message().find("16773120"), std::string::npos);
  EXPECT_FALSE(outcome.has_payload());
}

TEST_F(FunctionWorker, ManyTasksInOneWriteComeBackInOrder) {
  std::string frames;
  constexpr std::uint64_t count = 20'000;
  for (std::uint64_t i = 1; i <= count; ++i)
    frames += WorkerProcess::framed(function(i, i % 5 ? "noop" : "add", "[1]"));
  std::thread sender([&] { worker.send_bytes(frames); });
  for (std::uint64_t i = 1; i <= count; ++i) {
    const auto result = worker.receive_result();
    ASSERT_EQ(result.task(), i);
    ASSERT_EQ(result.outcome().kind(), v1::Outcome::RETURNED);
  }
  sender.join();
}

TEST_F(FunctionWorker, EveryTaskIsEitherAnsweredOrGivenBack) {
  std::mt19937 random(11);
  constexpr std::uint64_t count = 3000;
  std::string frames;
  for (std::uint64_t i = 1; i <= count; ++i) {
    const unsigned draw = random() % 100;
    const char* const duration = draw >= 98 ? "[8]" : draw >= 90 ? "[1]" : "[0]";
    frames += WorkerProcess::framed(draw < 60 ? function(i, "noop") : function(i, "spin_ms", duration));
    if (draw % 10 == 0) frames += WorkerProcess::framed(give_back({i, i - random() % 20, i + 1}));
    if (draw % 10 == 1) frames += WorkerProcess::framed(cancel(i - random() % 5));
  }
  frames += WorkerProcess::framed(stop());
  std::thread sender([&] {
    // In pieces, so that frames arrive while functions run.
    for (std::string_view rest = frames; !rest.empty();) {
      const std::string_view piece = rest.substr(0, random() % 2000 + 1);
      worker.send_bytes(piece);
      rest.remove_prefix(piece.size());
    }
  });
  std::map<std::uint64_t, int> answers;
  for (const auto& message : worker.receive_all()) {
    if (message.has_result()) ++answers[message.result().task()];
    for (const auto task : message.returned().tasks()) ++answers[task];
  }
  sender.join();
  EXPECT_EQ(answers.size(), count);
  for (const auto& [task, times] : answers) EXPECT_EQ(times, 1) << task;
  EXPECT_EQ(worker.wait(), 0);
}

TEST_F(FunctionWorker, StartedIsSentWhereItWasAskedFor) {
  v1::ToWorker task = function(5, "spin_ms", "[1]");
  task.mutable_task()->set_want_started(true);
  worker.send(task);
  EXPECT_EQ(worker.receive().started().task(), 5u);
  EXPECT_EQ(worker.receive_result().task(), 5u);
}

TEST_F(FunctionWorker, TasksAreGivenBackWhileAFunctionRuns) {
  worker.send(function(1, "spin_ms", "[60000]"));
  for (const std::uint64_t task : {2, 3, 4}) worker.send(function(task, "noop"));
  worker.send(give_back({1, 2, 4, 99}));
  const auto returned = worker.receive().returned();
  EXPECT_EQ(std::vector<std::uint64_t>(returned.tasks().begin(), returned.tasks().end()),
            (std::vector<std::uint64_t>{2, 4}));
  worker.send(cancel(1));
  EXPECT_EQ(worker.receive_result().outcome().kind(), v1::Outcome::CANCELLED);
  const auto third = worker.receive_result();
  EXPECT_EQ(third.task(), 3u);
  EXPECT_EQ(third.outcome().kind(), v1::Outcome::RETURNED);
}

TEST_F(FunctionWorker, TasksAreGivenBackBetweenFunctionsThatAreNotLongEnoughToWatch) {
  std::string frames;
  std::vector<std::uint64_t> rest;
  for (std::uint64_t i = 1; i <= 400; ++i) frames += WorkerProcess::framed(function(i, "spin_ms", "[3]"));
  for (std::uint64_t i = 101; i <= 400; ++i) rest.push_back(i);
  worker.send_bytes(frames);
  EXPECT_EQ(worker.receive_result().task(), 1u);
  worker.send(give_back(rest));
  std::uint64_t ran = 1;
  for (v1::FromWorker message = worker.receive();; message = worker.receive()) {
    if (!message.has_result()) {
      EXPECT_EQ(message.returned().tasks_size(), 300);
      break;
    }
    ran = message.result().task();
  }
  EXPECT_LT(ran, 50u);
}

TEST_F(FunctionWorker, ResultsBeforeALongFunctionAreNotKeptBack) {
  worker.send_bytes(WorkerProcess::framed(function(1, "noop")) +
                    WorkerProcess::framed(function(2, "sleep_ms", "[60000]")));
  EXPECT_EQ(worker.receive_result().task(), 1u);
  worker.send(cancel(2));
  EXPECT_EQ(worker.receive_result().outcome().kind(), v1::Outcome::CANCELLED);
}

TEST_F(FunctionWorker, CancelReachesTheRunningFunctionAndOnlyThat) {
  worker.send(function(1, "sleep_ms", "[60000]"));
  worker.send(cancel(8));
  worker.send(cancel(1));
  EXPECT_EQ(worker.receive_result().outcome().kind(), v1::Outcome::CANCELLED);
  EXPECT_EQ(answer("sleep_ms", "[1]"), "null");
}

TEST_F(FunctionWorker, CancelOfATaskThatWaitsIsAnsweredAtOnce) {
  worker.send(function(1, "sleep_ms", "[60000]"));
  worker.send(function(2, "noop"));
  worker.send(cancel(2));
  const auto second = worker.receive_result();
  EXPECT_EQ(second.task(), 2u);
  EXPECT_EQ(second.outcome().kind(), v1::Outcome::CANCELLED);
  worker.send(cancel(1));
  EXPECT_EQ(worker.receive_result().task(), 1u);
}

TEST_F(FunctionWorker, StopRunsWhatIsHereAndExits) {
  for (const std::uint64_t task : {1, 2}) worker.send(function(task, "spin_ms", "[20]"));
  worker.send(stop());
  worker.send(function(3, "noop"));
  const auto messages = worker.receive_all();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[1].result().task(), 2u);
  EXPECT_EQ(worker.wait(), 0);
}

TEST_F(FunctionWorker, CancelWorksAfterAStop) {
  worker.send(function(1, "sleep_ms", "[60000]"));
  worker.send(stop());
  worker.send(cancel(1));
  EXPECT_EQ(worker.receive_result().outcome().kind(), v1::Outcome::CANCELLED);
  EXPECT_EQ(worker.wait(), 0);
}

TEST_F(FunctionWorker, EndOfTheTaskPipeDropsWhatHasNotStarted) {
  worker.send(function(1, "sleep_ms", "[200]"));
  worker.send(function(2, "sleep_ms", "[60000]"));
  worker.end_tasks();
  const auto messages = worker.receive_all();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].result().task(), 1u);
  EXPECT_EQ(worker.wait(), 0);
}

TEST_F(FunctionWorker, EngineThatReadsNoResultsAnyMoreIsNoReasonToCrash) {
  worker.stop_reading();
  worker.send(function(1, "noop"));
  EXPECT_EQ(worker.wait(), 0);
}

TEST_F(FunctionWorker, EndOfTheLifelineEndsItWhileAFunctionRuns) {
  v1::ToWorker task = function(1, "spin_ms", "[60000]");
  task.mutable_task()->set_want_started(true);
  worker.send(task);
  EXPECT_TRUE(worker.receive().has_started());
  worker.end_lifeline();
  EXPECT_TRUE(worker.session_ends_within_a_second());
}

TEST_F(FunctionWorker, EndOfTheLifelineEndsItWhileIdle) {
  worker.end_lifeline();
  EXPECT_TRUE(worker.session_ends_within_a_second());
}

TEST_F(FunctionWorker, CrashIsASegmentationFaultOfTheWorker) {
  worker.send(function(1, "crash"));
  const int status = worker.wait();
#if defined(__SANITIZE_ADDRESS__)
  EXPECT_NE(status, 0);
#else
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGSEGV);
#endif
}

TEST_F(FunctionWorker, ExitOfAFunctionIsTheWorkersExit) {
  worker.send(function(1, "exit_now", "[3]"));
  const int status = worker.wait();
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 3);
}

TEST_F(FunctionWorker, WhatIsNoProtocolEndsItWithAMessage) {
  worker.send_bytes("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(WEXITSTATUS(worker.wait()), 1);
  EXPECT_NE(worker.errors().find("no protocol"), std::string::npos);
}

TEST_F(FunctionWorker, FrameThatIsNoMessageEndsItWithAMessage) {
  worker.send_bytes(std::string("\0\0\0\0\x03\xff\xff\xff", 8));
  EXPECT_EQ(WEXITSTATUS(worker.wait()), 1);
  EXPECT_NE(worker.errors().find("no protocol"), std::string::npos);
}

TEST(Plugin, ThatDoesNotExistIsNamedInTheHelloAndOnStderr) {
  WorkerProcess worker({"--plugin", "/no/such.so"});
  EXPECT_EQ(WEXITSTATUS(worker.wait()), 1);
  const auto said = worker.receive_all();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].hello().generation(), 3u);
  const std::string why = "/no/such.so: cannot open shared object file: No such file or directory";
  EXPECT_NE(said[0].hello().error().find(why), std::string::npos);
  EXPECT_NE(worker.errors().find(why), std::string::npos);
}

TEST(OwnProgram, ThatRefusesSaysWhyInValidUtf8AndBounded) {
  WorkerProcess worker({"--plugin", "/no/\xff" + std::string(30'000, 'x')});
  EXPECT_EQ(WEXITSTATUS(worker.wait()), 1);
  const auto said = worker.receive_all();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_LE(said[0].hello().error().size(), 4096u);
  EXPECT_NE(said[0].hello().error().find("/no/\xef\xbf\xbdxxx"), std::string::npos);
}

TEST(Plugin, ThatIsNoneIsNamed) {
  WorkerProcess worker({"--plugin", PROTOBUF_LIBRARY});
  EXPECT_EQ(WEXITSTATUS(worker.wait()), 1);
  EXPECT_NE(worker.errors().find("no symbol poold_plugin_table"), std::string::npos);
}

TEST(OwnProgram, ServesItsOwnFunctions) {
  WorkerProcess worker({}, SERVE_PROGRAM);
  EXPECT_EQ(worker.receive().hello().functions(0), "square");
  worker.send(welcome("", 0, 100));
  worker.send(function(1, "square", "[7]"));
  EXPECT_EQ(worker.receive_result().outcome().value().number_value(), 49);
}

}  // namespace
}  // namespace poold::test
