// What the kernel itself allows on this machine, without any product of ours: the lower bound that poold is
// compared with.
//
//   limits_bench hops WINDOW COUNT    client -> daemon -> worker -> daemon -> client: two workers, frames of
//   64 bytes that nobody looks into, a
//                                     socket between client and daemon, pipes between daemon and workers
//   limits_bench spawn WIDTH COUNT    a bare posix_spawn loop of /bin/true, WIDTH at a time
//   limits_bench fsync SIZE COUNT     appends of SIZE bytes to a file without a name in the working
//   directory, each
//                                     followed by fsync
//
// Prints lines of a name and a number. The programs fork; the first that fails ends with a message, and the
// rest follow by end of file.
#include <fcntl.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t frame_size = 64;
constexpr std::size_t worker_count = 2;
constexpr std::size_t read_size = 64 * 1024;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::_Exit(1);
}

void write_all(int fd, std::span<const char> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count <= 0) std::_Exit(0);  // the peer has gone: the measurement is over
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

// Collects bytes until there are whole frames.
class Inbox {
 public:
  // Reads once; the whole frames there are now. Valid until the next call.
  std::span<const char> read(int fd) {
    std::memmove(buffer_.data(), buffer_.data() + taken_, filled_ - taken_);
    filled_ -= taken_;
    const ssize_t count = ::read(fd, buffer_.data() + filled_, buffer_.size() - filled_);
    if (count <= 0) std::_Exit(0);
    filled_ += static_cast<std::size_t>(count);
    taken_ = filled_ / frame_size * frame_size;
    return {buffer_.data(), taken_};
  }

 private:
  std::vector<char> buffer_ = std::vector<char>(read_size);
  std::size_t filled_ = 0;
  std::size_t taken_ = 0;
};

struct WorkerPipes {
  int to = -1;
  int from = -1;
  pid_t pid = -1;
};

pid_t fork_child() {
  const pid_t pid = ::fork();
  if (pid < 0) fail("fork");
  if (pid == 0) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  return pid;
}

WorkerPipes start_worker() {
  int tasks[2], results[2];
  if (::pipe(tasks) < 0 || ::pipe(results) < 0) fail("pipe");
  const pid_t pid = fork_child();
  if (pid == 0) {
    ::close(tasks[1]);
    ::close(results[0]);
    for (Inbox inbox;;) write_all(results[1], inbox.read(tasks[0]));
  }
  ::close(tasks[0]);
  ::close(results[1]);
  return {tasks[1], results[0], pid};
}

// Deals a batch out to the workers in equal parts.
void deal(std::span<const char> frames, std::span<const WorkerPipes> workers, std::size_t& turn) {
  const std::size_t count = frames.size() / frame_size;
  const std::size_t part =
      std::max<std::size_t>(1, (count + workers.size() - 1) / workers.size()) * frame_size;
  while (!frames.empty()) {
    const std::size_t size = std::min(part, frames.size());
    write_all(workers[turn++ % workers.size()].to, frames.first(size));
    frames = frames.subspan(size);
  }
}

[[noreturn]] void forward(int client, std::span<const WorkerPipes> workers) {
  const int poll = ::epoll_create1(0);
  const auto watch = [&](int fd, std::uint32_t index) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = index;
    if (::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
  };
  for (std::uint32_t i = 0; i < workers.size(); ++i) watch(workers[i].from, i);
  watch(client, static_cast<std::uint32_t>(workers.size()));

  Inbox requests;
  std::vector<Inbox> results(workers.size());
  std::size_t turn = 0;
  for (;;) {
    std::array<epoll_event, 16> events;
    const int count = ::epoll_wait(poll, events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      const std::uint32_t index = events[static_cast<std::size_t>(i)].data.u32;
      if (index == workers.size())
        deal(requests.read(client), workers, turn);
      else
        write_all(client, results[index].read(workers[index].from));
    }
  }
}

void print_latencies(std::vector<double>& times) {
  std::sort(times.begin(), times.end());
  std::printf("p50_us %.2f\np99_us %.2f\n", times[times.size() / 2] * 1e6,
              times[times.size() * 99 / 100] * 1e6);
}

void measure_hops(std::size_t window, std::size_t count) {
  int sockets[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) < 0) fail("socketpair");
  std::array<WorkerPipes, worker_count> workers;
  for (WorkerPipes& worker : workers) worker = start_worker();
  const pid_t daemon = fork_child();
  if (daemon == 0) {
    ::close(sockets[0]);
    forward(sockets[1], workers);
  }
  ::close(sockets[1]);
  for (const WorkerPipes& worker : workers) {
    ::close(worker.to);
    ::close(worker.from);
  }

  const std::vector<char> requests(window * frame_size);
  Inbox inbox;
  std::vector<double> times;
  std::size_t sent = 0, received = 0;
  const auto begin = Clock::now();
  auto sent_at = begin;
  while (received < count) {
    if (sent - received <= window / 2) {
      const std::size_t more = std::min(window - (sent - received), count - sent);
      sent_at = Clock::now();
      write_all(sockets[0], std::span(requests).first(more * frame_size));
      sent += more;
    }
    received += inbox.read(sockets[0]).size() / frame_size;
    if (window == 1) times.push_back(seconds_since(sent_at));
  }
  std::printf("tasks_per_s %.0f\n", static_cast<double>(count) / seconds_since(begin));
  if (window == 1) print_latencies(times);

  ::close(sockets[0]);
  ::kill(daemon, SIGKILL);
  for (const WorkerPipes& worker : workers) ::kill(worker.pid, SIGKILL);
  while (::wait(nullptr) > 0) {
  }
}

void measure_spawn(std::size_t width, std::size_t count) {
  std::string program = "/bin/true";
  char* const arguments[] = {program.data(), nullptr};
  std::size_t started = 0, ended = 0;
  const auto begin = Clock::now();
  while (ended < count) {
    for (; started < count && started - ended < width; ++started) {
      pid_t pid;
      if (::posix_spawn(&pid, program.c_str(), nullptr, nullptr, arguments, environ) != 0)
        fail("posix_spawn");
    }
    int status = 0;
    if (::wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) fail("/bin/true");
    ++ended;
  }
  std::printf("tasks_per_s %.0f\n", static_cast<double>(count) / seconds_since(begin));
}

void measure_fsync(std::size_t size, std::size_t count) {
  const int file = ::open(".", O_TMPFILE | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) fail("open a file without a name in the working directory");
  const std::vector<char> bytes(size, 'x');
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < count; ++i)
    if (::write(file, bytes.data(), size) != static_cast<ssize_t>(size) || ::fsync(file) < 0) fail("fsync");
  std::printf("appends_per_s %.0f\n", static_cast<double>(count) / seconds_since(begin));
  ::close(file);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const std::string what = argc == 4 ? argv[1] : "";
  const std::size_t width = argc == 4 ? std::strtoul(argv[2], nullptr, 10) : 0;
  const std::size_t count = argc == 4 ? std::strtoul(argv[3], nullptr, 10) : 0;
  if (width == 0 || count == 0 || (what != "hops" && what != "spawn" && what != "fsync")) {
    std::fprintf(stderr, "usage: limits_bench hops WINDOW COUNT | spawn WIDTH COUNT | fsync SIZE COUNT\n");
    return 2;
  }
  if (what == "hops")
    measure_hops(width, count);
  else if (what == "spawn")
    measure_spawn(width, count);
  else
    measure_fsync(width, count);
  return 0;
}
