// A disk that can lose power: files in memory, with what of them is surely on the disk and what is not yet.
//
// The fault model. Between two syncs of a file each of its writes may reach the disk or not, in any
// combination, and one that does may do so in part, in whole sectors; a write that made the file longer may
// leave zeros or rubbish where its bytes are missing. A name that was made or removed may be there or not
// until its directory is synced, which SQLite does with the first sync of a new log and after removing one.
// A sync that fails forgets what it should have written, as Linux does: what is read is the newest, what is
// on the disk is not, and the next sync says that all is well.
//
// SQLite uses it as its file system (vfs.hpp). Nothing here is safe for threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace power_loss {

constexpr std::size_t sector_size = 512;

class File {
 public:
  const std::string& content() const { return now_; }
  void write(std::size_t at, std::string_view bytes);
  void truncate(std::size_t size);
  void sync();
  // The sync failed.
  void forget();
  bool settled() const { return pending_.empty(); }

  // What may be on the disk if the power fails now. `keep`: of 16 changes so many are kept whole.
  std::string after_loss(std::mt19937_64& random, unsigned keep) const;
  static std::shared_ptr<File> of(std::string content);

 private:
  struct Change {
    std::size_t at = 0;
    std::string bytes;
    bool is_truncation = false;  // to the size `at`
  };
  static void put(std::string& content, std::size_t at, std::string_view bytes);

  std::string now_;
  std::string durable_;
  std::vector<Change> pending_;
};

// What SQLite is about to do, so that it can be made to fail.
enum class Act { open, read, write, truncate, sync, remove };

class Disk {
 public:
  using Files = std::map<std::string, std::string>;  // by path

  Disk() = default;
  explicit Disk(const Files& files);

  std::shared_ptr<File> find(const std::string& path) const;
  std::shared_ptr<File> create(const std::string& path);
  void remove(const std::string& path);
  void sync_directory() { durable_names_ = names_; }

  Files after_loss(std::mt19937_64& random, unsigned keep) const;

  // Called after each change, with power still there.
  std::function<void()> changed;
  // SQLite's result code for what is about to be done; 0: it is done.
  std::function<int(Act)> fault;
  // A disk that says "synced" and is not: the store cannot bear it, and a test that does not notice is blind.
  bool lies = false;

 private:
  std::map<std::string, std::shared_ptr<File>> names_, durable_names_;
};

}  // namespace power_loss
