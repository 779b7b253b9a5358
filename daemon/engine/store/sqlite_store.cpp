#include "daemon/engine/store/sqlite_store.hpp"

#include <utility>

#include "common/fail_point.hpp"
#include "common/overloaded.hpp"

namespace poold::engine {
namespace {

// What made each version out of the one before it. Only ever added to.
constexpr const char* migrations[] = {
    // 1
    "CREATE TABLE task ("
    " number INTEGER PRIMARY KEY, id BLOB NOT NULL, pool TEXT NOT NULL, uid INTEGER NOT NULL,"
    " priority INTEGER NOT NULL, attempts_max INTEGER NOT NULL, crash_attempts_max INTEGER NOT NULL,"
    " submitted_ns INTEGER NOT NULL, key BLOB, digest INTEGER, spec BLOB NOT NULL);"
    "CREATE TABLE state ("
    " number INTEGER PRIMARY KEY, state INTEGER NOT NULL, flags INTEGER NOT NULL, attempt INTEGER NOT NULL,"
    " failures INTEGER NOT NULL, crashes INTEGER NOT NULL, slot INTEGER NOT NULL, generation INTEGER NOT "
    "NULL,"
    " pid INTEGER NOT NULL, started_ns INTEGER NOT NULL, options BLOB, kind INTEGER NOT NULL,"
    " worker_code INTEGER, ended_ns INTEGER, body BLOB);"
    // Results that would make the table of states slow to walk.
    "CREATE TABLE large_body (number INTEGER PRIMARY KEY, body BLOB NOT NULL);",
    // 2: works that would do so to the table of tasks, and schedules.
    "CREATE TABLE large_spec (number INTEGER PRIMARY KEY, spec BLOB NOT NULL);"
    "INSERT INTO large_spec SELECT number, spec FROM task WHERE length(spec) > 4096;"
    "UPDATE task SET spec = x'' WHERE length(spec) > 4096;"
    "CREATE TABLE schedule (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, content BLOB NOT NULL);",
};
constexpr std::int64_t version = std::size(migrations);
// "pool" as a number: says to others whose file this is.
constexpr std::int64_t application_id = 0x706f6f6c;
constexpr std::size_t body_inline_max = 1024;
// Those above leave an empty one in their row; a work is never empty.
constexpr std::size_t spec_inline_max = 4096;

enum Flag : std::int64_t { no_flag = 0, cancelling = 1, had_log = 2, worker_signaled = 4, body_is_large = 8 };

std::int64_t flag(bool set, Flag which) { return set ? which : no_flag; }

std::int64_t number_of(const TaskId& id) { return static_cast<std::int64_t>(sequence_of(id)); }

std::string bytes_of(const TaskId& id) {
  std::string bytes(16, '\0');
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(id.high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<char>(id.low >> (56 - 8 * i));
  }
  return bytes;
}

TaskId id_of(const std::string& bytes) {
  if (bytes.size() != 16)
    throw StoreError(StoreError::Kind::damaged, "an id of the wrong length in the store");
  TaskId id;
  for (std::size_t i = 0; i < 8; ++i) {
    id.high = id.high << 8 | static_cast<unsigned char>(bytes[i]);
    id.low = id.low << 8 | static_cast<unsigned char>(bytes[8 + i]);
  }
  return id;
}

void migrate(SqliteConnection& connection, const std::string& path) {
  const std::int64_t found = connection.number("PRAGMA user_version");
  const std::int64_t owner = connection.number("PRAGMA application_id");
  const bool fresh = found == 0 && owner == 0;
  if (!fresh && owner != application_id)
    throw StoreError(StoreError::Kind::damaged, path + ": is a database of another program");
  if (found > version)
    throw StoreError(StoreError::Kind::damaged, path + ": has schema version " + std::to_string(found) +
                                                    "; this poold knows versions up to " +
                                                    std::to_string(version) +
                                                    ". It was written by a newer one");
  if (found == version) return;
  connection.run("BEGIN IMMEDIATE");
  for (std::int64_t next = found; next < version; ++next) connection.run(migrations[next]);
  connection.run(("PRAGMA user_version=" + std::to_string(version)).c_str());
  connection.run(("PRAGMA application_id=" + std::to_string(application_id)).c_str());
  connection.run("COMMIT");
}

}  // namespace

struct SqliteStore::Open {
  explicit Open(const std::string& path) : connection(path) {
    // A lock of another process's goes with it; ours are held for the connection's life.
    connection.run("PRAGMA locking_mode=EXCLUSIVE");
    if (connection.text("PRAGMA journal_mode=WAL") != "wal")
      throw StoreError(StoreError::Kind::trouble, path + ": this file system cannot keep a write-ahead log");
    connection.run("PRAGMA synchronous=FULL");
    // A checkpoint each 16 MiB: four times as rare as usual, for a log that is read at the next start at
    // most.
    connection.run("PRAGMA wal_autocheckpoint=4096");
    // A log that was large once does not stay so.
    connection.run("PRAGMA journal_size_limit=33554432");
    migrate(connection, path);
    insert.emplace(connection, "INSERT OR REPLACE INTO task VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)");
    update.emplace(
        connection,
        "INSERT OR REPLACE INTO state VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)");
    keep_body.emplace(connection, "INSERT OR REPLACE INTO large_body VALUES (?1,?2)");
    drop_task.emplace(connection, "DELETE FROM task WHERE number=?1");
    drop_state.emplace(connection, "DELETE FROM state WHERE number=?1");
    drop_body.emplace(connection, "DELETE FROM large_body WHERE number=?1");
    keep_spec.emplace(connection, "INSERT OR REPLACE INTO large_spec VALUES (?1,?2)");
    drop_spec.emplace(connection, "DELETE FROM large_spec WHERE number=?1");
    keep_schedule.emplace(connection, "INSERT OR REPLACE INTO schedule (name, content) VALUES (?1,?2)");
    drop_schedule.emplace(connection, "DELETE FROM schedule WHERE name=?1");
  }

