#include "tests/unit/worker/worker_process.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "client/cpp/src/value_proto.hpp"
#include "common/frame_message.hpp"

namespace poold::test {
namespace {

constexpr int patience_ms = 20'000;

struct Ends {
  FileDescriptor read, write;
};

Ends make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) < 0) std::abort();
  return {FileDescriptor(fds[0]), FileDescriptor(fds[1])};
}

FileDescriptor open_process(pid_t pid) {
  return FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

// The dead that wait to be reaped are not alive.
bool alive(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t end_of_name = text.rfind(") ");
  return end_of_name != std::string::npos && text[end_of_name + 2] != 'Z';
}

[[noreturn]] void become(const std::vector<std::string>& arguments, const char* program, int tasks,
                         int results, int lifeline, int errors) {
  ::setsid();
  const int null = ::open("/dev/null", O_RDWR);
  // First out of each other's way, then to where they belong.
  int fds[] = {null, null, errors, tasks, results, lifeline};
  for (int& fd : fds) fd = ::fcntl(fd, F_DUPFD, 100);
  for (int i = 0; i < 6; ++i) ::dup2(fds[i], i);
  ::syscall(SYS_close_range, 6, ~0U, 0);
  ::setenv("POOLD_WORKER", "p/1/3", 1);
  std::vector<char*> argv{const_cast<char*>(program)};
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execv(program, argv.data());
  ::_exit(99);
}

}  // namespace

WorkerProcess::WorkerProcess(const std::vector<std::string>& arguments, const char* program) {
  Ends tasks = make_pipe(), results = make_pipe(), errors = make_pipe();
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) std::abort();
  lifeline_ = FileDescriptor(pair[0]);
  const FileDescriptor other_end(pair[1]);
  std::signal(SIGPIPE, SIG_IGN);
  pid_ = ::fork();
  if (pid_ < 0) std::abort();
  if (pid_ == 0)
    become(arguments, program, tasks.read.get(), results.write.get(), other_end.get(), errors.write.get());
  tasks_ = std::move(tasks.write);
  results_ = std::move(results.read);
  errors_ = std::move(errors.read);
}

WorkerProcess::~WorkerProcess() {
  for (const pid_t pid : session()) ::kill(pid, SIGKILL);
  if (!reaped_) ::waitpid(pid_, nullptr, 0);
}

std::string WorkerProcess::framed(const v1::ToWorker& message) {
  std::string bytes;
  EXPECT_TRUE(append_message(bytes, message));
  return bytes;
}

void WorkerProcess::send_bytes(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(tasks_.get(), bytes.data(), bytes.size());
    if (n < 0) return;  // the worker is gone; the test will see
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

bool WorkerProcess::fill() {
  pollfd poll{results_.get(), POLLIN, 0};
  if (::poll(&poll, 1, patience_ms) <= 0) {
    ADD_FAILURE() << "the worker said nothing for 20 s";
    return false;
  }
  const auto space = reader_.prepare();
  const ssize_t n = ::read(results_.get(), space.data(), space.size());
  if (n <= 0) return false;
  reader_.commit(static_cast<std::size_t>(n));
  return true;
}

v1::FromWorker WorkerProcess::receive() {
  for (;;) {
    const FrameResult result = reader_.next();
    if (const auto* frame = std::get_if<Frame>(&result)) {
      v1::FromWorker message;
      EXPECT_TRUE(parse_message(message, frame->payload));
      return message;
    }
    if (!std::holds_alternative<FrameIncomplete>(result) || !fill()) {
      ADD_FAILURE() << "no further message; stderr: " << errors();
      return {};
    }
  }
}

v1::WorkerResult WorkerProcess::receive_result() {
  const v1::FromWorker message = receive();
  EXPECT_TRUE(message.has_result()) << message.ShortDebugString();
  return message.result();
}

std::vector<v1::FromWorker> WorkerProcess::receive_all() {
  std::vector<v1::FromWorker> messages;
  for (;;) {
    const FrameResult result = reader_.next();
    if (const auto* frame = std::get_if<Frame>(&result)) {
      EXPECT_TRUE(parse_message(messages.emplace_back(), frame->payload));
    } else if (!fill()) {
      return messages;
    }
  }
}

int WorkerProcess::wait() {
  const FileDescriptor process = open_process(pid_);
  pollfd poll{process.get(), POLLIN, 0};
  if (::poll(&poll, 1, patience_ms) <= 0) return -1;
  int status = -1;
  ::waitpid(pid_, &status, 0);
  reaped_ = true;
  return status;
}

std::string WorkerProcess::errors() {
  std::string text;
  char part[4096];
  pollfd poll{errors_.get(), POLLIN, 0};
  while (::poll(&poll, 1, 0) > 0) {
    const ssize_t n = ::read(errors_.get(), part, sizeof part);
    if (n <= 0) break;
    text.append(part, static_cast<std::size_t>(n));
  }
  return text;
}

std::vector<pid_t> WorkerProcess::session() const {
  std::vector<pid_t> members;
  DIR* directory = ::opendir("/proc");
  while (const dirent* entry = ::readdir(directory)) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid > 0 && ::getsid(pid) == pid_ && alive(pid)) members.push_back(pid);
  }
  ::closedir(directory);
  return members;
}

