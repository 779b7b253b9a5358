// One datagram with descriptors over a Unix SOCK_SEQPACKET or SOCK_STREAM pair. Used on supervisor <-> engine
// and on lifelines.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace poold {

// A descriptor that closes itself.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release();
  void reset();

 private:
  int fd_ = -1;
};

inline constexpr std::size_t datagram_max = 64 * 1024;
inline constexpr std::size_t datagram_descriptors_max = 4;

struct Datagram {
  std::string bytes;
  std::vector<FileDescriptor> descriptors;  // opened with CLOEXEC
};

enum class Transfer { done, would_block, closed, failed };  // failed: errno says why

// sendmsg() and recvmsg() with descriptors, for byte streams too: never blocking, and made again after a
// signal. At most datagram_descriptors_max at once.
ssize_t send_with(int socket, std::string_view bytes, std::span<const int> descriptors);
// `cut`: something did not find room, and is lost.
ssize_t receive_with(int socket, std::span<char> space, std::vector<FileDescriptor>& descriptors, bool& cut);

// Sends without blocking. Nothing at all cannot be sent (failed, EINVAL).
Transfer send_datagram(int socket, std::string_view bytes, std::span<const int> descriptors);

// Receives without blocking. A truncated datagram counts as failed with EMSGSIZE; its descriptors are closed.
Transfer receive_datagram(int socket, Datagram& datagram);

// A sealed memfd with these bytes, to be read by somebody else; invalid, with errno set, if the kernel
// refuses.
FileDescriptor make_sealed_memory(const char* name, std::string_view bytes);
// All of a descriptor's content by pread, up to `size_max`; nothing if it cannot be read or is larger.
std::optional<std::string> read_all(int fd, std::size_t size_max);

}  // namespace poold
