// SharedMemory: an anonymous file, named by where the process that made it has it open. So nothing has to be
// cleaned up: the kernel forgets it with the last mapping.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "client/cpp/poold/multiprocessing.hpp"

namespace poold::multiprocessing {
namespace {

[[noreturn]] void fail(int file, const std::string& what) {
  const int error = errno;
  if (file >= 0) ::close(file);
  throw std::system_error(error, std::generic_category(), what);
}

}  // namespace

SharedMemory::SharedMemory(std::size_t size) : size_(size) {
  file_ = ::memfd_create("poold shared memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file_ < 0) fail(file_, "shared memory");
  // Whoever maps it may rely on its size.
  if (::ftruncate(file_, static_cast<off_t>(size)) < 0 ||
      ::fcntl(file_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
    fail(file_, "shared memory of " + std::to_string(size) + " bytes");
  name_ = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(file_);
  map();
}

SharedMemory::SharedMemory(const std::string& name) : name_(name) {
  file_ = ::open(name.c_str(), O_RDWR | O_CLOEXEC);
  if (file_ < 0) fail(file_, "shared memory " + name);
  // Only what cannot shrink: else whoever made it could crash us.
  const int seals = ::fcntl(file_, F_GET_SEALS);
  struct stat status {};
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || ::fstat(file_, &status) < 0) {
    errno = EINVAL;
    fail(file_, "shared memory " + name + ": not made by SharedMemory");
  }
  size_ = static_cast<std::size_t>(status.st_size);
  map();
}

void SharedMemory::map() {
  if (size_ == 0) return;
  memory_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (memory_ == MAP_FAILED) fail(file_, "shared memory " + name_);
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : file_(std::exchange(other.file_, -1)),
      memory_(std::exchange(other.memory_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      name_(std::move(other.name_)) {}

SharedMemory::~SharedMemory() {
  if (memory_) ::munmap(memory_, size_);
  if (file_ >= 0) ::close(file_);
}

}  // namespace poold::multiprocessing