bool WorkerProcess::session_ends_within_a_second() const {
  using std::chrono::steady_clock;
  const auto until = steady_clock::now() + std::chrono::seconds(1);
  for (auto members = session(); !members.empty(); members = session()) {
    const FileDescriptor process = open_process(members[0]);
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - steady_clock::now()).count();
    pollfd poll{process.get(), POLLIN, 0};
    if (left <= 0 || (process.valid() && ::poll(&poll, 1, static_cast<int>(left)) <= 0)) return false;
  }
  return true;
}

v1::ToWorker welcome(const std::string& log_directory, std::uint64_t log_size, int grace_ms) {
  v1::ToWorker message;
  auto& welcome = *message.mutable_welcome();
  welcome.add_versions(1);
  welcome.set_pool("p");
  welcome.set_slot(1);
  welcome.set_generation(3);
  welcome.set_log_directory(log_directory);
  welcome.set_log_size(log_size);
  welcome.mutable_grace()->set_seconds(grace_ms / 1000);
  welcome.mutable_grace()->set_nanos(grace_ms % 1000 * 1'000'000);
  return message;
}

v1::ToWorker command(std::uint64_t task, const std::vector<std::string>& argv) {
  v1::ToWorker message;
  message.mutable_task()->set_task(task);
  message.mutable_task()->set_attempt(1);
  message.mutable_task()->set_id("id" + std::to_string(task));
  for (const auto& argument : argv)
    message.mutable_task()->mutable_spec()->mutable_command()->add_argv(argument);
  return message;
}

v1::ToWorker function(std::uint64_t task, const std::string& name, const std::string& json_arguments,
                      const std::string& json_keywords) {
  v1::ToWorker message;
  message.mutable_task()->set_task(task);
  message.mutable_task()->set_attempt(1);
  auto& function = *message.mutable_task()->mutable_spec()->mutable_function();
  function.set_name(name);
  for (const Value& value : Value::from_json(json_arguments).as_list()) to_proto(value, *function.add_args());
  for (const auto& [key, value] : Value::from_json(json_keywords).as_map())
    to_proto(value, (*function.mutable_kwargs())[key]);
  return message;
}

v1::ToWorker cancel(std::uint64_t task) {
  v1::ToWorker message;
  message.mutable_cancel()->set_task(task);
  message.mutable_cancel()->set_attempt(1);
  return message;
}

v1::ToWorker send_signal(std::uint64_t task, int signal) {
  v1::ToWorker message;
  message.mutable_signal()->set_task(task);
  message.mutable_signal()->set_attempt(1);
  message.mutable_signal()->set_signal(static_cast<std::uint32_t>(signal));
  return message;
}

v1::ToWorker give_back(const std::vector<std::uint64_t>& tasks) {
  v1::ToWorker message;
  for (const auto task : tasks) message.mutable_return_()->add_tasks(task);
  return message;
}

v1::ToWorker stop() {
  v1::ToWorker message;
  message.mutable_stop();
  return message;
}

}  // namespace poold::test
