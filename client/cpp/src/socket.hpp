// Blocking use of one Unix stream socket, with deadlines. What travels over it is not known here.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/seqpacket.hpp"

namespace poold {

using Deadline = std::optional<std::chrono::steady_clock::time_point>;
Deadline deadline_after(std::chrono::milliseconds timeout);  // negative: none

// Throws Unreachable. A daemon that is busy, or whose engine restarts, leaves the connection in its backlog;
// when that is full too, this waits for room until the timeout.
FileDescriptor connect_to(const std::string& path, std::chrono::milliseconds timeout);

// Waits for poll events on one descriptor: what happened, 0 at the deadline.
short wait_for(int fd, short events, const Deadline& deadline);

// One read: the number of bytes, 0 at the end of the connection. Throws ConnectionLost at the deadline or if
// the connection breaks.
std::size_t receive_some(int fd, std::span<char> space, const Deadline& deadline);

// Without waiting: nothing if the call would block. A broken connection counts as ended (0).
std::optional<std::size_t> try_receive(int fd, std::span<char> space);
// Without waiting: how many bytes the kernel took. Nothing if the peer is gone; there may still be something
// to read.
std::optional<std::size_t> try_send(int fd, std::string_view bytes);

// The same with descriptors: those that come are added, and the one goes with the first byte.
std::optional<std::size_t> try_receive_with(int fd, std::span<char> space,
                                            std::deque<FileDescriptor>& descriptors);
std::optional<std::size_t> try_send_with(int fd, std::string_view bytes, int descriptor);

// The message of an errno.
std::string error_text(int errno_value);

}  // namespace poold
