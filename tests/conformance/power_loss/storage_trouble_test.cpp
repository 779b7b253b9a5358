// A disk that fails: the store says so, trusts nothing that it believed, and goes on when the disk does.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <random>

#include "daemon/engine/store/sqlite_store.hpp"
#include "tests/conformance/power_loss/vfs.hpp"
#include "tests/conformance/power_loss/workload.hpp"

namespace power_loss {
namespace {

using poold::engine::SqliteStore;
using poold::engine::StoreError;

// Fails the `nth` time this is done, once.
std::function<int(Act)> once(Act act, int nth, int code) {
  return [=, left = nth](Act done) mutable { return done == act && --left == 0 ? code : SQLITE_OK; };
}

// The writer's way: the same batch again until it is there. How often it failed.
int insist(SqliteStore& store, const poold::engine::StoreBatch& batch) {
  for (int failures = 0;; ++failures) {
    try {
      store.apply({&batch});
      return failures;
    } catch (const StoreError& error) {
      EXPECT_EQ(error.kind(), StoreError::Kind::trouble) << error.what();
      if (failures == 10) throw;
    }
  }
}

class StorageTrouble : public testing::TestWithParam<std::pair<Act, int>> {};

// Wherever one act fails, once: nothing acknowledged is missing, not even if the power fails right after.
TEST_P(StorageTrouble, HealsAndLosesNothing) {
  const auto [act, code] = GetParam();
  const Workload workload = Workload::of(24, 3000, seed());
  int troubled = 0;
  for (int nth = 1; nth <= 30; ++nth) {
    Disk disk;
    const Mounted mounted(disk);
    SqliteStore store(path);
    for (std::size_t i = 0; i < workload.batches.size(); ++i) {
      if (i == 8) disk.fault = once(act, nth, code);
      troubled += insist(store, workload.batches[i]);
      std::mt19937_64 random(i);
      for (const unsigned keep : {0u, 8u, 16u}) {
        Disk after(disk.after_loss(random, keep));
        const Mounted remounted(after);
        SqliteStore reopened(path);
        ASSERT_EQ(rows_of(reopened), workload.after[i + 1]) << "failure " << nth << ", batch " << i;
      }
    }
  }
  EXPECT_GT(troubled, 0) << "it was never met";
}

INSTANTIATE_TEST_SUITE_P(Acts, StorageTrouble,
                         testing::Values(std::pair(Act::write, SQLITE_IOERR_WRITE),
                                         std::pair(Act::write, SQLITE_FULL),
                                         std::pair(Act::sync, SQLITE_IOERR_FSYNC)));

// A file that has lost what was confirmed is not gone on with as if nothing were missing.
TEST(StorageTrouble, FileThatIsAnotherAfterTheTroubleIsNotTrusted) {
  const Workload workload = Workload::of(4, 100, seed());
  Disk disk;
  const Mounted mounted(disk);
  SqliteStore store(path);
  store.apply({&workload.batches[0]});
  disk.fault = once(Act::sync, 1, SQLITE_IOERR_FSYNC);
  EXPECT_THROW(store.apply({&workload.batches[1]}), StoreError);
  const std::string file = path;
  for (const char* part : {"", "-wal", "-journal"}) disk.remove(file + part);
  for (int time = 0; time < 2; ++time) {
    try {
      store.apply({&workload.batches[1]});
      FAIL() << "it went on";
    } catch (const StoreError& error) {
      EXPECT_EQ(error.kind(), StoreError::Kind::damaged) << error.what();
    }
  }
}

TEST(StorageTrouble, DirectoryThatIsGoneForAWhile) {
  const Workload workload = Workload::of(4, 100, seed());
  Disk disk;
  const Mounted mounted(disk);
  bool gone = true;
  disk.fault = [&](Act act) { return gone && act == Act::open ? SQLITE_CANTOPEN : SQLITE_OK; };
  SqliteStore store(path);
  EXPECT_THROW(store.apply({&workload.batches[0]}), StoreError);
  gone = false;
  store.apply({&workload.batches[0]});
  EXPECT_EQ(rows_of(store), workload.after[1]);
}

}  // namespace
}  // namespace power_loss
