#include "common/fail_point.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

#ifdef POOLD_FAIL_POINTS
namespace poold {
namespace {

constexpr std::size_t cells_size = fail_points.size() * sizeof(FailPointCell);

// Null where no test asks, or where the file is not what the test would make.
FailPointCell* map_cells() {
  const char* path = std::getenv("POOLD_FAILPOINTS");
  if (!path) return nullptr;
  const int file = ::open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return nullptr;
  struct stat status {};
  void* mapped = MAP_FAILED;
  if (::fstat(file, &status) == 0 && status.st_size == static_cast<off_t>(cells_size))
    mapped = ::mmap(nullptr, cells_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  return mapped == MAP_FAILED ? nullptr : static_cast<FailPointCell*>(mapped);
}

}  // namespace

void pass(FailPoint point) {
  static FailPointCell* const cells = map_cells();
  if (!cells) return;
  FailPointCell& cell = cells[static_cast<std::size_t>(point)];
  std::atomic_ref(cell.passed).fetch_add(1);
  if (std::atomic_ref(cell.kills).load() <= 0) return;
  if (std::atomic_ref(cell.countdown).fetch_sub(1) != 1) return;
  std::atomic_ref(cell.countdown).store(std::atomic_ref(cell.count).load());
  std::atomic_ref(cell.killed).fetch_add(1);
  std::atomic_ref(cell.kills).fetch_sub(1);
  ::kill(::getpid(), SIGKILL);
  // The signal comes before another instruction of this thread: nothing beyond the point is done.
  for (;;) ::pause();
}

}  // namespace poold
#endif
