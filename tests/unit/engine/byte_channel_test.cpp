// A channel of the engine at one end of a socket, plain system calls at the other.
#include "daemon/engine/io/byte_channel.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace poold::engine {
namespace {

FileDescriptor memory() { return FileDescriptor(::memfd_create("test", MFD_CLOEXEC)); }

ino_t inode(int fd) {
  struct stat status {};
  EXPECT_EQ(::fstat(fd, &status), 0);
  return status.st_ino;
}

class ByteChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    peer_ = FileDescriptor(ends[0]);
    channel_ = std::make_shared<ByteChannel>(loop_, ends[1]);
  }

  void TearDown() override {
    channel_->close();
    loop_.poll();
  }

  // Appends text that carries a descriptor of its own, and returns which that is.
  ino_t send_beside(std::string_view text) {
    auto descriptor = std::make_shared<const FileDescriptor>(memory());
    const ino_t sent = inode(descriptor->get());
    channel_->send_beside(std::move(descriptor));
    channel_->out() += text;
    return sent;
  }

  // What one recvmsg() of the peer brings.
  std::pair<std::string, std::vector<ino_t>> receive() {
    std::array<char, 64> space;
    std::vector<FileDescriptor> came;
    bool cut = false;
    const ssize_t got = receive_with(peer_.get(), space, came, cut);
    EXPECT_FALSE(cut);
    std::vector<ino_t> inodes;
    for (const FileDescriptor& descriptor : came) inodes.push_back(inode(descriptor.get()));
    return {std::string(space.data(), got > 0 ? static_cast<std::size_t>(got) : 0), inodes};
  }

  ByteChannel::ReadResult read(std::size_t most = 64) {
    return channel_->read(std::span(space_).first(most));
  }

  boost::asio::io_context loop_{1};
  FileDescriptor peer_;
  std::shared_ptr<ByteChannel> channel_;
  std::array<char, 64> space_{};
};

using Received = std::pair<std::string, std::vector<ino_t>>;

TEST_F(ByteChannelTest, EachDescriptorGoesWithTheByteThatWasAppendedNext) {
  channel_->out() += "ab";
  const ino_t first = send_beside("cd");
  const ino_t second = send_beside("ef");
  channel_->flush();
  EXPECT_EQ(receive(), Received("abcd", {first})) << "a read ends behind bytes with descriptors";
  EXPECT_EQ(receive(), Received("ef", {second}));
}

TEST_F(ByteChannelTest, DescriptorsKeepTheirPlaceWhileTheKernelTakesNoMore) {
  const std::string much(1 << 20, 'x');
  channel_->out() += much;
  const ino_t sent = send_beside("end");
  channel_->flush();
  ASSERT_GT(channel_->pending(), 3U);
  std::string all;
  std::vector<ino_t> came;
  while (all.size() < much.size() + 3) {
    auto [bytes, inodes] = receive();
    if (!inodes.empty()) {
      EXPECT_EQ(bytes.substr(bytes.size() - 3), "end");
    }
    all += bytes;
    came.insert(came.end(), inodes.begin(), inodes.end());
    loop_.poll();
    loop_.restart();
  }
  EXPECT_EQ(all, much + "end");
  EXPECT_EQ(came, std::vector<ino_t>{sent});
}

TEST_F(ByteChannelTest, DescriptorsThatComeAreTakenInTheirOrder) {
  channel_->receive_descriptors();
  const FileDescriptor first = memory(), second = memory();
  const std::array both{first.get(), second.get()};
  ASSERT_EQ(send_with(peer_.get(), "x", both), 1);
  EXPECT_FALSE(channel_->take_descriptor().valid()) << "nothing was read";
  EXPECT_EQ(read().count, 1U);
  EXPECT_EQ(inode(channel_->take_descriptor().get()), inode(first.get()));
  EXPECT_EQ(inode(channel_->take_descriptor().get()), inode(second.get()));
  EXPECT_FALSE(channel_->take_descriptor().valid());
}

TEST_F(ByteChannelTest, WhoDidNotAskForDescriptorsGetsTheBytesAlone) {
  const FileDescriptor one = memory();
  const std::array descriptors{one.get()};
  ASSERT_EQ(send_with(peer_.get(), "x", descriptors), 1);
  const auto result = read();
  EXPECT_EQ(result.status, ByteChannel::ReadStatus::bytes);
  EXPECT_EQ(result.count, 1U);
  EXPECT_FALSE(channel_->take_descriptor().valid());
}

TEST_F(ByteChannelTest, PeerThatSendsDescriptorsThatNobodyNamesIsAtFault) {
  channel_->receive_descriptors();
  const FileDescriptor one = memory();
  const std::vector<int> some(datagram_descriptors_max, one.get());
  ByteChannel::ReadStatus status = ByteChannel::ReadStatus::bytes;
  for (int i = 0; i < 1000 && status == ByteChannel::ReadStatus::bytes; ++i) {
    ASSERT_EQ(send_with(peer_.get(), "x", some), 1);
    status = read().status;
  }
  EXPECT_EQ(status, ByteChannel::ReadStatus::failed);
}

TEST_F(ByteChannelTest, EndAndEmptinessAreToldApart) {
  channel_->receive_descriptors();
  EXPECT_EQ(read().status, ByteChannel::ReadStatus::would_block);
  peer_.reset();
  EXPECT_EQ(read().status, ByteChannel::ReadStatus::end);
}

}  // namespace
}  // namespace poold::engine
