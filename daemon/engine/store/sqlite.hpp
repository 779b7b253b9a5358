// SQLite, as far as a store needs it: a connection and its statements, with errors as StoreError.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/engine/store/durable_store.hpp"

namespace poold::engine {

class SqliteStatement;

class SqliteConnection {
 public:
  // Creates the file if it is missing.
  explicit SqliteConnection(const std::string& path);
  ~SqliteConnection() { sqlite3_close_v2(connection_); }
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  // One or more statements without results.
  void run(const char* sql);
  // The first column of the first row.
  std::int64_t number(const char* sql);
  std::string text(const char* sql);
  // Throws what SQLite's last result code means.
  [[noreturn]] void fail(const std::string& doing, int code) const;

 private:
  friend class SqliteStatement;
  std::string path_;
  sqlite3* connection_ = nullptr;
};

// Prepared once, used often. Values bound stay the caller's and must live until step() has returned.
class SqliteStatement {
 public:
  SqliteStatement(SqliteConnection& connection, const char* sql);
  ~SqliteStatement() { sqlite3_finalize(statement_); }
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  void bind(int at, std::int64_t value) { sqlite3_bind_int64(statement_, at, value); }
  void bind_text(int at, std::string_view value) {
    sqlite3_bind_text64(statement_, at, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  void bind_blob(int at, std::string_view value) {
    sqlite3_bind_blob64(statement_, at, value.data(), value.size(), SQLITE_STATIC);
  }
  void bind_null(int at) { sqlite3_bind_null(statement_, at); }
  // True: there is a row.
  bool step();
  // For the next values.
  void reset() { sqlite3_reset(statement_); }
  void execute() {
    step();
    reset();
  }

  bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string bytes(int column) const {
    const void* data = sqlite3_column_blob(statement_, column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
    return size ? std::string(static_cast<const char*>(data), size) : std::string();
  }

 private:
  SqliteConnection& connection_;
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace poold::engine