  SqliteConnection connection;
  std::optional<SqliteStatement> insert, update, keep_body, drop_task, drop_state, drop_body, keep_spec,
      drop_spec, keep_schedule, drop_schedule;
};

SqliteStore::Open& SqliteStore::open() {
  if (open_) return *open_;
  std::unique_ptr<Open, void (*)(Open*)> fresh(new Open(path_), [](Open* open) { delete open; });
  if (std::exchange(suspicious_, false)) {
    suspicious_ = true;
    if (const std::string found = fresh->connection.text("PRAGMA quick_check(1)"); found != "ok")
      throw StoreError(StoreError::Kind::damaged, path_ + ": " + found);
    suspicious_ = false;
    unverified_ = true;
  }
  open_ = std::move(fresh);
  return *open_;
}

std::string SqliteStore::check() {
  const std::string found = open().connection.text("PRAGMA integrity_check(1)");
  return found == "ok" ? std::string() : found;
}

void SqliteStore::load(const std::function<void(StoredTask&&)>& take) {
  SqliteConnection& connection = open().connection;
  pass(FailPoint::store_opened);
  SqliteStatement rows(connection,
                       "SELECT t.id, t.pool, t.uid, t.priority, t.attempts_max, t.crash_attempts_max,"
                       " t.submitted_ns, t.key, t.digest, t.spec, s.state, s.flags, s.attempt, s.failures,"
                       " s.crashes, s.slot, s.generation, s.pid, s.started_ns, s.options, s.kind,"
                       " s.worker_code, s.ended_ns, s.body, b.body, l.spec FROM task t"
                       " LEFT JOIN state s USING (number) LEFT JOIN large_body b USING (number)"
                       " LEFT JOIN large_spec l USING (number)"
                       " ORDER BY t.number");
  while (rows.step()) {
    StoredTask task;
    StoredSubmission& submission = task.submission;
    submission.id = id_of(rows.bytes(0));
    submission.pool = rows.bytes(1);
    submission.uid = static_cast<std::uint32_t>(rows.number(2));
    submission.priority = static_cast<std::int32_t>(rows.number(3));
    submission.attempts_max = static_cast<std::uint32_t>(rows.number(4));
    submission.crash_attempts_max = static_cast<std::uint32_t>(rows.number(5));
    submission.submitted_ns = rows.number(6);
    if (!rows.is_null(7)) submission.key = rows.bytes(7);
    submission.digest = static_cast<std::uint64_t>(rows.number(8));
    submission.spec = rows.bytes(9);
    if (submission.spec.empty()) submission.spec = rows.bytes(25);
    if (!rows.is_null(10)) {
      StoredState& state = task.state.emplace();
      const std::int64_t flags = rows.number(11);
      state.id = submission.id;
      state.state = static_cast<std::uint8_t>(rows.number(10));
      state.cancelling = flags & Flag::cancelling;
      state.had_log = flags & Flag::had_log;
      state.worker_signaled = flags & Flag::worker_signaled;
      state.attempt = static_cast<std::uint32_t>(rows.number(12));
      state.failures = static_cast<std::uint32_t>(rows.number(13));
      state.crashes = static_cast<std::uint32_t>(rows.number(14));
      state.slot = static_cast<std::uint32_t>(rows.number(15));
      state.generation = static_cast<std::uint32_t>(rows.number(16));
      state.pid = static_cast<std::int32_t>(rows.number(17));
      state.started_ns = rows.number(18);
      state.options = rows.bytes(19);
      state.kind = static_cast<std::uint8_t>(rows.number(20));
      state.worker_code = static_cast<std::int32_t>(rows.number(21));
      state.ended_ns = rows.number(22);
      state.body = rows.bytes(flags & Flag::body_is_large ? 24 : 23);
    }
    take(std::move(task));
  }
}

std::vector<StoredSchedule> SqliteStore::load_schedules() {
  std::vector<StoredSchedule> schedules;
  SqliteStatement rows(open().connection, "SELECT name, content FROM schedule ORDER BY name");
  while (rows.step()) schedules.push_back({rows.bytes(0), rows.bytes(1)});
  return schedules;
}

SqliteStore::Landmark SqliteStore::landmark_of(const StoreWrite& write) {
  return std::visit(Overloaded{
                        [](const StoredSubmission& w) {
                          return Landmark{number_of(w.id), false, -1};
                        },
                        [](const StoredState& w) {
                          return Landmark{number_of(w.id), false, w.attempt};
                        },
                        [](const StoredEnd& w) {
                          return Landmark{number_of(w.id), true, -1};
                        },
                        [](const StoredSchedule&) { return Landmark{}; },
                    },
                    write);
}

void SqliteStore::remember(const std::vector<const StoreBatch*>& batches) {
  for (auto batch = batches.rbegin(); batch != batches.rend(); ++batch)
    for (auto write = (*batch)->rbegin(); write != (*batch)->rend(); ++write)
      if (const Landmark latest = landmark_of(*write); latest.number != 0) {
        landmark_ = latest;
        return;
      }
}

void SqliteStore::verify(Open& store, const std::vector<const StoreBatch*>& batches) const {
  if (landmark_.number == 0) return;
  // What failed may have been written all the same, and these are it: the row is as before or as after.
  bool may_differ = false;
  for (const StoreBatch* batch : batches)
    for (const StoreWrite& write : *batch) {
      const Landmark written = landmark_of(write);
      if (written.number != landmark_.number) continue;
      if (written.forgotten) return;
      may_differ = true;
    }
  SqliteStatement row(store.connection,
                      "SELECT s.attempt FROM task t LEFT JOIN state s USING (number) WHERE t.number=?1");
  row.bind(1, landmark_.number);
  const bool there = row.step();
  const bool another = !may_differ && landmark_.attempt >= 0 && there && row.number(0) != landmark_.attempt;
  if (landmark_.forgotten ? there : !there || another)
    throw StoreError(StoreError::Kind::damaged,
                     path_ + ": what it had confirmed is not there after an error of the disk");
}

void SqliteStore::apply(const std::vector<const StoreBatch*>& batches) {
  try {
    Open& store = open();
    if (unverified_) verify(store, batches);
    unverified_ = false;
    store.connection.run("BEGIN IMMEDIATE");
    for (const StoreBatch* batch : batches)
      for (const StoreWrite& write : *batch) apply_one(store, write);
    pass(FailPoint::rows_uncommitted);
    store.connection.run("COMMIT");
    pass(FailPoint::rows_committed);
    remember(batches);
  } catch (const StoreError&) {
    open_.reset();
    suspicious_ = true;
    throw;
  }
}

void SqliteStore::apply_one(Open& store, const StoreWrite& write) {
  std::visit(
      Overloaded{
          [&](const StoredSubmission& w) {
            SqliteStatement& insert = *store.insert;
            const std::string id = bytes_of(w.id);
            insert.bind(1, number_of(w.id));
            insert.bind_blob(2, id);
            insert.bind_text(3, w.pool);
            insert.bind(4, w.uid);
            insert.bind(5, w.priority);
            insert.bind(6, w.attempts_max);
            insert.bind(7, w.crash_attempts_max);
            insert.bind(8, w.submitted_ns);
            w.key ? insert.bind_blob(9, *w.key) : insert.bind_null(9);
            w.key ? insert.bind(10, static_cast<std::int64_t>(w.digest)) : insert.bind_null(10);
            const bool large = w.spec.size() > spec_inline_max;
            insert.bind_blob(11, large ? std::string_view("") : std::string_view(w.spec));
            insert.execute();
            if (large) {
              store.keep_spec->bind(1, number_of(w.id));
              store.keep_spec->bind_blob(2, w.spec);
              store.keep_spec->execute();
            }
            pass(FailPoint::submission_row_written);
          },
          [&](const StoredState& w) {
            const bool large = w.body.size() > body_inline_max;
            SqliteStatement& update = *store.update;
            update.bind(1, number_of(w.id));
            update.bind(2, w.state);
            update.bind(3, flag(w.cancelling, cancelling) | flag(w.had_log, had_log) |
                               flag(w.worker_signaled, worker_signaled) | flag(large, body_is_large));
            update.bind(4, w.attempt);
            update.bind(5, w.failures);
            update.bind(6, w.crashes);
            update.bind(7, w.slot);
            update.bind(8, w.generation);
            update.bind(9, w.pid);
            update.bind(10, w.started_ns);
            w.options.empty() ? update.bind_null(11) : update.bind_blob(11, w.options);
            update.bind(12, w.kind);
            w.ended() ? update.bind(13, w.worker_code) : update.bind_null(13);
            w.ended() ? update.bind(14, w.ended_ns) : update.bind_null(14);
            w.body.empty() || large ? update.bind_null(15) : update.bind_blob(15, w.body);
            update.execute();
            pass(FailPoint::state_row_written);
            if (!large) return;
            pass(FailPoint::large_body_unwritten);
            store.keep_body->bind(1, number_of(w.id));
            store.keep_body->bind_blob(2, w.body);
            store.keep_body->execute();
          },
          [&](const StoredEnd& w) {
            for (auto* drop : {&*store.drop_task, &*store.drop_state, &*store.drop_body, &*store.drop_spec}) {
              drop->bind(1, number_of(w.id));
              drop->execute();
              pass(FailPoint::task_half_dropped);
            }
          },
          [&](const StoredSchedule& w) {
            SqliteStatement& change = w.content.empty() ? *store.drop_schedule : *store.keep_schedule;
            change.bind_text(1, w.name);
            if (!w.content.empty()) change.bind_blob(2, w.content);
            change.execute();
          },
      },
      write);
}

}  // namespace poold::engine
