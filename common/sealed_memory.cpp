#include "common/sealed_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/invariant.hpp"

namespace poold {
namespace {

struct Seal {
  int bit;
  const char* against;
};
constexpr Seal seals[] = {{F_SEAL_SHRINK, "shrinking"},
                          {F_SEAL_GROW, "growing"},
                          {F_SEAL_WRITE, "writing"},
                          {F_SEAL_SEAL, "other seals"}};

int all_seals() {
  int all = 0;
  for (const Seal& seal : seals) all |= seal.bit;
  return all;
}

// The kernel refuses with EBUSY while something of its own (reclaim, compaction) holds a page, having waited
// some 100 ms for that.
bool add_seals(int fd) {
  constexpr int tries = 10;
  for (int i = 0; i < tries; ++i) {
    if (::fcntl(fd, F_ADD_SEALS, all_seals()) == 0) return true;
    if (errno != EBUSY) return false;
  }
  return false;
}

std::byte* map(int fd, std::size_t size, int protection) {
  void* mapped = ::mmap(nullptr, size, protection, MAP_SHARED, fd, 0);
  return mapped == MAP_FAILED ? nullptr : static_cast<std::byte*>(mapped);
}

}  // namespace

std::string complaint_about_memory(const FileDescriptor& memory, std::uint64_t size, std::uint64_t size_max) {
  if (size == 0) return "shared memory of 0 bytes";
  if (size > size_max)
    return "shared memory of " + std::to_string(size) + " bytes; accepted: at most " +
           std::to_string(size_max);
  const int have = ::fcntl(memory.get(), F_GET_SEALS);
  if (have < 0) return "the descriptor is no memfd";
  std::string missing;
  for (const Seal& seal : seals)
    if ((have & seal.bit) == 0) missing += (missing.empty() ? "" : ", ") + std::string(seal.against);
  if (!missing.empty()) return "the memfd is not sealed against " + missing;
  struct stat status {};
  if (::fstat(memory.get(), &status) < 0) return "the memfd has no size";
  if (static_cast<std::uint64_t>(status.st_size) != size)
    return "the memfd has " + std::to_string(status.st_size) + " bytes; " + std::to_string(size) +
           " were announced";
  return {};
}

std::optional<SealedMemory> SealedMemory::create(std::size_t size) {
  FileDescriptor memory(::memfd_create("poold-payload", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid() || ::ftruncate(memory.get(), static_cast<off_t>(size)) < 0) return std::nullopt;
  std::byte* bytes = map(memory.get(), size, PROT_READ | PROT_WRITE);
  if (!bytes) return std::nullopt;
  return SealedMemory(std::move(memory), bytes, size);
}

std::variant<SealedMemory, std::string> SealedMemory::adopt(FileDescriptor memory, std::uint64_t size,
                                                            std::uint64_t size_max) {
  if (std::string complaint = complaint_about_memory(memory, size, size_max); !complaint.empty())
    return complaint;
  std::byte* bytes = map(memory.get(), size, PROT_READ);
  if (!bytes) return "shared memory of " + std::to_string(size) + " bytes cannot be mapped";
  // The mapping holds it.
  SealedMemory adopted(FileDescriptor(), bytes, size);
  adopted.sealed_ = true;
  return adopted;
}

SealedMemory::SealedMemory(SealedMemory&& other) noexcept
    : descriptor_(std::move(other.descriptor_)),
      bytes_(std::exchange(other.bytes_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      sealed_(other.sealed_) {}

SealedMemory& SealedMemory::operator=(SealedMemory&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(bytes_, other.bytes_);
  std::swap(size_, other.size_);
  std::swap(sealed_, other.sealed_);
  return *this;
}

SealedMemory::~SealedMemory() {
  if (bytes_) ::munmap(bytes_, size_);
}

std::span<std::byte> SealedMemory::writable() {
  invariant(!sealed_, "sealed memory is not written to");
  return {bytes_, size_};
}

bool SealedMemory::seal() {
  // A mapping that could still write stands in the way of the seal.
  ::munmap(std::exchange(bytes_, nullptr), size_);
  sealed_ = true;
  if (!add_seals(descriptor_.get())) return false;
  bytes_ = map(descriptor_.get(), size_, PROT_READ);
  return bytes_ != nullptr;
}

}  // namespace poold
