// The directory of worker files (common/worker_file.hpp): making one for a new worker of a disk pool, and
// finding those that an earlier supervisor left. What is found is believed only if it is a regular file of
// our own user with one name and a head that fits; anything else is reported and left alone.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/seqpacket.hpp"
#include "common/worker_file.hpp"

namespace poold::supervisor {

struct FoundWorker {
  WorkerFileHead head;
  std::string name;  // of the file, in its directory
  FileDescriptor file;
  FileDescriptor process;  // a pidfd of the worker; invalid: it has ended
};

class WorkerFiles {
 public:
  // Made below the state directory when it is first needed.
  explicit WorkerFiles(std::string directory) : directory_(std::move(directory)) {}

  // A file for a worker to be started, with a head that lacks its pid. Invalid, with errno set, if there can
  // be none.
  FileDescriptor create(const std::string& pool, std::uint32_t slot, std::uint32_t generation,
                        std::string& name);
  void remove(const std::string& name) const;
  // For each slot the newest that lives or has said something, else the newest; what is older, or can no
  // longer matter, is removed.
  std::vector<FoundWorker> take_stock() const;

 private:
  std::optional<FoundWorker> look_at(const std::string& name) const;

  std::string directory_;
};

}  // namespace poold::supervisor
