#include "daemon/supervisor/worker_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <tuple>
#include <utility>

#include "daemon/supervisor/pidfd.hpp"
#include "daemon/supervisor/text.hpp"

namespace poold::supervisor {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

std::string stem_of(const std::string& pool, std::uint32_t slot, std::uint32_t generation) {
  return pool + "." + std::to_string(slot) + "." + std::to_string(generation) + ".";
}

// Why it cannot be one of ours; empty: nothing is wrong with it.
std::string wrong_with(const struct stat& status) {
  if (!S_ISREG(status.st_mode)) return "it is no regular file";
  if (status.st_uid != ::geteuid())
    return "it belongs to user " + std::to_string(status.st_uid) + ", not to " + std::to_string(::geteuid());
  if (status.st_nlink != 1) return "it has " + std::to_string(status.st_nlink) + " names";
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) return "others may write it";
  return {};
}

pid_t holder_of(const FileDescriptor& file) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(file.get(), F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK) return 0;
  return lock.l_pid;
}

// The worker, if it lives: by its number, its start, and the lock that it holds for life. Asked after the
// pidfd was opened, so that the number cannot go to another process in between.
FileDescriptor process_of(const WorkerFileHead& head, const FileDescriptor& file) {
  if (head.boot != boot_id()) return {};
  FileDescriptor process(::pidfd_open(head.pid, 0));
  if (!process.valid() || start_ticks_of(head.pid) != head.start_ticks) return {};
  pollfd poll{process.get(), POLLIN, 0};
  if (::poll(&poll, 1, 0) > 0) return {};
  // One that had not come to its lock has run nothing.
  if (holder_of(file) != head.pid) {
    ::pidfd_send_signal(process.get(), SIGKILL, nullptr, 0);
    ::poll(&poll, 1, -1);
    return {};
  }
  return process;
}

void refuse(const std::string& path, const std::string& why) {
  spdlog::error("{}: is no worker file, and is left alone: {}", printable(path), printable(why));
}

}  // namespace

FileDescriptor WorkerFiles::create(const std::string& pool, std::uint32_t slot, std::uint32_t generation,
                                   std::string& name) {
  if (::mkdir(directory_.c_str(), 0700) < 0 && errno != EEXIST) return {};
  // Generations are counted anew by each supervisor; the time makes the name one that no file has.
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  name = stem_of(pool, slot, generation) +
         std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
  const std::string path = directory_ + "/" + name;
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  // Room is taken now, while nothing is lost if there is none.
  if (file.valid() && !write_head(file.get(), {pool, slot, generation, 0, 0, boot_id()})) {
    remove(name);
    file.reset();
  }
  return file;
}

void WorkerFiles::remove(const std::string& name) const { ::unlink((directory_ + "/" + name).c_str()); }

std::optional<FoundWorker> WorkerFiles::look_at(const std::string& name) const {
  const std::string path = directory_ + "/" + name;
  FoundWorker found;
  found.name = name;
  found.file = FileDescriptor(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!found.file.valid()) {
    refuse(path, errno == ELOOP ? "it is a symbolic link" : std::strerror(errno));
    return std::nullopt;
  }
  struct stat status;
  const std::string wrong =
      ::fstat(found.file.get(), &status) < 0 ? std::strerror(errno) : wrong_with(status);
  if (!wrong.empty()) {
    refuse(path, wrong);
    return std::nullopt;
  }
  const auto head = read_head(found.file.get());
  if (!head || !name.starts_with(stem_of(head->pool, head->slot, head->generation))) {
    refuse(path, head ? "its head is another's" : "it has no head");
    return std::nullopt;
  }
  if (head->pid == 0) {
    // Its worker was being started when the supervisor died: it was never given anything.
    remove(name);
    return std::nullopt;
  }
  found.head = *head;
  found.process = process_of(found.head, found.file);
  return found;
}

std::vector<FoundWorker> WorkerFiles::take_stock() const {
  std::vector<FoundWorker> all;
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(directory_.c_str()));
  if (!directory) {
    if (errno != ENOENT) spdlog::error("{}: {}", printable(directory_), std::strerror(errno));
    return all;
  }
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (auto found = look_at(name)) all.push_back(std::move(*found));
  }
  // A slot's worker is given nothing before the last words of the one before it are on the disk: the newest
  // that has anything to say makes the older ones old news.
  std::ranges::sort(all, [](const FoundWorker& a, const FoundWorker& b) {
    return std::tie(a.head.pool, a.head.slot, b.head.generation) <
           std::tie(b.head.pool, b.head.slot, a.head.generation);
  });
  std::vector<FoundWorker> kept;
  for (FoundWorker& found : all) {
    const bool silent =
        !found.process.valid() && std::holds_alternative<NothingSaid>(read_last_words(found.file.get()));
    const auto same_slot = [&](const FoundWorker& other) {
      return other.head.pool == found.head.pool && other.head.slot == found.head.slot;
    };
    const bool known = !kept.empty() && same_slot(kept.back());
    if (known && !kept.back().process.valid() && !silent &&
        std::holds_alternative<NothingSaid>(read_last_words(kept.back().file.get()))) {
      remove(kept.back().name);
      kept.back() = std::move(found);
    } else if (known) {
      remove(found.name);
    } else {
      kept.push_back(std::move(found));
    }
  }
  return kept;
}

}  // namespace poold::supervisor
