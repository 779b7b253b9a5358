// A large payload between processes: a memfd that nobody can change any more, mapped and not copied. It has
// no name anywhere, so it is gone with the last process that holds it.
//
// Whoever gets one trusts nothing: unless it is sealed, its owner could change what was checked, or cut it
// off under the reader's feet (SIGBUS).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "common/seqpacket.hpp"

namespace poold {

// What is wrong with this descriptor as sealed memory of so many bytes; empty: nothing.
std::string complaint_about_memory(const FileDescriptor& memory, std::uint64_t size, std::uint64_t size_max);

class SealedMemory {
 public:
  // New, of at least one byte, to be filled. Nothing, with errno set, if the system has none left.
  static std::optional<SealedMemory> create(std::size_t size);
  // Somebody else's, which was announced with this size; else what is wrong with it.
  static std::variant<SealedMemory, std::string> adopt(FileDescriptor memory, std::uint64_t size,
                                                       std::uint64_t size_max);

  SealedMemory(SealedMemory&& other) noexcept;
  SealedMemory& operator=(SealedMemory&& other) noexcept;
  ~SealedMemory();

  // Until seal().
  std::span<std::byte> writable();
  // False, with errno set, if the system refuses; then it is of no use.
  bool seal();
  bool sealed() const { return sealed_; }

  std::span<const std::byte> bytes() const { return {bytes_, size_}; }
  // To be sent; only of one that was created here.
  const FileDescriptor& descriptor() const { return descriptor_; }

 private:
  SealedMemory(FileDescriptor descriptor, std::byte* bytes, std::size_t size)
      : descriptor_(std::move(descriptor)), bytes_(bytes), size_(size) {}

  FileDescriptor descriptor_;
  std::byte* bytes_ = nullptr;
  std::size_t size_ = 0;
  bool sealed_ = false;
};

}  // namespace poold
