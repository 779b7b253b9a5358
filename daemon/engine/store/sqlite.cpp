#include "daemon/engine/store/sqlite.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace poold::engine {
namespace {

StoreError::Kind kind_of(int code) {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
      return StoreError::Kind::damaged;
    default:
      return StoreError::Kind::trouble;
  }
}

}  // namespace

SqliteConnection::SqliteConnection(const std::string& path) : path_(path) {
  // Made here where it is missing, so that it is nobody else's to read; SQLite gives its log the same rights.
  if (const int made = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600); made >= 0)
    ::close(made);
  // SQLite's own locks between threads are not needed: a connection is used by one at a time.
  constexpr int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &connection_, flags, nullptr);
  if (code == SQLITE_OK) return;
  const StoreError error(kind_of(code), "cannot open " + path + ": " + sqlite3_errmsg(connection_));
  sqlite3_close_v2(connection_);
  throw error;
}

void SqliteConnection::fail(const std::string& doing, int code) const {
  if ((code & 0xff) == SQLITE_BUSY)
    throw StoreError(StoreError::Kind::trouble, path_ + ": is in use by another process");
  throw StoreError(kind_of(code), path_ + ": " + doing + ": " + sqlite3_errmsg(connection_) + " (" +
                                      std::to_string(sqlite3_extended_errcode(connection_)) + ")");
}

void SqliteConnection::run(const char* sql) {
  const int code = sqlite3_exec(connection_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(sql, code);
}

std::int64_t SqliteConnection::number(const char* sql) {
  SqliteStatement statement(*this, sql);
  return statement.step() ? statement.number(0) : 0;
}

std::string SqliteConnection::text(const char* sql) {
  SqliteStatement statement(*this, sql);
  return statement.step() ? statement.bytes(0) : std::string();
}

SqliteStatement::SqliteStatement(SqliteConnection& connection, const char* sql) : connection_(connection) {
  const int code =
      sqlite3_prepare_v3(connection.connection_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
  if (code != SQLITE_OK) connection.fail(sql, code);
}

bool SqliteStatement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  sqlite3_reset(statement_);
  connection_.fail(sqlite3_sql(statement_), code);
}

}  // namespace poold::engine
