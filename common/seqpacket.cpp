#include "common/seqpacket.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace poold {

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

FileDescriptor::~FileDescriptor() { reset(); }

int FileDescriptor::release() { return std::exchange(fd_, -1); }

void FileDescriptor::reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

namespace {

// Room for the control message of the most descriptors that one datagram may carry.
struct ControlBuffer {
  alignas(cmsghdr) char bytes[CMSG_SPACE(sizeof(int) * datagram_descriptors_max)];
};

Transfer failure() {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return Transfer::would_block;
  if (errno == EPIPE || errno == ECONNRESET) return Transfer::closed;
  return Transfer::failed;
}

}  // namespace

ssize_t send_with(int socket, std::string_view bytes, std::span<const int> descriptors) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  ControlBuffer control{};
  if (!descriptors.empty()) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(head), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent;
  do sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  return sent;
}

ssize_t receive_with(int socket, std::span<char> space, std::vector<FileDescriptor>& descriptors, bool& cut) {
  iovec part{space.data(), space.size()};
  ControlBuffer control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t got;
  do got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  cut = got >= 0 && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  if (got < 0) return got;
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
      descriptors.emplace_back(fd);
    }
  }
  return got;
}

Transfer send_datagram(int socket, std::string_view bytes, std::span<const int> descriptors) {
  if (descriptors.size() > datagram_descriptors_max || bytes.size() > datagram_max) {
    errno = EMSGSIZE;
    return Transfer::failed;
  }
  // The receiver could not tell it from the end.
  if (bytes.empty()) {
    errno = EINVAL;
    return Transfer::failed;
  }
  const ssize_t sent = send_with(socket, bytes, descriptors);
  if (sent < 0) return failure();
  if (static_cast<std::size_t>(sent) == bytes.size()) return Transfer::done;
  // Only a byte stream takes a part, and what is left can no longer be sent as one piece.
  errno = EMSGSIZE;
  return Transfer::failed;
}

Transfer receive_datagram(int socket, Datagram& datagram) {
  datagram.descriptors.clear();
  datagram.bytes.resize(datagram_max);
  bool cut;
  ssize_t got = receive_with(socket, datagram.bytes, datagram.descriptors, cut);
  // A peer that closed without reading everything. The kernel tells of that once, and before what the peer
  // had sent.
  if (got < 0 && errno == ECONNRESET) got = receive_with(socket, datagram.bytes, datagram.descriptors, cut);
  datagram.bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  if (got < 0) return failure();
  if (cut) {
    datagram.descriptors.clear();
    errno = EMSGSIZE;
    return Transfer::failed;
  }
  return got == 0 ? Transfer::closed : Transfer::done;
}

FileDescriptor make_sealed_memory(const char* name, std::string_view bytes) {
  FileDescriptor memory(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid()) return memory;
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t n = ::write(memory.get(), bytes.data() + written, bytes.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return FileDescriptor();
    written += static_cast<std::size_t>(n);
  }
  if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
    return FileDescriptor();
  return memory;
}

std::optional<std::string> read_all(int fd, std::size_t size_max) {
  struct stat status;
  if (::fstat(fd, &status) < 0 || status.st_size < 0 || static_cast<std::size_t>(status.st_size) > size_max)
    return std::nullopt;
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t n = ::pread(fd, bytes.data() + have, bytes.size() - have, static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace poold
