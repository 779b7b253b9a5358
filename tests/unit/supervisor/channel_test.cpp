// What an engine said before it went counts, whatever it left unread and however its end is noticed.
#include "daemon/supervisor/channel.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <memory>

namespace poold::supervisor {
namespace {

class ChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    engine_ = FileDescriptor(ends[0]);
    channel_ = std::make_shared<Channel>(io_, FileDescriptor(ends[1]));
    channel_->open(
        [this](const internal::ToSupervisor& message, const auto&) {
          EXPECT_FALSE(broken_);
          pongs_.push_back(message.pong().number());
          if (answers_) ping();
        },
        [this](ChannelEnd end, const std::string&) {
          EXPECT_FALSE(broken_);
          broken_ = end;
        });
  }

  void say(std::uint64_t number) {
    internal::ToSupervisor message;
    message.mutable_pong()->set_number(number);
    ASSERT_EQ(send_datagram(engine_.get(), message.SerializeAsString(), {}), Transfer::done);
  }

  void ping() {
    internal::ToEngine message;
    message.mutable_ping()->set_number(1);
    channel_->send(message);
  }

  void expect_all_heard() {
    EXPECT_EQ(pongs_, (std::vector<std::uint64_t>{1, 2, 3}));
    EXPECT_EQ(broken_, ChannelEnd::closed);
    EXPECT_FALSE(channel_->is_open());
  }

  boost::asio::io_context io_{1};
  FileDescriptor engine_;
  std::shared_ptr<Channel> channel_;
  std::vector<std::uint64_t> pongs_;
  std::optional<ChannelEnd> broken_;
  bool answers_ = false;
};

TEST_F(ChannelTest, EndIsHeardAfterWhatWasSaid) {
  for (std::uint64_t number : {1, 2, 3}) say(number);
  engine_.reset();
  io_.run();
  expect_all_heard();
}

TEST_F(ChannelTest, EngineThatLeftSomethingUnreadIsHeard) {
  ping();
  for (std::uint64_t number : {1, 2, 3}) say(number);
  engine_.reset();
  io_.run();
  expect_all_heard();
}

TEST_F(ChannelTest, EngineThatIsFoundGoneWhenSomethingIsSentIsHeard) {
  for (std::uint64_t number : {1, 2, 3}) say(number);
  engine_.reset();
  ping();
  EXPECT_EQ(pongs_.size(), 0U) << "not in the midst of what sends";
  ping();
  io_.run();
  expect_all_heard();
}

TEST_F(ChannelTest, EngineThatIsFoundGoneWhileItIsHeardIsHeard) {
  answers_ = true;
  for (std::uint64_t number : {1, 2, 3}) say(number);
  engine_.reset();
  io_.run();
  expect_all_heard();
}

TEST_F(ChannelTest, WhatIsDrainedIsAllThereWas) {
  ping();
  for (std::uint64_t number : {1, 2, 3}) say(number);
  engine_.reset();
  ping();
  channel_->drain();
  expect_all_heard();
  channel_->close();
  io_.run();
}

}  // namespace
}  // namespace poold::supervisor
