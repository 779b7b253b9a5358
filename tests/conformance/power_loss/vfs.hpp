// The simulated disk as SQLite's file system, for connections opened from now on by whoever names no other.
//
// It makes the promises of SQLite's own for Unix (a write changes no byte beside it; a new log's first sync
// syncs the directory) and no more. Shared memory is not among them: the store locks its file exclusively and
// asks for none.
#pragma once

#include "tests/conformance/power_loss/disk.hpp"

namespace power_loss {

// What is opened while this lives is on `disk`; the one before afterwards.
class Mounted {
 public:
  explicit Mounted(Disk& disk);
  ~Mounted();
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;

 private:
  Disk* before_;
};

}  // namespace power_loss
