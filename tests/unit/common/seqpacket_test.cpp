// Datagrams with descriptors, between two ends in one process.
#include "common/seqpacket.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>

namespace poold {
namespace {

std::size_t open_descriptors() {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

bool same_file(int a, int b) {
  struct stat one, other;
  return ::fstat(a, &one) == 0 && ::fstat(b, &other) == 0 && one.st_ino == other.st_ino &&
         one.st_dev == other.st_dev;
}

class Seqpacket : public testing::Test {
 protected:
  Seqpacket() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    here_ = FileDescriptor(ends[0]);
    there_ = FileDescriptor(ends[1]);
  }

  // As a broken peer would: any bytes, any number of descriptors.
  void send_raw(std::size_t size, std::size_t descriptors) {
    std::string bytes(size, 'x');
    iovec part{bytes.data(), bytes.size()};
    std::vector<int> numbers(descriptors, here_.get());
    std::vector<char> control(CMSG_SPACE(sizeof(int) * descriptors));
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (descriptors > 0) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(sizeof(int) * descriptors);
      std::memcpy(CMSG_DATA(head), numbers.data(), sizeof(int) * descriptors);
    }
    ASSERT_EQ(::sendmsg(here_.get(), &message, 0), static_cast<ssize_t>(size));
  }

  FileDescriptor here_, there_;
  Datagram received_;
};

TEST_F(Seqpacket, WhatWasSentBeforeTheEndCountsThoughSomethingWasLeftUnread) {
  ASSERT_EQ(send_datagram(there_.get(), "unread", {}), Transfer::done);
  ASSERT_EQ(send_datagram(here_.get(), "last", {}), Transfer::done);
  here_.reset();
  Datagram datagram;
  ASSERT_EQ(receive_datagram(there_.get(), datagram), Transfer::done);
  EXPECT_EQ(datagram.bytes, "last");
  EXPECT_EQ(receive_datagram(there_.get(), datagram), Transfer::closed);
}

TEST_F(Seqpacket, DatagramsKeepTheirBoundaries) {
  EXPECT_EQ(send_datagram(here_.get(), "one", {}), Transfer::done);
  EXPECT_EQ(send_datagram(here_.get(), "two!", {}), Transfer::done);
  EXPECT_EQ(receive_datagram(there_.get(), received_), Transfer::done);
  EXPECT_EQ(received_.bytes, "one");
  EXPECT_EQ(receive_datagram(there_.get(), received_), Transfer::done);
  EXPECT_EQ(received_.bytes, "two!");
  EXPECT_TRUE(received_.descriptors.empty());
}

TEST_F(Seqpacket, NothingThereWouldBlockAndAGonePeerIsClosed) {
  EXPECT_EQ(receive_datagram(there_.get(), received_), Transfer::would_block);
  here_.reset();
  EXPECT_EQ(receive_datagram(there_.get(), received_), Transfer::closed);
  EXPECT_EQ(send_datagram(there_.get(), "x", {}), Transfer::closed);
}

TEST_F(Seqpacket, FullChannelWouldBlock) {
  Transfer last = Transfer::done;
  int sent = 0;
  const std::string bytes(1000, 'x');
  for (; last == Transfer::done; ++sent) last = send_datagram(here_.get(), bytes, {});
  EXPECT_EQ(last, Transfer::would_block);
  EXPECT_GT(sent, 1);
}

TEST_F(Seqpacket, DescriptorsArriveInOrderAndCloseOnExec) {
  const auto before = open_descriptors();
  {
    const std::array<FileDescriptor, datagram_descriptors_max> files = {
        make_sealed_memory("a", "a"), make_sealed_memory("b", "b"), make_sealed_memory("c", "c"),
        make_sealed_memory("d", "d")};
    std::array<int, datagram_descriptors_max> numbers;
    for (std::size_t i = 0; i < files.size(); ++i) numbers[i] = files[i].get();
    ASSERT_EQ(send_datagram(here_.get(), "four", numbers), Transfer::done);
    ASSERT_EQ(receive_datagram(there_.get(), received_), Transfer::done);
    ASSERT_EQ(received_.descriptors.size(), files.size());
    for (std::size_t i = 0; i < files.size(); ++i) {
      EXPECT_TRUE(same_file(received_.descriptors[i].get(), numbers[i]));
      EXPECT_NE(received_.descriptors[i].get(), numbers[i]);
      EXPECT_TRUE(::fcntl(received_.descriptors[i].get(), F_GETFD) & FD_CLOEXEC);
    }
  }
  EXPECT_EQ(receive_datagram(there_.get(), received_), Transfer::would_block)
      << "drops the last datagram's descriptors";
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(Seqpacket, LargestDatagramAndOneByteMore) {
  const std::string largest(datagram_max, 'x');
  EXPECT_EQ(send_datagram(here_.get(), largest, {}), Transfer::done);
  EXPECT_EQ(receive_datagram(there_.get(), received_), Transfer::done);
  EXPECT_EQ(received_.bytes, largest);
  errno = 0;
  EXPECT_EQ(send_datagram(here_.get(), largest + "x", {}), Transfer::failed);
  EXPECT_EQ(errno, EMSGSIZE);
}

TEST_F(Seqpacket, MoreDescriptorsThanAllowedAreNotSent) {
  const std::array<int, datagram_descriptors_max + 1> numbers = {0, 0, 0, 0, 0};
  errno = 0;
  EXPECT_EQ(send_datagram(here_.get(), "x", numbers), Transfer::failed);
  EXPECT_EQ(errno, EMSGSIZE);
  EXPECT_EQ(receive_datagram(there_.get(), received_), Transfer::would_block);
}

TEST_F(Seqpacket, NothingAtAllIsNotSent) {
  errno = 0;
  EXPECT_EQ(send_datagram(here_.get(), "", {}), Transfer::failed);
  EXPECT_EQ(errno, EINVAL);
}

TEST_F(Seqpacket, TruncatedDatagramFailsAndItsDescriptorsAreClosed) {
  send_raw(datagram_max + 1, 2);
  const auto before = open_descriptors();
  errno = 0;
  EXPECT_EQ(receive_datagram(there_.get(), received_), Transfer::failed);
  EXPECT_EQ(errno, EMSGSIZE);
  EXPECT_TRUE(received_.descriptors.empty());
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(Seqpacket, TooManyDescriptorsFailAndAreClosed) {
  const auto before = open_descriptors();
  for (const std::size_t count : {datagram_descriptors_max + 1, std::size_t{253}}) {
    send_raw(1, count);
    errno = 0;
    EXPECT_EQ(receive_datagram(there_.get(), received_), Transfer::failed);
    EXPECT_EQ(errno, EMSGSIZE);
    EXPECT_TRUE(received_.descriptors.empty());
    EXPECT_EQ(open_descriptors(), before);
  }
}

TEST_F(Seqpacket, StreamThatTakesOnlyAPartHasFailed) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const FileDescriptor sender(ends[0]), receiver(ends[1]);
  const int size = 4096;
  ::setsockopt(sender.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  const std::string bytes(datagram_max, 'x');
  Transfer last = Transfer::done;
  while (last == Transfer::done) last = send_datagram(sender.get(), bytes, {});
  EXPECT_NE(last, Transfer::closed);
}

TEST(FileDescriptor, ClosesWhatItHolds) {
  const auto before = open_descriptors();
  {
    FileDescriptor one(::open("/dev/null", O_RDONLY)), other(::open("/dev/null", O_RDONLY));
    EXPECT_EQ(open_descriptors(), before + 2);
    one = std::move(other);
    EXPECT_EQ(open_descriptors(), before + 1);
    EXPECT_FALSE(other.valid());
    FileDescriptor third(std::move(one));
    EXPECT_TRUE(third.valid());
    const int number = third.release();
    EXPECT_FALSE(third.valid());
    EXPECT_EQ(::close(number), 0);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(SealedMemory, CanBeReadAndNotChanged) {
  const FileDescriptor memory = make_sealed_memory("test", "content");
  ASSERT_TRUE(memory.valid());
  EXPECT_EQ(read_all(memory.get(), 7), "content");
  EXPECT_EQ(read_all(memory.get(), 6), std::nullopt) << "larger than allowed";
  EXPECT_EQ(::write(memory.get(), "x", 1), -1);
  EXPECT_EQ(::ftruncate(memory.get(), 0), -1);
  EXPECT_EQ(::fcntl(memory.get(), F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
}

TEST(SealedMemory, EmptyAndLarge) {
  EXPECT_EQ(read_all(make_sealed_memory("empty", "").get(), 0), "");
  const std::string large(3'000'000, 'x');
  EXPECT_EQ(read_all(make_sealed_memory("large", large).get(), large.size()), large);
}

TEST(ReadAll, DescriptorThatCannotBeRead) {
  EXPECT_EQ(read_all(-1, 100), std::nullopt);
  const FileDescriptor directory(::open("/", O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(read_all(directory.get(), 1 << 20), std::nullopt);
}

}  // namespace
}  // namespace poold
