#include "tests/unit/supervisor/daemon_fixture.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "daemon/supervisor/pidfd.hpp"

namespace poold::supervisor {

std::string LineReader::next(int wait_ms) {
  for (;;) {
    if (const std::size_t end = buffer_.find('\n'); end != std::string::npos) {
      const std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    if (!descriptor_.valid()) return "<end>";
    pollfd poll{descriptor_.get(), POLLIN, 0};
    if (::poll(&poll, 1, wait_ms) <= 0) return "<nothing>";
    char part[4096];
    const ssize_t got = ::read(descriptor_.get(), part, sizeof part);
    if (got <= 0) return "<end>";
    buffer_.append(part, static_cast<std::size_t>(got));
  }
}

std::string LineReader::find(const std::string& text) {
  std::string passed;
  for (;;) {
    const std::string line = next();
    passed += line + "\n";
    if (line.find(text) != std::string::npos) return line;
    if (line == "<end>" || line == "<nothing>") {
      ADD_FAILURE() << "no line with: " << text << "\nbut\n" << passed;
      return line;
    }
  }
}

int number_in(const std::string& line, const std::string& name) {
  const std::size_t at = line.find(" " + name + "=");
  // Not a number that a test might hand to kill(): -1 there means every process of the machine.
  if (at == std::string::npos) throw std::runtime_error("no " + name + " in '" + line + "'");
  return std::stoi(line.substr(at + name.size() + 2));
}

bool ends(pid_t pid, int wait_ms) {
  const FileDescriptor pidfd(::pidfd_open(pid, 0));
  if (!pidfd.valid()) return errno == ESRCH;
  pollfd poll{pidfd.get(), POLLIN, 0};
  return ::poll(&poll, 1, wait_ms) == 1;
}

namespace {

FileDescriptor start_program(const std::vector<std::string>& argv, pid_t& pid) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) < 0) std::abort();
  std::vector<char*> pointers;
  for (const std::string& word : argv) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  pid = ::fork();
  if (pid == 0) {
    ::dup2(pipe[1], STDERR_FILENO);
    ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }
  ::close(pipe[1]);
  return FileDescriptor(pipe[0]);
}

}  // namespace

Daemon::Daemon(const TemporaryDirectory& directory, std::vector<std::string> options)
    : log(FileDescriptor()) {
  options.insert(options.begin(), directory / "bin/poold");
  log = LineReader(start_program(options, pid_));
}

Daemon::~Daemon() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Daemon::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

int Daemon::wait() {
  if (!ends(pid_)) return -1000;
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

DaemonTest::DaemonTest() : engine(std::make_unique<LineReader>(FileDescriptor())) {
  // What a killed supervisor leaves behind comes here and can be counted.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  std::filesystem::create_directory(directory / "bin");
  std::filesystem::copy_file(POOLD_PROGRAM, directory / "bin/poold");
  std::filesystem::copy_file(STUB_ENGINE_PROGRAM, directory / "bin/poold-engine");
  // Lives until its task pipe ends.
  directory.write("bin/poold-worker", "#!/bin/sh\nexec cat <&3 >/dev/null\n", 0755);
  configuration = "stop_timeout: 7s\npools:\n  default: {kind: command, workers: 2}\n";
}

void DaemonTest::TearDown() {
  if (HasFailure() && daemon) {
    daemon->signal(SIGKILL);
    for (std::string line; (line = daemon->log.next(2'000)) != "<end>" && line != "<nothing>";)
      std::fprintf(stderr, "log: %s\n", line.c_str());
  }
  daemon.reset();
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  EXPECT_EQ(errno, ECHILD) << "a process was left";
}

std::unique_ptr<Daemon> DaemonTest::start_another(const std::vector<std::string>& options) const {
  return std::make_unique<Daemon>(directory, options);
}

void DaemonTest::start() {
  const std::string file = directory.write("poold.yaml", configuration);
  daemon = start_another({"--config", file, "--socket", socket_path(), "--state-dir", state_directory(),
                          "--log-level", "debug"});
}

void DaemonTest::start_and_connect() {
  start();
  daemon->log.find("ready: socket " + socket_path());
  connect();
  expect("welcome version=1 restarts=0");
}

void DaemonTest::connect() {
  FileDescriptor client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = socket_path();
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  engine = std::make_unique<LineReader>(std::move(client));
}

void DaemonTest::order(const std::string& line) {
  const std::string text = line + "\n";
  ASSERT_EQ(::send(engine->descriptor(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}

std::string DaemonTest::expect(const std::string& beginning) {
  const std::string line = engine->next();
  EXPECT_EQ(line.substr(0, beginning.size()), beginning) << line;
  return line;
}

void DaemonTest::expect_nothing_else() {
  order("start nobody 0");
  order("reload 4711");
  expect("reloaded request=4711");
}

void DaemonTest::stop_cleanly() {
  daemon->signal(SIGTERM);
  expect("stop now=0");
  order("stopped");
  order("exit 0");
  EXPECT_EQ(daemon->wait(), 0);
  EXPECT_FALSE(std::filesystem::exists(socket_path()));
}

}  // namespace poold::supervisor
