#include "common/memory_socket.hpp"

#include <string>
#include <string_view>

namespace poold {
namespace {

constexpr std::size_t number_size = 8;

void append_number(std::string& out, std::uint64_t number) {
  for (std::size_t i = 0; i < number_size; ++i) out += static_cast<char>(number >> (8 * i));
}

std::uint64_t number_at(std::string_view bytes, std::size_t at) {
  std::uint64_t number = 0;
  for (std::size_t i = number_size; i-- > 0;)
    number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

}  // namespace

Transfer send_memory(int socket, const AttemptNumber& attempt, const FileDescriptor& memory) {
  std::string bytes;
  append_number(bytes, attempt.task);
  append_number(bytes, attempt.attempt);
  const int descriptor[] = {memory.get()};
  return send_datagram(socket, bytes, descriptor);
}

FileDescriptor receive_memory(int socket, const AttemptNumber& attempt) {
  Datagram datagram;
  while (receive_datagram(socket, datagram) == Transfer::done) {
    if (datagram.bytes.size() != 2 * number_size || datagram.descriptors.size() != 1) continue;
    if (AttemptNumber{number_at(datagram.bytes, 0), number_at(datagram.bytes, number_size)} == attempt)
      return std::move(datagram.descriptors.front());
  }
  return FileDescriptor();
}

}  // namespace poold
