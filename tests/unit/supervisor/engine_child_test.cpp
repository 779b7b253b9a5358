#include "daemon/supervisor/engine_child.hpp"

#include <gtest/gtest.h>
#include <sys/prctl.h>

#include <boost/asio/io_context.hpp>

namespace poold::supervisor {
namespace {

// A shell stands in for an engine; `script` is what it does.
struct EngineChildTest : testing::Test {
  OwnChildren own;
  boost::asio::io_context io{1};
  int dead = 0;
  std::optional<bool> gone;  // whether it had been ready

  void run(const std::string& script, EngineTimes times, std::function<void(EngineChild&)> then = nullptr) {
    EngineChild engine(
        io, own,
        {[](const internal::ToSupervisor&, const auto&) { ADD_FAILURE() << "it says nothing"; },
         [] { ADD_FAILURE() << "it answers nothing"; }, [this] { ++dead; },
         [this](bool was_ready) {
           gone = was_ready;
           io.stop();
         }},
        times);
    ProcessPlan plan;
    plan.path = "/bin/sh";
    plan.argv = {"poold-engine", "-c", script};
    plan.environment = {"PATH=/usr/bin:/bin"};
    ASSERT_TRUE(std::holds_alternative<std::monostate>(engine.start(plan, internal::Welcome(), {})));
    if (then) then(engine);
    io.run_for(std::chrono::seconds(30));
    EXPECT_EQ(dead, 1);
    EXPECT_EQ(engine.state(), EngineChild::State::absent);
    EXPECT_TRUE(own.empty());
  }
};

using std::chrono::hours;
using std::chrono::milliseconds;

TEST_F(EngineChildTest, OneThatDoesNotAnswerIsKilled) {
  run("exec sleep 1000", {milliseconds(10), milliseconds(30), hours(1)});
  EXPECT_EQ(gone, false);
}

TEST_F(EngineChildTest, OneThatClosesItsChannelAndStaysIsKilled) {
  run("exec 3<&-; exec sleep 1000", {hours(1), hours(1), milliseconds(10)});
  EXPECT_EQ(gone, false);
}

TEST_F(EngineChildTest, OneThatHadBeenReadyIsRemembered) {
  run("exit 3", {}, [](EngineChild& engine) { engine.mark_ready(); });
  EXPECT_EQ(gone, true);
}

TEST_F(EngineChildTest, OneThatDoesNotReadIsKilledBeforeTheQueueIsEndless) {
  run("exec sleep 1000", {}, [](EngineChild& engine) {
    internal::ToEngine message;
    message.mutable_exited()->set_pool(std::string(200, 'x'));
    for (std::size_t i = 0; i < channel_queue_max + 2'000; ++i) engine.send(message);
  });
  EXPECT_EQ(gone, false);
}

}  // namespace
}  // namespace poold::supervisor
