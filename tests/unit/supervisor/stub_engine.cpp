// Stands in for poold-engine in the supervisor's tests: does nothing by itself, says everything it is told.
//
// Speaks the channel on fd 3 and text lines on the control socket. To whoever is connected it writes one line
// for each message of the supervisor's; what came while nobody was connected is kept. A line from a client is
// an order:
//   start POOL SLOT | signal POOL SLOT GENERATION NUMBER | stop NOW TIMEOUT_MS | reload NUMBER | stopped
//   ready | garbage | unknown | crash | exit CODE
//   unready (the next engine does not say ready; kept in the state directory)
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>

#include "common/seqpacket.hpp"
#include "poold/internal/channel.pb.h"

namespace {

using namespace poold;
using namespace poold::internal;

constexpr int channel = 3;

struct Pipes {
  FileDescriptor tasks;
  FileDescriptor results;
};

struct Engine {
  FileDescriptor listener;
  FileDescriptor client;
  std::string state_directory;
  std::string unsent;
  std::string input;
  std::map<std::string, Pipes> workers;

  void say(const std::string& line) {
    unsent += line + "\n";
    flush();
  }

  void flush() {
    while (client.valid() && !unsent.empty()) {
      const ssize_t sent = ::send(client.get(), unsent.data(), unsent.size(), MSG_NOSIGNAL);
      if (sent < 0) return client.reset();
      unsent.erase(0, static_cast<std::size_t>(sent));
    }
  }

  void tell(const ToSupervisor& message) {
    const std::string bytes = message.SerializeAsString();
    while (send_datagram(channel, bytes, {}) == Transfer::would_block) {
      pollfd room{channel, POLLOUT, 0};
      ::poll(&room, 1, -1);
    }
  }

  void ready() {
    ToSupervisor message;
    message.mutable_ready()->set_version(1);
    tell(message);
  }

  std::string unready_mark() const { return state_directory + "/unready"; }

  void on_welcome(const Welcome& welcome, Datagram& datagram) {
    state_directory = welcome.state_directory();
    const std::string text = read_all(datagram.descriptors.at(0).get(), 1 << 20).value_or("UNREADABLE");
    const int seals = ::fcntl(datagram.descriptors.at(0).get(), F_GET_SEALS);
    listener = std::move(datagram.descriptors.at(1));
    std::ostringstream line;
    line << "welcome version=" << welcome.version() << " restarts=" << welcome.engine_restarts()
         << " pid=" << ::getpid() << " text=" << text.size() << " seals=" << seals
         << " libraries=" << welcome.library_directory();
    say(line.str());
    if (::access(unready_mark().c_str(), F_OK) != 0) ready();
  }

  void on_started(const WorkerStarted& started, Datagram& datagram) {
    const std::string name = started.pool() + "/" + std::to_string(started.slot());
    const bool apart = (::fcntl(datagram.descriptors.at(0).get(), F_GETFL) & (O_ACCMODE | O_NONBLOCK)) ==
                           (O_WRONLY | O_NONBLOCK) &&
                       (::fcntl(datagram.descriptors.at(1).get(), F_GETFL) & (O_ACCMODE | O_NONBLOCK)) ==
                           (O_RDONLY | O_NONBLOCK);
    workers[name] = {std::move(datagram.descriptors.at(0)), std::move(datagram.descriptors.at(1))};
    std::ostringstream line;
    line << "started " << name << "/" << started.generation() << " pid=" << started.pid()
         << " pipes=" << apart << " count=" << datagram.descriptors.size();
    say(line.str());
  }

  void on_exited(const WorkerExited& exited) {
    std::ostringstream line;
    line << "exited " << exited.pool() << "/" << exited.slot() << "/" << exited.generation()
         << (exited.signaled() ? " signal=" : " code=") << exited.code()
         << " rss=" << (exited.max_rss_kib() > 0);
    workers.erase(exited.pool() + "/" + std::to_string(exited.slot()));
    say(line.str());
  }

  void on_reloaded(const ReloadResult& result, Datagram& datagram) {
    std::ostringstream line;
    line << "reloaded request=" << result.request() << " ok=" << result.ok();
    if (result.ok())
      line << " text=" << read_all(datagram.descriptors.at(0).get(), 1 << 20).value_or("UNREADABLE").size();
    for (const std::string& error : result.errors()) line << " | " << error;
    say(line.str());
  }

