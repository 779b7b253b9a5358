// The configuration as checked values. What every key means, its default, unit and limits stand in
// config/poold.yaml; a value that is here is within those limits.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace poold::settings {

using std::chrono::milliseconds;

enum class PoolKind { command, function };
enum class Durability { memory, disk };
// What a pool's own program speaks: the worker protocol itself, or JSON lines on stdin and stdout.
enum class WorkerProtocol { frames, lines };

// How long ended tasks, their results and their logs are kept: until one of the limits is passed.
struct Retention {
  std::chrono::seconds age{24 * 3600};
  std::uint32_t count = 100'000;
  std::uint64_t size = 1 << 30;  // bytes of results and logs
  bool operator==(const Retention&) const = default;
};

// Whom a pool's processes run as.
struct Account {
  std::string name;  // empty: the daemon's own user, in another group
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;  // all of them
  std::string home;
  std::string shell;
  bool operator==(const Account&) const = default;
};

// A limit of the kernel's on each of a pool's processes (setrlimit(2)), soft and hard.
struct ResourceLimit {
  int resource = 0;  // RLIMIT_NOFILE and so on
  std::string name;  // as in the file
  std::uint64_t value = 0;
  bool operator==(const ResourceLimit&) const = default;
};
inline constexpr std::uint64_t resource_unlimited = UINT64_MAX;

enum class Output { keep, discard };

// So many starts in a time.
struct Rate {
  std::uint32_t count = 0;  // 0: no limit
  milliseconds per{1000};
  std::uint32_t burst = 1;
  bool operator==(const Rate&) const = default;
};

// A named limit on tasks that run at once, and on their starts.
struct TaskLimit {
  std::string name;
  std::uint32_t size = 1;
  Rate rate;
  bool operator==(const TaskLimit&) const = default;
};

