// poold::Client: one connection to the daemon, one call at a time.
//
//   poold::Client client;
//   auto id = client.submit(poold::Command{{"sha256sum", "/etc/hostname"}}).id;
//   poold::TaskInfo task = client.wait(id);
//   poold::Value sum = client.call({"add", {1, 2}}, {.pool = "math"});
//
// For many tasks at a time, see stream.hpp. Every call throws poold::Error (error.hpp). A Client belongs to
// one thread at a time; it connects at the first call and again at the next call after its connection ended.
//
// When the engine dies, or the daemon is restarted, in the middle of a call, it connects again for as long as
// `reconnect` says, and goes on: calls that change nothing are made again; so is a submission whose tasks all
// have keys; run() and follow() follow their task from the byte after the last that was handed over, if its
// key or id is known, as that of a command and of whatever has a sink is. Every other call fails with
// ConnectionLost: whether it was carried out, or the task accepted, is not known.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "error.hpp"
#include "task.hpp"

namespace poold {

struct ClientOptions {
  std::string socket;  // empty: POOLD_SOCKET, else the first of the usual places that exists
  std::chrono::milliseconds connect_timeout{10'000};
  // How long an answer may take that the daemon has no reason to delay. A restarting engine answers late;
  // calls that wait for tasks add their own time.
  std::chrono::milliseconds answer_timeout{60'000};
  // How long the daemon may stay away once it is lost. 0: a lost connection is an error at once.
  std::chrono::milliseconds reconnect{30'000};
};

struct Submitted {
  std::string id;
  bool duplicate = false;  // the key was known: this is the earlier task
};

// A piece of a task's output.
struct Output {
  enum class Source { out, err };
  Source source = Source::out;
  std::string_view data;      // valid during the call of the sink
  std::uint64_t skipped = 0;  // more than 0: so many bytes of the log's middle are gone; data is empty
};
using OutputSink = std::function<void(const Output&)>;

class Client {
 public:
  explicit Client(ClientOptions options = {});
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  Submitted submit(const TaskSpec& task);
  Submitted submit(const Command& command, const SubmitOptions& options = {}) {
    return submit(TaskSpec(command, options));
  }
  Submitted submit(const Function& function, const SubmitOptions& options = {}) {
    return submit(TaskSpec(function, options));
  }

  // Many in one call (at most 10,000), all accepted or none; the error begins with tasks[INDEX].
  std::vector<Submitted> submit_batch(const std::vector<TaskSpec>& tasks);

  // Submits and waits for the end. With a sink, output is handed to it as it arrives, in order for each
  // source. The task is cancelled if this process ends before it.
  Outcome run(const TaskSpec& task, const OutputSink& sink = {});
  Outcome run(const Command& command, const SubmitOptions& options = {}, const OutputSink& sink = {}) {
    return run(TaskSpec(command, options), sink);
  }
  // Calls a function: its value, or RemoteError. A function that returns bytes needs call_outcome.
  Value call(const Function& function, const SubmitOptions& options = {});
  Outcome call_outcome(const Function& function, const SubmitOptions& options = {}) {
    return run(TaskSpec(function, options));
  }

  TaskInfo get(const std::string& id);
  // Newest first; at most `count_max`.
  std::vector<TaskInfo> list(const Selector& selector = {}, std::size_t count_max = 1000);

  // Until all (with `any`: one) have ended, or `timeout` has passed: every task as it then is, in the order
  // of `ids` (at most 10,000).
  std::vector<TaskInfo> wait(const std::vector<std::string>& ids,
                             std::optional<std::chrono::milliseconds> timeout = {}, bool any = false);
  TaskInfo wait(const std::string& id, std::optional<std::chrono::milliseconds> timeout = {});

  // Until no task of the group is unfinished, or `timeout` has passed: how the group stands then.
  GroupInfo wait_group(const std::string& name, std::optional<std::chrono::milliseconds> timeout = {});
  // The groups that are there; with names, those of them.
  std::vector<GroupInfo> groups(const std::vector<std::string>& names = {});

  // Asks tasks to end; wait() tells when they have. The selector needs at least one condition; the ids that
  // were asked come back.
  void cancel(const std::string& id);
  std::vector<std::string> cancel(const Selector& selector);
  // Sends a signal to a running command's process group. `failed_precondition`: not running, or not a
  // command.
  void signal(const std::string& id, int signal_number);

  // The output so far of an attempt (0: the last).
  void logs(const std::string& id, const OutputSink& sink, std::uint32_t attempt = 0);
  // The output from the last attempt's beginning, and on until the task has ended.
  Outcome follow(const std::string& id, const OutputSink& sink);

  // Any call in JSON: method "poold.v1.Tasks/Get", a JSON object, the answer's JSON.
  std::string call_json(std::string_view method, std::string_view json);

  // The path it connects to.
  const std::string& socket() const;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace poold

#include "stream.hpp"  // IWYU pragma: export
