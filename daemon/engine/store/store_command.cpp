#include "daemon/engine/store/store_command.hpp"

#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "daemon/engine/store/sqlite.hpp"
#include "daemon/engine/store/sqlite_store.hpp"

namespace poold::engine {
namespace {

namespace fs = std::filesystem;

int say_error(const std::string& text) {
  std::fprintf(stderr, "poold: %s\n", text.c_str());
  return 1;
}

// The file and its log, copied; removed again at the end.
class Copy {
 public:
  Copy(const std::string& file, const std::string& target) : path_(target) {
    remove_all();
    for (const char* part : parts)
      if (fs::exists(file + part)) fs::copy_file(file + part, path_ + part);
  }
  ~Copy() { remove_all(); }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;
  const std::string& path() const { return path_; }

 private:
  static constexpr const char* parts[] = {"", "-wal", "-journal"};
  void remove_all() {
    std::error_code ignored;
    for (const char* part : {"", "-wal", "-journal", "-shm"}) fs::remove(path_ + part, ignored);
  }
  std::string path_;
};

std::size_t count_tasks(SqliteStore& store) {
  std::size_t tasks = 0;
  store.load([&](StoredTask&&) { ++tasks; });
  return tasks;
}

int check(const std::string& file) {
  const Copy copy(file, file + ".check");
  try {
    SqliteStore store(copy.path());
    const std::string found = store.check();
    if (found.empty()) {
      std::printf("%s: ok, %zu tasks\n", file.c_str(), count_tasks(store));
      return 0;
    }
    std::printf("%s: %s\n", file.c_str(), found.c_str());
  } catch (const StoreError& error) {
    std::printf("%s\n", error.what());
    if (error.kind() == StoreError::Kind::trouble) return 1;
  }
  return say_error("what can be read of it is saved by: poold store salvage FILE");
}

int backup(const std::string& file, const std::string& target) {
  const Copy copy(file, target + ".part");
  std::size_t tasks = 0;
  {
    SqliteStore store(copy.path());
    if (const std::string found = store.check(); !found.empty())
      return say_error(file + ": " + found + "; a damaged store is not backed up, see 'poold store salvage'");
    tasks = count_tasks(store);
  }
  // Closing it has moved its log into the file, if there was room.
  if (fs::exists(copy.path() + "-wal")) return say_error(copy.path() + ": could not be written to its end");
  fs::rename(copy.path(), target);
  std::printf("%s: %zu tasks\n", target.c_str(), tasks);
  return 0;
}

// Copies a damaged file's rows, by halving what cannot be read.
class Salvage {
 public:
  Salvage(const std::string& from, const std::string& to) : connection_(from) {
    SqliteStatement attach(connection_, "ATTACH ?1 AS saved");
    attach.bind_text(1, to);
    attach.execute();
  }

  // Numbers of rows that could not be read, as first and last.
  using Ranges = std::vector<std::pair<std::int64_t, std::int64_t>>;

  Ranges table(const std::string& name) {
    lost_.clear();
    // A file of an earlier version has fewer.
    if (connection_.number(("SELECT count(*) FROM main.sqlite_schema WHERE name='" + name + "'").c_str()) ==
        0)
      return {};
    const auto [first, last] = bounds(name);
    const std::string sql =
        "INSERT INTO saved." + name + " SELECT * FROM main." + name + " WHERE number BETWEEN ?1 AND ?2";
    SqliteStatement copy(connection_, sql.c_str());
    if (first <= last) range(copy, first, last);
    return std::exchange(lost_, {});
  }
  std::int64_t drop_orphans(const std::string& name) {
    connection_.run(
        ("DELETE FROM saved." + name + " WHERE number NOT IN (SELECT number FROM saved.task)").c_str());
    return connection_.number("SELECT changes()");
  }
  // Tasks whose work is lost.
  std::int64_t drop_idle() {
    connection_.run(
        "DELETE FROM saved.task WHERE spec = x'' AND number NOT IN (SELECT number FROM saved.large_spec)");
    return connection_.number("SELECT changes()");
  }
  std::int64_t count(const std::string& where) {
    return connection_.number(("SELECT count(*) FROM saved.task WHERE " + where).c_str());
  }

