// map's --joblog: one line a task in GNU parallel's columns, and what an earlier run's lines say to a resumed
// one. One map at a time: the file is locked.
//
// The keys. A map that is killed leaves tasks that had ended, but were not in the log yet. So that none of
// them runs again, each task gets a key of the run's own number and its place among the items; a map that
// resumes uses the same keys, and the daemon answers with what it has. The number stands in FILE.run, which
// exists only while a map runs, or after one was killed: after an orderly end there is nothing in doubt, and
// a line that somebody takes out of the log means that its task is to run again.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/seqpacket.hpp"

namespace poold::cli {

struct JobLogEntry {
  std::uint64_t seq = 0;  // from 1
  std::chrono::system_clock::time_point start;
  std::chrono::nanoseconds run_time{0};
  std::uint64_t send_bytes = 0;
  std::uint64_t receive_bytes = 0;
  int exit_code = 0;
  int signal = 0;
  std::string line;  // the command line, without tabs and newlines
};
// A run's number: random hexadecimal digits.
std::string random_run_number();
// What a task of a run is known by to the daemon.
std::string map_key(std::string_view run, std::uint64_t seq, std::uint32_t entries, std::uint32_t again);

// With its newline.
std::string format_entry(const JobLogEntry& entry);
// Seq, exit code, signal and line of a log's line; none if it is not one.
std::optional<JobLogEntry> parse_entry(std::string_view line);

class JobLog {
 public:
  enum class Mode {
    fresh,          // what is there is overwritten
    resume,         // what is logged is not run again
    resume_failed,  // what failed is
  };

  // Throws UsageError if the file cannot be used, or is no such log.
  JobLog(const std::string& path, Mode mode);

  // Whether this task is not to be run. Asked in the order of the numbers. Throws UsageError if the log has
  // another command for it.
  bool has(std::uint64_t seq, std::string_view line);
  // How often the task that has() was asked about last stands in the log.
  std::uint32_t entries() const { return entries_; }
  // A task that is run once more since its entries were written gets a new key, and so does one whose earlier
  // run was cancelled (`again`: how often that was seen). Empty where the log cannot be resumed from.
  std::string key(std::uint64_t seq, std::uint32_t entries, std::uint32_t again) const;
  // A map was killed here: keys may be known to the daemon.
  bool recovering() const { return recovering_; }

  void append(const JobLogEntry& entry);
  // Everything that ended is logged.
  void end_run();

 private:
  // What the lines of an earlier run say about a task.
  struct Seen {
    std::uint64_t seq;
    std::uint64_t line_hash;
    bool succeeded;
  };
  void lock();
  void read_entries();
  void read_line(std::string_view line, std::uint64_t number);
  void begin_run();
  const Seen* find(std::uint64_t seq);

  std::string path_;
  Mode mode_;
  FileDescriptor file_;
  bool regular_ = false;
  bool recovering_ = false;
  std::string run_;         // this run's number; empty: no keys
  std::vector<Seen> seen_;  // by seq, then as logged
  std::size_t cursor_ = 0;  // in seen_
  std::uint32_t entries_ = 0;
};

}  // namespace poold::cli
