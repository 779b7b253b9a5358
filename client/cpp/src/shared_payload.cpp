#include "client/cpp/src/shared_payload.hpp"

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace poold {
namespace {

SealedMemory create(std::size_t size) {
  auto memory = SealedMemory::create(size);
  if (!memory) throw std::system_error(errno, std::generic_category(), "shared memory");
  return std::move(*memory);
}

}  // namespace

SharedPayload::SharedPayload(std::size_t size) : inside_(std::make_shared<Inside>(create(size))) {}

std::span<std::byte> SharedPayload::writable() {
  if (inside_->memory.sealed()) throw std::logic_error("shared memory that was submitted cannot be changed");
  return inside_->memory.writable();
}

std::span<const std::byte> SharedPayload::bytes() const { return inside_->memory.bytes(); }

void SharedPayload::Inside::seal() {
  if (!memory.sealed() && !memory.seal())
    throw std::system_error(errno, std::generic_category(), "shared memory");
}

}  // namespace poold
