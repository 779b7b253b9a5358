// A large payload in memory that is mapped by whoever gets it, and not copied: for functions of pools with
// `shared_memory: true`, over streams.
//
//   poold::Stream stream({.shared_memory = true});
//   poold::SharedPayload image(64 << 20);
//   fill(image.writable());
//   auto result = stream.submit(poold::Function{"scale", {}, {}, poold::Payload{"image/raw", {}, image}});
//   result.get().payload->shared->bytes();
//
// Any size; a handle that is cheap to copy. Nothing has a name in /dev/shm, so nothing stays there.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

namespace poold {

class SharedPayload {
 public:
  // At least one byte, all zero. Throws std::system_error: there is no memory, or no descriptor left.
  explicit SharedPayload(std::size_t size);

  // Until a TaskSpec has been made with it: from then on nobody can change it. Throws std::logic_error.
  std::span<std::byte> writable();
  std::span<const std::byte> bytes() const;

  // It is the same memory.
  bool operator==(const SharedPayload&) const = default;

  // Private to libpoold.
  class Inside;
  explicit SharedPayload(std::shared_ptr<Inside> inside) : inside_(std::move(inside)) {}
  Inside& inside() const { return *inside_; }

 private:
  std::shared_ptr<Inside> inside_;
};

}  // namespace poold
