// daemon: what it is, a new configuration or a new engine for it, and its end.
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/cli/exit_code.hpp"
#include "client/cli/reading.hpp"
#include "client/cli/reconnection.hpp"
#include "client/cli/task_text.hpp"
#include "client/cli/text.hpp"
#include "client/cli/verbs.hpp"
#include "client/cpp/poold/error.hpp"
#include "client/cpp/src/task_proto.hpp"
#include "poold/v1/daemon.pb.h"

namespace poold::cli {
namespace {

struct StopOptions {
  bool now = false;
  std::string timeout;
};

std::string state_text(const v1::GetInfoResponse& info) {
  if (info.stopping()) return "stopping";
  return info.degraded().empty() ? "running" : "degraded: " + escaped_line(info.degraded());
}

int daemon_info(Context& context) {
  v1::GetInfoResponse info;
  context.call("poold.v1.Daemon/GetInfo", v1::GetInfoRequest(), info);
  if (context.format() == Format::ndjson) print(to_json(info) + "\n");
  if (context.format() != Format::table) return 0;
  const Time now = std::chrono::system_clock::now();
  std::string extensions;
  for (const std::string& name : info.extensions())
    extensions.append(extensions.empty() ? "" : ", ").append(name);
  print(format_sheet({
      {"version", escaped_line(info.version())},
      {"state", state_text(info)},
      {"socket", escaped_line(info.socket())},
      {"state directory", escaped_line(info.state_directory())},
      {"configuration",
       info.configuration().empty() ? "(none: defaults)" : escaped_line(info.configuration())},
      {"supervisor", "pid " + std::to_string(info.pid())},
      {"engine", "pid " + std::to_string(info.engine_pid()) + ", replaced " +
                     std::to_string(info.engine_restarts()) +
                     (info.engine_restarts() == 1 ? " time" : " times")},
      {"started", info.has_started_at() ? time_text(info.started_at(), now) : ""},
      {"engine started", info.has_engine_started_at() ? time_text(info.engine_started_at(), now) : ""},
      {"extensions", escaped_line(extensions)},
  }));
  return 0;
}

// A broken configuration comes as one error a line; each is printed as it stands, so that an editor finds the
// place.
int daemon_reload(Context& context) {
  v1::ReloadResponse response;
  try {
    context.call("poold.v1.Daemon/Reload", v1::ReloadRequest(), response);
  } catch (const Error& error) {
    if (error.code() != Code::invalid_argument) throw;
    TerminalEscaper escaper;
    complain("the configuration is broken; the running one stays:");
    const std::string lines = escaper.escape(error.what()) + escaper.finish() + "\n";
    std::fwrite(lines.data(), 1, lines.size(), stderr);
    return exit_usage;
  }
  if (context.format() == Format::ndjson) print(to_json(response) + "\n");
  if (context.format() != Format::table) return exit_ok;
  for (const std::string& change : response.changes()) print(escaped_line(change) + "\n");
  if (response.changes().empty()) complain("nothing changed");
  return exit_ok;
}

// Reads again until there is an answer: while an engine is replaced, connections wait or break.
v1::GetInfoResponse info_of_next_engine(Context& context) {
  Reconnection reconnection{std::chrono::seconds(30)};
  reconnection.lost();
  for (;;) {
    std::string reason;
    try {
      v1::GetInfoResponse info;
      context.connection().call("poold.v1.Daemon/GetInfo", v1::GetInfoRequest(), info);
      return info;
    } catch (const ConnectionLost& error) {
      reason = error.what();
    } catch (const Unreachable& error) {
      reason = error.what();
    }
    const auto pause = reconnection.next_pause();
    if (!pause) throw Unreachable(Code::unavailable, reconnection.failure({}, reason));
    ::poll(nullptr, 0, static_cast<int>(pause->count()));
  }
}

int daemon_upgrade(Context& context) {
  v1::UpgradeResponse response;
  context.call_quietly("poold.v1.Daemon/Upgrade", v1::UpgradeRequest(), response);
  const v1::GetInfoResponse info = info_of_next_engine(context);
  if (!info.upgrade_error().empty() || info.engine_pid() == response.engine_pid()) {
    complain("no upgrade: " + escaped_line(info.upgrade_error()));
    return exit_failed;
  }
  if (context.format() != Format::table)
    print(to_json(info) + "\n");
  else
    print("engine " + std::to_string(response.engine_pid()) + " replaced by " +
          std::to_string(info.engine_pid()) + ", version " + escaped_line(info.version()) + "\n");
  return exit_ok;
}

// The process that listens, by the kernel's word; 0 if it is not to be seen from here (another pid
// namespace).
pid_t listener_pid(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

// A handle on the supervisor, if its pid means the same here as there.
FileDescriptor open_supervisor(Context& context) {
  v1::GetInfoResponse info;
  context.call_quietly("poold.v1.Daemon/GetInfo", v1::GetInfoRequest(), info);
  if (listener_pid(context.connection().descriptor()) != info.pid()) return {};
  return FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, info.pid(), 0)));
}

int daemon_stop(Context& context, const StopOptions& options) {
  v1::StopRequest request;
  request.set_now(options.now);
  if (!options.timeout.empty()) to_proto(read_duration(options.timeout, "--timeout"), *request.mutable_timeout());
  const FileDescriptor supervisor = open_supervisor(context);
  v1::StopResponse response;
  context.call("poold.v1.Daemon/Stop", request, response);
  if (supervisor.valid())
    wait_for(supervisor.get(), POLLIN, {});
  else
    context.connection().wait_for_close();
  return 0;
}

}  // namespace

void add_daemon(CLI::App& app, Context& context) {
  CLI::App* noun =
      app.add_subcommand("daemon", "The daemon: info, reload, upgrade, stop")->group(group_administration);
  noun->require_subcommand(1);
  CLI::App* info = noun->add_subcommand("info", "Show version, processes and places")->group(group_verbs);
  info->callback([&context] { context.action = [&context] { return daemon_info(context); }; });
  CLI::App* reload =
      noun->add_subcommand("reload", "Read the configuration again; change nothing if it is broken")
          ->group(group_verbs);
  reload->callback([&context] { context.action = [&context] { return daemon_reload(context); }; });

  CLI::App* upgrade =
      noun->add_subcommand("upgrade", "Replace the engine by the one that is installed now; lose nothing")
          ->group(group_verbs);
  upgrade->callback([&context] { context.action = [&context] { return daemon_upgrade(context); }; });

  const auto options = std::make_shared<StopOptions>();
  CLI::App* stop =
      noun->add_subcommand("stop", "Stop the daemon; return when it has ended")->group(group_verbs);
  stop->add_flag("--now", options->now, "End running tasks instead of waiting for them");
  stop->add_option("--timeout", options->timeout, "Wait so long for running tasks (default: as configured)")
      ->type_name("DURATION");
  stop->callback([&context, options] {
    context.action = [&context, options] { return daemon_stop(context, *options); };
  });
}

}  // namespace poold::cli
