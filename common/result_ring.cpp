#include "common/result_ring.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <utility>

namespace poold {
namespace {

// A few thousand results of tiny tasks; as much as a pipe.
constexpr std::size_t ring_size = 64 * 1024;
constexpr std::size_t head_size = 4096;
constexpr std::size_t memory_size = head_size + ring_size;
constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

}  // namespace

// Two counters of bytes since the beginning, each written by one side and on a cache line of its own.
struct ResultRing::Head {
  alignas(64) std::atomic<std::uint64_t> put;
  alignas(64) std::atomic<std::uint64_t> taken;
};

FileDescriptor make_result_ring() {
  FileDescriptor memory(::memfd_create("poold-results", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid() || ::ftruncate(memory.get(), memory_size) < 0 ||
      ::fcntl(memory.get(), F_ADD_SEALS, seals) < 0)
    return FileDescriptor();
  return memory;
}

std::optional<ResultRing> ResultRing::map(const FileDescriptor& memory) {
  static_assert(sizeof(Head) <= head_size && std::atomic<std::uint64_t>::is_always_lock_free);
  struct stat status {};
  const bool ours = ::fcntl(memory.get(), F_GET_SEALS) == seals && ::fstat(memory.get(), &status) == 0 &&
                    status.st_size == static_cast<off_t>(memory_size);
  if (!ours) return std::nullopt;
  void* mapped = ::mmap(nullptr, memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (mapped == MAP_FAILED) return std::nullopt;
  return ResultRing(mapped);
}

ResultRing::ResultRing(ResultRing&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), position_(other.position_) {}

ResultRing& ResultRing::operator=(ResultRing&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(position_, other.position_);
  return *this;
}

ResultRing::~ResultRing() {
  if (memory_) ::munmap(memory_, memory_size);
}

ResultRing::Head& ResultRing::head() const { return *std::launder(reinterpret_cast<Head*>(memory_)); }
char* ResultRing::bytes() const { return memory_ + head_size; }

bool ResultRing::put(std::string_view data) {
  const std::uint64_t taken = head().taken.load(std::memory_order_acquire);
  if (data.size() > ring_size - (position_ - taken)) return false;
  const std::size_t at = position_ % ring_size;
  const std::size_t first = std::min(data.size(), ring_size - at);
  std::memcpy(bytes() + at, data.data(), first);
  std::memcpy(bytes(), data.data() + first, data.size() - first);
  position_ += data.size();
  head().put.store(position_, std::memory_order_release);
  return true;
}

bool ResultRing::empty() const { return head().taken.load(std::memory_order_acquire) == position_; }

bool ResultRing::take(FrameReader& reader) {
  const std::uint64_t put = head().put.load(std::memory_order_acquire);
  const std::uint64_t count = put - position_;
  if (count > ring_size) return false;
  const std::size_t at = position_ % ring_size;
  const std::size_t first = std::min<std::size_t>(count, ring_size - at);
  reader.feed({bytes() + at, first});
  reader.feed({bytes(), static_cast<std::size_t>(count) - first});
  position_ = put;
  head().taken.store(put, std::memory_order_release);
  return true;
}

// A writer that has changed what is its reader's finds its frames broken.
void ResultRing::go_on_reading() { position_ = head().taken.load(std::memory_order_acquire); }

}  // namespace poold