 private:
  std::pair<std::int64_t, std::int64_t> bounds(const std::string& name) {
    std::pair<std::int64_t, std::int64_t> found{1, number_max};
    try {
      found.second = connection_.number(("SELECT max(number) FROM main." + name).c_str());
      number_max = std::max(number_max, found.second);
      found.first = connection_.number(("SELECT min(number) FROM main." + name).c_str());
    } catch (const StoreError& error) {
      if (error.kind() == StoreError::Kind::trouble) throw;
    }
    return found;
  }

  void range(SqliteStatement& copy, std::int64_t first, std::int64_t last) {
    try {
      copy.bind(1, first);
      copy.bind(2, last);
      copy.execute();
    } catch (const StoreError& error) {
      if (error.kind() == StoreError::Kind::trouble) throw;
      if (first < last) {
        const std::int64_t middle = first + (last - first) / 2;
        range(copy, first, middle);
        return range(copy, middle + 1, last);
      }
      if (!lost_.empty() && lost_.back().second + 1 == first)
        lost_.back().second = first;
      else
        lost_.emplace_back(first, first);
    }
  }

  // Where a table's own last number cannot be read: that of another table, or what a small store may have.
  std::int64_t number_max = 100'000;
  SqliteConnection connection_;
  Ranges lost_;
};

void say_lost(const char* what, const Salvage::Ranges& lost) {
  for (const auto& [first, last] : lost)
    std::printf("%s numbered %lld to %lld: cannot be read, if there were any\n", what,
                static_cast<long long>(first), static_cast<long long>(last));
}

int salvage(const std::string& file, const std::string& target) {
  const Copy copy(file, target + ".part");
  bool whole = true;
  std::int64_t tasks = 0;
  try {
    SqliteStore(target).check();  // makes its tables
    Salvage salvage(copy.path(), target);
    const Salvage::Ranges lost_tasks = salvage.table("task"), lost_states = salvage.table("state"),
                          lost_bodies = salvage.table("large_body"), lost_works = salvage.table("large_spec"),
                          lost_schedules = salvage.table("schedule");
    say_lost("tasks", lost_tasks);
    say_lost("states of tasks", lost_states);
    say_lost("large results", lost_bodies);
    say_lost("large works", lost_works);
    say_lost("schedules", lost_schedules);
    const std::int64_t idle = salvage.drop_idle();
    if (idle > 0) std::printf("%lld tasks whose work is lost are left out\n", static_cast<long long>(idle));
    const std::int64_t orphans = salvage.drop_orphans("state");
    salvage.drop_orphans("large_body");
    salvage.drop_orphans("large_spec");
    if (orphans > 0)
      std::printf(
          "%lld tasks whose submission is lost, and of which only the state could be read, are left out\n",
          static_cast<long long>(orphans));
    std::int64_t again = 0;
    for (const auto& [first, last] : lost_states)
      again += salvage.count("number BETWEEN " + std::to_string(first) + " AND " + std::to_string(last));
    if (again > 0)
      std::printf("%lld tasks whose state is lost count as queued, and will run (again)\n",
                  static_cast<long long>(again));
    whole = lost_tasks.empty() && lost_states.empty() && lost_bodies.empty() && lost_works.empty() &&
            lost_schedules.empty() && orphans == 0 && idle == 0;
    tasks = salvage.count("true");
  } catch (const StoreError& error) {
    std::error_code ignored;
    for (const char* part : {"", "-wal", "-shm"}) fs::remove(target + part, ignored);
    return say_error(std::string("nothing can be read: ") + error.what());
  }
  std::printf("%s: %lld tasks\n", target.c_str(), static_cast<long long>(tasks));
  return whole ? 0 : 1;
}

}  // namespace

int run_store_command(const std::vector<std::string>& arguments) {
  const std::string verb = arguments.empty() ? std::string() : arguments[0];
  const bool has_target = verb == "salvage" || verb == "backup";
  if ((verb != "check" && !has_target) || arguments.size() != (has_target ? 3u : 2u))
    return say_error("this program is started by poold; see 'poold store --help'");
  const std::string& file = arguments[1];
  try {
    if (!fs::exists(file)) return say_error(file + ": there is no store");
    if (!has_target) return check(file);
    const std::string& target = arguments[2];
    if (fs::exists(target)) return say_error(target + ": exists already; name a file that does not");
    return verb == "salvage" ? salvage(file, target) : backup(file, target);
  } catch (const fs::filesystem_error& error) {
    return say_error(error.path1().string() + ": " + error.code().message());
  } catch (const StoreError& error) {
    return say_error(error.what());
  }
}

}  // namespace poold::engine
