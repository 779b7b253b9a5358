// The power fails after each change of the disk, in many ways each time: the store opens, and holds every
// batch that was acknowledged, whole; of the one that was being written all or nothing.
#include <gtest/gtest.h>

#include <functional>
#include <unordered_set>

#include "daemon/engine/store/sqlite_store.hpp"
#include "tests/conformance/power_loss/vfs.hpp"
#include "tests/conformance/power_loss/workload.hpp"

namespace power_loss {
namespace {

// Instrumented, they would take many minutes, and errors of memory show in fewer.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t states_wanted = 1'000;
#else
constexpr std::size_t states_wanted = 10'000;
#endif

using poold::engine::SqliteStore;
using poold::engine::StoreError;

class Losses {
 public:
  Losses(Workload workload, unsigned each, unsigned one_in)
      : workload_(std::move(workload)), states_each_(each), one_in_(one_in) {
    disk_.changed = [this] { lose(disk_, false); };
  }

  Disk& disk() { return disk_; }
  const std::vector<std::string>& wrong() const { return wrong_; }
  std::size_t states() const { return seen_.size(); }

  // The store lives `lives` times: each of its ends moves the log into the file.
  void run(std::size_t lives) {
    const Mounted mounted(disk_);
    const std::size_t share = workload_.batches.size() / lives;
    for (std::size_t life = 0; life < lives; ++life) {
      SqliteStore store(path);
      for (std::size_t i = life * share; i < (life + 1) * share; ++i) {
        writing_ = true;
        store.apply({&workload_.batches[i]});
        writing_ = false;
        ++acknowledged_;
      }
    }
  }

 private:
  void lose(const Disk& disk, bool again) {
    if (wrong_.size() > 3 || random_() % one_in_ != 0) return;
    for (unsigned i = 0; i < states_each_; ++i) {
      // Mostly everything between nothing and all; nothing and all, too.
      const Disk::Files files = disk.after_loss(random_, static_cast<unsigned>(random_() % 17));
      if (seen_.insert(fingerprint(files)).second) examine(files, again);
    }
  }

  void examine(const Disk::Files& files, bool again) {
    Disk after(files);
    // The power may fail once more while the store gets on its feet.
    if (!again && random_() % 16 == 0) after.changed = [&] { lose(after, true); };
    const Mounted mounted(after);
    try {
      SqliteStore store(path);
      const Rows rows = rows_of(store);
      const bool whole =
          rows == workload_.after[acknowledged_] || (writing_ && rows == workload_.after[acknowledged_ + 1]);
      if (!whole) complain(std::to_string(rows.size()) + " tasks, and they are not those");
      if (seen_.size() % 16 == 0)
        if (const std::string found = store.check(); !found.empty()) complain(found);
    } catch (const StoreError& error) {
      complain(error.what());
    }
  }

  void complain(const std::string& what) {
    wrong_.push_back("after " + std::to_string(acknowledged_) + " batches: " + what);
  }

  static std::size_t fingerprint(const Disk::Files& files) {
    std::size_t all = files.size();
    for (const auto& [name, content] : files)
      all = (all * 1'000'003) ^ std::hash<std::string>{}(name) ^ (std::hash<std::string>{}(content) << 1);
    return all;
  }

  Workload workload_;
  unsigned states_each_, one_in_;
  Disk disk_;
  std::mt19937_64 random_{seed()};
  std::size_t acknowledged_ = 0;
  bool writing_ = false;
  std::unordered_set<std::size_t> seen_;
  std::vector<std::string> wrong_;
};

TEST(PowerLoss, NothingAcknowledgedIsLostInTenThousandStates) {
  std::size_t states = 0;
  for (std::uint64_t round = 0; states < states_wanted && !HasFailure(); ++round) {
    Losses losses(Workload::of(60, 3000, seed() + round), 5, 1);
    losses.run(3);
    EXPECT_EQ(losses.wrong(), std::vector<std::string>());
    states += losses.states();
  }
  std::printf("%zu states\n", states);
}

// Results so large that the log is moved into the file, and begun again, while the store works.
TEST(PowerLoss, NothingIsLostInTheMiddleOfACheckpoint) {
  std::size_t states = 0;
  // How many one round shows is up to its seed.
  for (std::uint64_t round = 0; states < 50 && !HasFailure(); ++round) {
    Losses losses(Workload::of(44, 1024 * 1024, seed() + round), 1, 150);
    losses.run(1);
    EXPECT_EQ(losses.wrong(), std::vector<std::string>());
    states += losses.states();
  }
  std::printf("%zu states\n", states);
}

TEST(PowerLoss, DiskThatLiesIsNoticed) {
  Losses losses(Workload::of(20, 3000, seed()), 4, 1);
  losses.disk().lies = true;
  losses.run(1);
  EXPECT_FALSE(losses.wrong().empty()) << "what was never synced was never lost: this test is blind";
}

}  // namespace
}  // namespace power_loss