struct Pool {
  std::string name;
  PoolKind kind = PoolKind::command;
  Durability durability = Durability::memory;
  std::uint32_t workers = 1;  // at most; `auto` is resolved: as many as CPUs this process may use
  // Where their number follows the work: at least so many, ...
  std::optional<std::uint32_t> workers_min;
  std::uint32_t spare = 0;            // ... and so many more than there is work
  milliseconds idle_timeout{60'000};  // a worker that is not needed leaves after that
  // When a worker is replaced; 0: never.
  struct Recycle {
    std::uint32_t tasks = 0;
    milliseconds age{0};
    std::uint64_t memory = 0;
    std::uint32_t spread = 20;  // per cent by which each worker's limits are less, at most
    bool operator==(const Recycle&) const = default;
  };
  Recycle recycle;
  // Function pools: either a plug-in (run by poold-worker; without a slash it is looked up in the library
  // directory) ...
  std::string plugin;
  // ... or a program that speaks the worker protocol. Empty for command pools: poold-worker.
  std::vector<std::string> program;
  WorkerProtocol protocol = WorkerProtocol::frames;
  std::map<std::string, std::string> env;  // set for workers and what they run
  std::string cwd;                         // absolute; empty: the daemon's
  std::uint32_t queue_size = 1'000'000;
  std::uint32_t user_tasks = 0;  // unfinished tasks of one user; 0: no limit
  Rate rate;                     // of starts
  milliseconds ageing{60'000};   // of waiting, that a point of priority is worth; 0: any
  struct Share {
    std::uint32_t uid = 0;
    std::uint32_t weight = 1;
    bool operator==(const Share&) const = default;
  };
  std::vector<Share> shares;
  std::uint32_t crash_attempts = 5;
  std::uint32_t max_tasks = 0;         // that one worker runs before it is replaced; 0: any number
  std::uint32_t processes = 100;       // dedicated processes at a time
  milliseconds grace{5'000};           // between SIGTERM and SIGKILL
  milliseconds start_timeout{30'000};  // a worker that has not said hello by then is killed
  std::uint64_t log_size = 64 << 20;   // bytes of output kept per attempt
  Output output = Output::keep;        // what attempts write
  Retention retention;
  std::optional<Account> account;      // without: the daemon's own
  std::optional<std::uint32_t> umask;  // without: the daemon's own
  std::optional<int> nice;             // without: the daemon's own
  std::vector<ResourceLimit> limits;   // those that are not the daemon's own
  std::vector<std::string>
      allow;  // command pools: the only programs (common/allowed_program.hpp); empty: any
  // Function pools: content types of payloads that are taken; nothing: every one but pickles.
  std::optional<std::vector<std::string>> accept;
  bool shared_memory = false;  // function pools: large payloads as sealed memfds
  bool operator==(const Pool&) const = default;
};

// A task that is submitted again and again. The words are those of common/cron.hpp and core/schedules.hpp.
struct Schedule {
  enum class Overlap { skip, queue, replace };
  enum class CatchUp { once, all, none };
  std::string name;
  std::string spec;
  std::string time_zone;  // empty: the machine's
  Overlap overlap = Overlap::skip;
  CatchUp catch_up = CatchUp::once;
  std::chrono::seconds jitter{0};
  std::string pool = "default";
  // Either a command or a function.
  std::vector<std::string> command;
  std::map<std::string, std::string> env;
  std::string cwd;
  std::string function;
  std::vector<std::string> args;  // each JSON if it parses, else a string
  std::uint32_t attempts = 1;
  milliseconds timeout{0};  // 0: none
  bool operator==(const Schedule&) const = default;
};

// By number; names are resolved when the file is read.
struct Members {
  std::vector<std::uint32_t> users;
  std::vector<std::uint32_t> groups;
  bool operator==(const Members&) const = default;
};

// Who has which role, beside the daemon's own user and root (admin) and the group of its socket (submit).
struct Access {
  Members read, submit, operate, admin;
  bool operator==(const Access&) const = default;
};

struct Settings {
  std::string socket;     // empty: chosen by common/endpoint
  std::string state_dir;  // empty: chosen by common/endpoint
  milliseconds stop_timeout{30'000};
  std::string log_level = "info";  // trace, debug, info, warning, error
  Access access;
  std::uint32_t workers_max = 0;  // processes of all pools together; 0: no limit
  std::vector<TaskLimit> limits;
  std::vector<Schedule> schedules;
  std::vector<Pool> pools;  // in the file's order, at least one
  // What clients may make pools of; `workers` is the most that one may have.
  std::vector<Pool> templates;
  bool operator==(const Settings&) const = default;
};

// One complaint about the file. line and column count from 1; 0 where there is no place (a file that cannot
// be read).
struct Error {
  std::string file;
  int line = 0;
  int column = 0;
  std::string path;  // such as pools.math.workers; empty for the whole file
  std::string message;
};
// file:line:column: path: message
std::string to_string(const Error& error);

using Errors =
    std::vector<Error>;  // all of them, in the file's order; never empty where it stands for a failure
using Result = std::variant<Settings, Errors>;

inline constexpr std::size_t text_size_max = 1 << 20;

// Loading a pickle runs whatever its maker wants, as the worker's user: only a pool that says so takes one.
inline constexpr std::string_view pickle_content_type = "application/x-python-pickle";

// Checks the text of a configuration file; `file` is for messages only. An empty text is the default
// configuration: the pool `default` (commands) with as many workers as CPUs.
Result parse(std::string_view text, std::string_view file);

// The same with other accounts than this machine's (accounts.hpp).
struct Accounts;
Result parse(std::string_view text, std::string_view file, const Accounts& accounts);

// The file's text, or why it cannot be had.
std::variant<std::string, Error> read_file(const std::string& path);

// The first that exists of $XDG_CONFIG_HOME/poold/poold.yaml ($HOME/.config where unset) and
// /etc/poold/poold.yaml; empty if none does.
std::string default_path();

}  // namespace poold::settings
