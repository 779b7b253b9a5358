#include "daemon/supervisor/spawn.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/process/v2/process.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "common/invariant.hpp"
#include "daemon/supervisor/pidfd.hpp"

namespace poold::supervisor {

namespace process_v2 = boost::process::v2;

namespace {

// What the child was at when it failed. It travels with the errno, as one int, through Boost.Process's error
// pipe.
enum class Step : int {
  preparing = 0,
  changing_directory = 1,
  executing = 2,
  setting_nice = 3,
  changing_account = 4,
  limiting = 5,  // and one more for each limit: the last, so that there is room
};
constexpr int step_shift = 16;

// The numbers that a child's descriptors will take must be nobody's in the supervisor: otherwise an early
// dup2 could overwrite a source of a later one, or Boost.Process's error pipe. False, with errno set, if the
// system has no descriptors left.
bool take_low_descriptors() {
  for (int number = 0; number < static_cast<int>(descriptors_max); ++number) {
    if (::fcntl(number, F_GETFD) >= 0) continue;
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) return false;
    invariant(null == number, "open() gives the lowest free number");
  }
  return true;
}

[[noreturn]] void give_up(const process_v2::posix::default_launcher& launcher, Step failed, int error) {
  const int report = static_cast<int>(failed) << step_shift | error;
  // The launcher adds the error pipe to its list last, just before it forks.
  [[maybe_unused]] const ssize_t written = ::write(launcher.fd_whitelist.back(), &report, sizeof report);
  ::_exit(127);
}

// The child's side between fork and exec: system calls only. It executes the program by itself, because the
// launcher would run the supervisor's exit handlers in the child if that failed.
struct ChildSetup {
  const ProcessPlan& plan;
  pid_t parent;

  process_v2::error_code on_exec_setup(process_v2::posix::default_launcher& launcher,
                                       const process_v2::filesystem::path& executable,
                                       const char* const*(&arguments)) {
    const Step failed = become(launcher.env, executable.c_str(), arguments);
    give_up(launcher, failed, errno);
  }

 private:
  // Returns only on failure, with errno set.
  Step become(const char* const* environment, const char* path, const char* const* arguments) {
    ::setsid();
    if (!arrange_descriptors()) return Step::preparing;
    if (plan.open_files && ::setrlimit(RLIMIT_NOFILE, &*plan.open_files) < 0) return Step::preparing;
    // While it may still do everything.
    if (const Step failed = set_limits(); failed != Step::preparing) return failed;
    if (plan.nice && ::setpriority(PRIO_PROCESS, 0, *plan.nice) < 0) return Step::setting_nice;
    if (plan.umask) ::umask(*plan.umask);
    if (plan.account && !become_account(*plan.account)) return Step::changing_account;
    // A change of user takes it back, so it comes after that.
    if (plan.dies_with_parent) {
      if (::prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return Step::preparing;
      if (::getppid() != parent) ::_exit(127);  // it went before the line above
    }
    if (!plan.cwd.empty() && ::chdir(plan.cwd.c_str()) < 0) return Step::changing_directory;
    reset_signals();
    ::execve(path, const_cast<char* const*>(arguments), const_cast<char* const*>(environment));
    return Step::executing;
  }

  // `preparing`: none has failed.
  Step set_limits() {
    int number = static_cast<int>(Step::limiting);
    for (const settings::ResourceLimit& limit : plan.limits) {
      const rlim_t value = limit.value == settings::resource_unlimited ? RLIM_INFINITY : limit.value;
      const rlimit both{value, value};
      if (::setrlimit(static_cast<__rlimit_resource_t>(limit.resource), &both) < 0) return Step{number};
      ++number;
    }
    return Step::preparing;
  }

  // Groups first: afterwards it may not any more.
  static bool become_account(const settings::Account& account) {
    return ::setgroups(account.groups.size(), account.groups.data()) == 0 &&
           ::setresgid(account.gid, account.gid, account.gid) == 0 &&
           ::setresuid(account.uid, account.uid, account.uid) == 0;
  }

  bool arrange_descriptors() {
    int next = 0;
    for (const int source : plan.descriptors) {
      if (source == no_descriptor) {
        ::close(next);
      } else if (source == next) {
        if (::fcntl(next, F_SETFD, 0) < 0) return false;
      } else if (::dup2(source, next) < 0) {
        return false;
      }
      ++next;
    }
    return ::close_range(static_cast<unsigned>(next), ~0U, CLOSE_RANGE_CLOEXEC) == 0;
  }

  static void reset_signals() {
    struct sigaction plain {};
    plain.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) ::sigaction(number, &plain, nullptr);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
  }
};

// No handler of the supervisor runs in the child between fork and exec.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

std::vector<const char*> pointers(const std::vector<std::string>& strings) {
  std::vector<const char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& string : strings) result.push_back(string.c_str());
  result.push_back(nullptr);
  return result;
}