  void on_ping(const Ping& ping) {
    ToSupervisor message;
    message.mutable_pong()->set_number(ping.number());
    tell(message);
  }

  void on_datagram(Datagram& datagram) {
    ToEngine message;
    if (!message.ParseFromString(datagram.bytes)) std::abort();
    switch (message.message_case()) {
      case ToEngine::kWelcome:
        return on_welcome(message.welcome(), datagram);
      case ToEngine::kStarted:
        return on_started(message.started(), datagram);
      case ToEngine::kStartFailed: {
        const WorkerStartFailed& failed = message.start_failed();
        return say("failed " + failed.pool() + "/" + std::to_string(failed.slot()) + " errno=" +
                   std::to_string(failed.errno_value()) + " path=" + failed.path() + " " + failed.message());
      }
      case ToEngine::kExited:
        return on_exited(message.exited());
      case ToEngine::kReloaded:
        return on_reloaded(message.reloaded(), datagram);
      case ToEngine::kStop:
        return say("stop now=" + std::to_string(message.stop().now()) +
                   " timeout=" + std::to_string(message.stop().timeout_ms()));
      case ToEngine::kPing:
        return on_ping(message.ping());
      case ToEngine::kHandOver:
      case ToEngine::kHanded:
      case ToEngine::kUpgradeRefused:
      case ToEngine::MESSAGE_NOT_SET:
        std::abort();
    }
  }

  void on_order(const std::string& line) {
    std::istringstream words(line);
    std::string verb, pool;
    words >> verb;
    ToSupervisor message;
    if (verb == "start") {
      unsigned slot;
      words >> pool >> slot;
      message.mutable_start()->set_pool(pool);
      message.mutable_start()->set_slot(slot);
      tell(message);
    } else if (verb == "signal") {
      unsigned slot, generation;
      int number;
      words >> pool >> slot >> generation >> number;
      SignalWorker& signal = *message.mutable_signal();
      signal.set_pool(pool);
      signal.set_slot(slot);
      signal.set_generation(generation);
      signal.set_signal(number);
      tell(message);
    } else if (verb == "stop") {
      bool now;
      long timeout;
      words >> now >> timeout;
      message.mutable_stop()->set_now(now);
      message.mutable_stop()->set_timeout_ms(timeout);
      tell(message);
    } else if (verb == "reload") {
      unsigned request;
      words >> request;
      message.mutable_reload()->set_request(request);
      tell(message);
    } else if (verb == "stopped") {
      message.mutable_stopped();
      tell(message);
    } else if (verb == "ready") {
      ready();
    } else if (verb == "unready") {
      FileDescriptor(::open(unready_mark().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
      say("noted");
    } else if (verb == "garbage") {
      send_datagram(channel, "\xff\xff\xff", {});
    } else if (verb == "unknown") {
      send_datagram(channel, std::string("\xfa\x07\x00", 3), {});  // field 127, empty
      say("noted");
    } else if (verb == "crash") {
      ::raise(SIGKILL);
    } else if (verb == "exit") {
      int code;
      words >> code;
      ::_exit(code);
    }
  }

  void on_client() {
    char part[4096];
    const ssize_t got = ::recv(client.get(), part, sizeof part, 0);
    if (got <= 0) return client.reset();
    input.append(part, static_cast<std::size_t>(got));
    for (std::size_t end; (end = input.find('\n')) != std::string::npos;) {
      const std::string line = input.substr(0, end);
      input.erase(0, end + 1);
      on_order(line);
    }
  }

  int run() {
    for (;;) {
      pollfd polls[3] = {{channel, POLLIN, 0}, {listener.get(), POLLIN, 0}, {client.get(), POLLIN, 0}};
      if (client.valid()) polls[1].fd = -1;  // one client at a time
      if (::poll(polls, 3, -1) < 0) continue;
      if (polls[0].revents) {
        Datagram datagram;
        const Transfer got = receive_datagram(channel, datagram);
        if (got == Transfer::closed || got == Transfer::failed) return 0;
        if (got == Transfer::done) on_datagram(datagram);
      }
      if (polls[1].revents) {
        client = FileDescriptor(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        flush();
      }
      if (polls[2].revents) on_client();
    }
  }
};

}  // namespace

int main() { return Engine().run(); }
