// The promises of DurableStore and StoreWriter, for every store there is.
#include "tests/conformance/store/stores.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>

#include "daemon/engine/store/sqlite_store.hpp"
#include "daemon/engine/store/store_writer.hpp"

namespace poold::engine {
namespace {

TaskId id(std::uint64_t number) { return make_task_id(1'700'000'000'000 + number, 42, number); }

StoredSubmission submission(std::uint64_t number) {
  StoredSubmission row;
  row.id = id(number);
  row.pool = "default";
  row.uid = 1000;
  row.priority = -3;
  row.attempts_max = 2;
  row.crash_attempts_max = 5;
  row.submitted_ns = 123;
  row.spec = "spec " + std::to_string(number);
  return row;
}

StoredState state(std::uint64_t number, std::uint32_t attempt) {
  StoredState row;
  row.id = id(number);
  row.state = 2;
  row.attempt = attempt;
  row.slot = 1;
  row.generation = 7;
  row.pid = 4711;
  row.started_ns = 456;
  return row;
}

StoredState ended(std::uint64_t number, std::string body) {
  StoredState row = state(number, 1);
  row.state = 3;
  row.kind = 2;
  row.ended_ns = 789;
  row.body = std::move(body);
  return row;
}

// Everything about a row, to compare by.
std::string text(const StoredTask& task) {
  const StoredSubmission& s = task.submission;
  std::string line = to_string(s.id) + " " + s.pool + " " + std::to_string(s.uid) + " " +
                     std::to_string(s.priority) + " " + std::to_string(s.attempts_max) + " " +
                     std::to_string(s.crash_attempts_max) + " " + std::to_string(s.submitted_ns) + " " +
                     s.spec;
  if (s.key) line += " key " + *s.key + " " + std::to_string(s.digest);
  if (!task.state) return line;
  const StoredState& t = *task.state;
  line += " | " + std::to_string(t.state) + " " + std::to_string(t.cancelling) + std::to_string(t.had_log) +
          std::to_string(t.worker_signaled);
  for (const std::int64_t number :
       {std::int64_t{t.attempt}, std::int64_t{t.failures}, std::int64_t{t.crashes}, std::int64_t{t.slot},
        std::int64_t{t.generation}, std::int64_t{t.pid}, t.started_ns, std::int64_t{t.kind},
        std::int64_t{t.worker_code}, t.ended_ns})
    line += " " + std::to_string(number);
  return line + " " + t.options + " " + t.body;
}

std::vector<std::string> content(DurableStore& store) {
  std::vector<std::string> lines;
  store.load([&](StoredTask&& task) { lines.push_back(text(task)); });
  return lines;
}

std::map<std::string, std::string> schedules(DurableStore& store) {
  std::map<std::string, std::string> found;
  for (StoredSchedule& row : store.load_schedules()) found[row.name] = row.content;
  return found;
}

struct ModelFile {
  std::shared_ptr<ModelStore::Rows> rows = std::make_shared<ModelStore::Rows>();
  std::shared_ptr<ModelStore::Schedules> schedules = std::make_shared<ModelStore::Schedules>();
  std::unique_ptr<DurableStore> open() { return std::make_unique<ModelStore>(rows, schedules); }
};

struct SqliteFile {
  SqliteFile() {
    std::string path = std::filesystem::temp_directory_path() / "poold-store-XXXXXX";
    if (!::mkdtemp(path.data())) throw std::runtime_error("no temporary directory");
    directory = path;
  }
  ~SqliteFile() { std::filesystem::remove_all(directory); }
  std::string path() const { return directory / "poold.db"; }
  std::unique_ptr<DurableStore> open() { return std::make_unique<SqliteStore>(path()); }
  std::filesystem::path directory;
};

template <class File>
class EveryStore : public testing::Test {
 protected:
  void apply(const StoreBatch& batch) { store_->apply({&batch}); }
  void open_again() {
    store_.reset();
    store_ = file_.open();
  }
  File file_;
  std::unique_ptr<DurableStore> store_ = file_.open();
};

using Files = testing::Types<ModelFile, SqliteFile>;
TYPED_TEST_SUITE(EveryStore, Files);

TYPED_TEST(EveryStore, WhatWasAppliedIsThereAfterOpeningAgain) {
  StoredSubmission keyed = submission(2);
  keyed.key = std::string("scope\0key", 9);
  keyed.digest = ~std::uint64_t{0};
  StoredState rich = state(2, 3);
  rich.cancelling = rich.had_log = true;
  rich.failures = 1;
  rich.crashes = 1;
  rich.options = std::string("\0\1options", 9);
  this->apply({submission(1), keyed, rich});
  const auto before = content(*this->store_);
  this->open_again();
  EXPECT_EQ(content(*this->store_), before);
  EXPECT_EQ(before, (std::vector<std::string>{text({submission(1), std::nullopt}), text({keyed, rich})}));
}

TYPED_TEST(EveryStore, TasksComeInTheOrderOfTheirNumbers) {
  this->apply({submission(300), submission(2), submission(41)});
  std::vector<std::uint64_t> numbers;
  this->store_->load([&](StoredTask&& task) { numbers.push_back(sequence_of(task.submission.id)); });
  EXPECT_EQ(numbers, (std::vector<std::uint64_t>{2, 41, 300}));
}

TYPED_TEST(EveryStore, LaterStateReplacesEarlier) {
  this->apply({submission(1), state(1, 1)});
  this->apply({state(1, 2), ended(1, "result")});
  EXPECT_EQ(content(*this->store_), std::vector<std::string>{text({submission(1), ended(1, "result")})});
  // Tried again: it has not ended any more.
  this->apply({state(1, 3)});
  EXPECT_EQ(content(*this->store_), std::vector<std::string>{text({submission(1), state(1, 3)})});
}

TYPED_TEST(EveryStore, ResultsOfEverySize) {
  for (const std::size_t size : {0u, 1u, 1024u, 1025u, 100'000u, 16'000'000u}) {
    this->apply({submission(1), ended(1, std::string(size, 'x'))});
    this->open_again();
    EXPECT_EQ(content(*this->store_),
              std::vector<std::string>{text({submission(1), ended(1, std::string(size, 'x'))})})
        << size;
  }
}

TYPED_TEST(EveryStore, WorksOfEverySize) {
  for (const std::size_t size : {1u, 4096u, 4097u, 100'000u, 16'000'000u}) {
    StoredSubmission row = submission(size);
    row.spec = std::string(size, 's');
    this->apply({row});
    this->open_again();
    EXPECT_EQ(content(*this->store_), std::vector<std::string>{text({row, std::nullopt})}) << size;
    this->apply({StoredEnd{id(size)}});
  }
}

TYPED_TEST(EveryStore, SchedulesAreReplacedAndRemovedByName) {
  using Found = std::map<std::string, std::string>;
  this->apply({StoredSchedule{"a", "1"}, StoredSchedule{"b", std::string("\0x", 2)}});
  this->apply({StoredSchedule{"a", "2"}, submission(1)});
  this->open_again();
  EXPECT_EQ(schedules(*this->store_), (Found{{"a", "2"}, {"b", std::string("\0x", 2)}}));
  this->apply({StoredSchedule{"a", {}}, StoredSchedule{"never", {}}});
  this->open_again();
  EXPECT_EQ(schedules(*this->store_), (Found{{"b", std::string("\0x", 2)}}));
}

TYPED_TEST(EveryStore, NothingIsLeftOfWhatWasForgotten) {
  StoredSubmission large = submission(1);
  large.spec = std::string(5000, 's');
  this->apply({large, ended(1, std::string(5000, 'x')), submission(2)});
  this->apply({StoredEnd{id(1)}});
  this->open_again();
  EXPECT_EQ(content(*this->store_), std::vector<std::string>{text({submission(2), std::nullopt})});
}

TYPED_TEST(EveryStore, TheSameBatchTwiceIsTheSameAsOnce) {
  const StoreBatch batch{submission(1), ended(1, std::string(5000, 'x')), submission(2), StoredEnd{id(2)}};
  this->apply(batch);
  const auto once = content(*this->store_);
  this->apply(batch);
  EXPECT_EQ(content(*this->store_), once);
}

TYPED_TEST(EveryStore, BatchesOfOneCallAreInOrder) {
  const StoreBatch first{submission(1), state(1, 1)}, second{state(1, 2)},
      third{StoredEnd{id(1)}, submission(3)};
  this->store_->apply({&first, &second, &third});
  EXPECT_EQ(content(*this->store_), std::vector<std::string>{text({submission(3), std::nullopt})});
}

// --- SQLite alone ---

TEST(SqliteStore, FileIsNobodyElses) {
  SqliteFile file;
  content(*file.open());
  struct stat status {};
  ASSERT_EQ(::stat(file.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(SqliteStore, IsLockedWhileItIsOpen) {
  SqliteFile file;
  const auto owner = file.open();
  content(*owner);
  const auto other = file.open();
  try {
    content(*other);
    FAIL() << "two owners";
  } catch (const StoreError& error) {
    EXPECT_EQ(error.kind(), StoreError::Kind::trouble) << error.what();
  }
}

TEST(SqliteStore, RefusesWhatIsNoDatabase) {
  SqliteFile file;
  std::ofstream(file.path()) << std::string(4096, 'x');
  try {
    content(*file.open());
    FAIL() << "it took anything";
  } catch (const StoreError& error) {
    EXPECT_EQ(error.kind(), StoreError::Kind::damaged) << error.what();
  }
}

// As the first version left it.
TEST(SqliteStore, FileOfTheFirstVersionIsMigrated) {
  SqliteFile file;
  StoredSubmission small = submission(1), large = submission(2);
  large.spec = std::string(5000, 's');
  {
    SqliteConnection old(file.path());
    old.run(
        "PRAGMA journal_mode=WAL;"
        "CREATE TABLE task ("
        " number INTEGER PRIMARY KEY, id BLOB NOT NULL, pool TEXT NOT NULL, uid INTEGER NOT NULL,"
        " priority INTEGER NOT NULL, attempts_max INTEGER NOT NULL, crash_attempts_max INTEGER NOT NULL,"
        " submitted_ns INTEGER NOT NULL, key BLOB, digest INTEGER, spec BLOB NOT NULL);"
        "CREATE TABLE state ("
        " number INTEGER PRIMARY KEY, state INTEGER NOT NULL, flags INTEGER NOT NULL, attempt INTEGER NOT "
        "NULL,"
        " failures INTEGER NOT NULL, crashes INTEGER NOT NULL, slot INTEGER NOT NULL,"
        " generation INTEGER NOT NULL, pid INTEGER NOT NULL, started_ns INTEGER NOT NULL, options BLOB,"
        " kind INTEGER NOT NULL, worker_code INTEGER, ended_ns INTEGER, body BLOB);"
        "CREATE TABLE large_body (number INTEGER PRIMARY KEY, body BLOB NOT NULL);"
        "PRAGMA user_version=1; PRAGMA application_id=1886351212;");
    for (const StoredSubmission* row : {&small, &large}) {
      SqliteStatement insert(old, "INSERT INTO task VALUES (?1,?2,'default',1000,-3,2,5,123,NULL,NULL,?3)");
      std::string bytes(16, '\0');
      for (std::size_t i = 0; i < 8; ++i) {
        bytes[i] = static_cast<char>(row->id.high >> (56 - 8 * i));
        bytes[8 + i] = static_cast<char>(row->id.low >> (56 - 8 * i));
      }
      insert.bind(1, static_cast<std::int64_t>(sequence_of(row->id)));
      insert.bind_blob(2, bytes);
      insert.bind_blob(3, row->spec);
      insert.execute();
    }
  }
  const std::vector<std::string> expected{text({small, std::nullopt}), text({large, std::nullopt})};
  for (int time = 0; time < 2; ++time) EXPECT_EQ(content(*file.open()), expected);
  SqliteConnection now(file.path());
  EXPECT_EQ(now.number("SELECT max(length(spec)) FROM task"), 6);
  EXPECT_EQ(now.number("SELECT length(spec) FROM large_spec"), 5000);
}

TEST(SqliteStore, HealsWhenItsDirectoryComesBack) {
  SqliteFile file;
  const auto moved = file.directory.string() + ".moved";
  std::filesystem::rename(file.directory, moved);
  const auto store = file.open();
  const StoreBatch batch{submission(1)};
  EXPECT_THROW(store->apply({&batch}), StoreError);
  std::filesystem::rename(moved, file.directory);
  store->apply({&batch});
  EXPECT_EQ(content(*store).size(), 1u);
}

TEST(SqliteStore, CheckFindsNothingInAGoodFile) {
  SqliteFile file;
  SqliteStore store(file.path());
  const StoreBatch batch{submission(1)};
  store.apply({&batch});
  EXPECT_EQ(store.check(), "");
}

// --- The writer, over a store that fails as it is told ---

template <class File>
class Writer : public testing::Test {
 protected:
  void start(std::deque<Fault> faults) {
    auto store = std::make_unique<FaultyStore>(file_.open());
    store->plan(std::move(faults));
    writer_.emplace(
        loop_, std::move(store),
        StoreWriter::Events{[this](std::uint64_t batches) { committed_ = batches; },
                            [this](const StoreError& error) { troubles_.push_back(error.what()); },
                            [this] { ++healed_; }});
  }
  // Runs the loop until so many batches are there.
  void until(std::uint64_t batches) {
    while (committed_ < batches) loop_.run_one();
  }
  std::vector<std::string> written() {
    writer_.reset();
    return content(*file_.open());
  }

  File file_;
  boost::asio::io_context loop_;
  // Without it the loop would end, and stay ended, whenever nothing is to be done.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{loop_.get_executor()};
  std::optional<StoreWriter> writer_;
  std::uint64_t committed_ = 0;
  std::vector<std::string> troubles_;
  int healed_ = 0;
};

TYPED_TEST_SUITE(Writer, Files);

TYPED_TEST(Writer, EachBatchIsWrittenOnceAndInOrder) {
  this->start({});
  for (std::uint64_t number = 1; number <= 500; ++number)
    EXPECT_EQ(this->writer_->write({submission(number), state(number, 1)}), number);
  this->until(500);
  EXPECT_EQ(this->written().size(), 500u);
  EXPECT_TRUE(this->troubles_.empty());
}

TYPED_TEST(Writer, TroubleIsToldOnceAndWhatWaitedIsThereAfterIt) {
  this->start({Fault::none, Fault::before, Fault::after, Fault::before});
  this->writer_->write({submission(1)});
  this->until(1);
  this->writer_->write({submission(2)});
  this->writer_->write({submission(3), state(3, 1)});
  this->writer_->write({StoredEnd{id(1)}});
  this->until(4);
  EXPECT_EQ(this->troubles_.size(), 1u);
  EXPECT_EQ(this->healed_, 1);
  EXPECT_EQ(this->written(), (std::vector<std::string>{text({submission(2), std::nullopt}),
                                                       text({submission(3), state(3, 1)})}));
}

TYPED_TEST(Writer, EndsInTheMidstOfTrouble) {
  this->start(std::deque<Fault>(1000, Fault::before));
  this->writer_->write({submission(1)});
  while (this->troubles_.empty()) this->loop_.run_one();
  EXPECT_TRUE(this->written().empty());
}

TYPED_TEST(Writer, WritesWhatIsThereBeforeItEnds) {
  this->start({});
  for (std::uint64_t number = 1; number <= 50; ++number) this->writer_->write({submission(number)});
  EXPECT_EQ(this->written().size(), 50u);
}

// SQLite beside the model, through random batches, faults and openings.
TEST(Stores, AgreeOnEverything) {
  SqliteFile file;
  ModelFile model_file;
  auto store = file.open();
  const auto model = model_file.open();
  std::mt19937 random(1);
  std::uint64_t last = 0;
  for (int round = 0; round < 200; ++round) {
    StoreBatch batch;
    for (int i = static_cast<int>(random() % 8); i >= 0; --i) {
      const std::uint64_t some = last ? 1 + random() % last : 0;
      switch (random() % 4) {
        case 0:
          batch.emplace_back(submission(++last));
          break;
        case 1:
          if (some && model_file.rows->contains(some)) batch.emplace_back(state(some, random() % 5));
          break;
        case 2:
          if (some && model_file.rows->contains(some))
            batch.emplace_back(ended(some, std::string(random() % 3000, 'y')));
          break;
        default:
          if (some && random() % 4 == 0) batch.emplace_back(StoredEnd{id(some)});
      }
    }
    // A state never follows its task's end within a batch.
    for (const StoreWrite& write : batch)
      if (const auto* end = std::get_if<StoredEnd>(&write))
        std::erase_if(batch, [&](const StoreWrite& other) {
          const auto* later = std::get_if<StoredState>(&other);
          return later && later->id == end->id;
        });
    model->apply({&batch});
    store->apply({&batch});
    if (random() % 10 == 0) {
      store.reset();
      store = file.open();
    }
    if (random() % 10 == 0) {
      ASSERT_EQ(content(*store), content(*model)) << round;
    }
  }
  EXPECT_EQ(content(*store), content(*model));
}

}  // namespace
}  // namespace poold::engine