StartError explain(const ProcessPlan& plan, int value) {
  const Step step{value >> step_shift};
  const int error = value & ((1 << step_shift) - 1);
  switch (step) {
    case Step::changing_directory:
      return {error, plan.cwd, std::string("working directory: ") + std::strerror(error)};
    case Step::executing: {
      const bool relative = !plan.path.starts_with('/') && !plan.cwd.empty();
      return {error, plan.path,
              describe_exec_error(error, relative ? plan.cwd + "/" + plan.path : plan.path)};
    }
    case Step::setting_nice:
      return {error, "nice", std::to_string(*plan.nice) + ": " + std::strerror(error)};
    case Step::changing_account:
      return {error, "user",
              plan.account->name + " (" + std::to_string(plan.account->uid) + ":" +
                  std::to_string(plan.account->gid) + "): " + std::strerror(error)};
    case Step::preparing:
    case Step::limiting:
      break;
  }
  if (const std::size_t index = static_cast<std::size_t>(step) - static_cast<std::size_t>(Step::limiting);
      step >= Step::limiting && index < plan.limits.size())
    return {error, "rlimits." + plan.limits[index].name,
            std::string(std::strerror(error)) +
                (error == EPERM ? ": it is above the daemon's own hard limit" : "")};
  return {error, plan.path, std::string("no process: ") + std::strerror(error)};
}

std::int64_t microseconds(const timeval& time) {
  return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_usec;
}

}  // namespace

std::variant<Process, StartError> spawn(const ProcessPlan& plan) {
  invariant(plan.descriptors.size() <= descriptors_max && !plan.argv.empty(), "a plan is whole");
  if (!take_low_descriptors()) return explain(plan, errno);
  std::vector<const char*> arguments = pointers(plan.argv);
  const std::vector<const char*> environment = pointers(plan.environment);
  process_v2::posix::default_launcher launcher;
  launcher.env = environment.data();
  const pid_t self = ::getpid();
  process_v2::error_code error;
  try {
    const SignalsBlocked blocked;
    // A loop for the launcher alone: what it tells the child to leave behind is then not the watch on every
    // other child.
    boost::asio::io_context loop(1);
    launcher(loop.get_executor(), error, plan.path, arguments.data(), ChildSetup{plan, self}).detach();
  } catch (const boost::system::system_error& thrown) {
    // No descriptors left, in the parent or in the child.
    if (::getpid() != self) give_up(launcher, Step::preparing, thrown.code().value());
    error = thrown.code();
  }
  if (!error) {
    FileDescriptor pidfd(::pidfd_open(launcher.pid, 0));
    if (pidfd.valid()) return Process(launcher.pid, std::move(pidfd));
    error.assign(errno, process_v2::system_category());
  }
  if (launcher.pid > 0) {
    // It could not exec, or cannot be watched.
    ::kill(launcher.pid, SIGKILL);
    while (::waitpid(launcher.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  return explain(plan, error.value());
}

Process::~Process() {
  if (!pidfd_.valid()) return;
  signal(SIGKILL);
  reap();
}

void Process::signal(int number) const { ::pidfd_send_signal(pidfd_.get(), number, nullptr, 0); }

std::optional<ExitReport> Process::peek() const {
  siginfo_t info{};
  rusage usage{};
  // The system call itself: glibc's waitid() has no room for the usage.
  const long result =
      ::syscall(SYS_waitid, P_PIDFD, pidfd_.get(), &info, WEXITED | WNOWAIT | WNOHANG, &usage);
  invariant(result == 0, "nobody else reaps it");
  if (info.si_pid == 0) return std::nullopt;
  ExitReport report;
  report.signaled = info.si_code != CLD_EXITED;
  report.core_dumped = info.si_code == CLD_DUMPED;
  report.code = info.si_status;
  report.user_us = microseconds(usage.ru_utime);
  report.system_us = microseconds(usage.ru_stime);
  report.max_rss_kib = static_cast<std::uint32_t>(usage.ru_maxrss);
  return report;
}

void Process::reap() {
  siginfo_t info{};
  int result;
  do result = ::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED);
  while (result < 0 && errno == EINTR);
  invariant(result == 0, "nobody else reaps it");
  pidfd_.reset();
}

std::string to_string(const ExitReport& report) {
  if (!report.signaled) return "exited with code " + std::to_string(report.code);
  return "was killed by signal " + std::to_string(report.code) + " (" + ::strsignal(report.code) + ")" +
         (report.core_dumped ? ", core dumped" : "");
}

}  // namespace poold::supervisor
