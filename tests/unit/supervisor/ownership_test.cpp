#include "daemon/supervisor/ownership.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <csignal>

#include "daemon/supervisor/claim.hpp"
#include "daemon/supervisor/control_socket.hpp"
#include "tests/unit/supervisor/temporary_directory.hpp"

namespace poold::supervisor {
namespace {

// Another process that holds a lock until it is told to go.
class LockHolder {
 public:
  explicit LockHolder(const std::string& path) {
    int ready[2];
    int leave[2];
    if (::pipe2(ready, O_CLOEXEC) < 0 || ::pipe2(leave, O_CLOEXEC) < 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      struct flock lock {};
      lock.l_type = F_WRLCK;
      if (::fcntl(file, F_SETLK, &lock) < 0) ::_exit(1);
      char byte = 0;
      if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
      ::close(leave[1]);
      const ssize_t ended = ::read(leave[0], &byte, 1);
      ::_exit(static_cast<int>(ended));
    }
    ::close(ready[1]);
    ::close(leave[0]);
    char byte;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
    leave_ = FileDescriptor(leave[1]);
  }
  ~LockHolder() {
    leave();
    ::waitpid(pid_, nullptr, 0);
  }
  void leave() { leave_.reset(); }
  std::string pid() const { return std::to_string(pid_); }

 private:
  pid_t pid_;
  FileDescriptor leave_;
};

template <typename Result>
std::string refusal_of(const Result& result) {
  const Refusal* refusal = std::get_if<Refusal>(&result);
  return refusal ? refusal->message : "";
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(FileLock, FreeFileIsTaken) {
  const TemporaryDirectory directory;
  EXPECT_EQ(refusal_of(FileLock::take(directory / "lock", "it")), "");
}

TEST(FileLock, HeldByAnotherProcessIsRefusedWithItsPid) {
  const TemporaryDirectory directory;
  const LockHolder holder(directory / "lock");
  EXPECT_EQ(refusal_of(FileLock::take(directory / "lock", "socket /x")),
            "socket /x belongs to another poold, process " + holder.pid());
}

TEST(FileLock, SymbolicLinkInItsPlaceIsRefused) {
  const TemporaryDirectory directory;
  const std::string target = directory.write("target", "");
  ASSERT_EQ(::symlink(target.c_str(), (directory / "lock").c_str()), 0);
  EXPECT_NE(refusal_of(FileLock::take(directory / "lock", "it")), "");
}

TEST(EngineLock, WithoutAFileNobodyHoldsIt) {
  const TemporaryDirectory directory;
  EXPECT_EQ(refusal_of(wait_for_engine_lock(directory / "engine.lock", std::chrono::seconds(0))), "");
}

TEST(EngineLock, HeldBeyondPatienceIsRefusedWithThePid) {
  const TemporaryDirectory directory;
  const LockHolder holder(directory / "engine.lock");
  EXPECT_NE(refusal_of(wait_for_engine_lock(directory / "engine.lock", std::chrono::milliseconds(20)))
                .find("process " + holder.pid()),
            std::string::npos);
}

TEST(EngineLock, EngineThatGoesIsWaitedFor) {
  const TemporaryDirectory directory;
  LockHolder holder(directory / "engine.lock");
  holder.leave();
  EXPECT_EQ(refusal_of(wait_for_engine_lock(directory / "engine.lock", std::chrono::seconds(10))), "");
}

TEST(MakeDirectory, MakesParentsAndLeavesWhatExists) {
  const TemporaryDirectory directory;
  EXPECT_EQ(refusal_of(make_directory(directory / "a/b/c", 0700, 0755)), "");
  struct stat status;
  ASSERT_EQ(::stat((directory / "a/b/c").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  EXPECT_EQ(refusal_of(make_directory(directory / "a/b", 0755, 0755)), "");
  directory.write("file", "");
  EXPECT_NE(refusal_of(make_directory(directory / "file", 0700, 0700)), "");
  EXPECT_NE(refusal_of(make_directory(directory / "file/below", 0700, 0700)), "");
}

int connect_to(const std::string& path) {
  FileDescriptor client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  return ::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

TEST(ControlSocket, StaleSocketIsReplaced) {
  const TemporaryDirectory directory;
  const std::string path = directory / "control.sock";
  { auto stale = ControlSocket::bind(path); }
  ASSERT_EQ(connect_to(path), ECONNREFUSED);
  auto fresh = ControlSocket::bind(path);
  EXPECT_EQ(refusal_of(fresh), "");
  EXPECT_EQ(connect_to(path), 0);
}

TEST(ControlSocket, HasItsModeFromTheStart) {
  const TemporaryDirectory directory;
  auto socket = ControlSocket::bind(directory / "control.sock");
  struct stat status;
  ASSERT_EQ(::stat((directory / "control.sock").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, ::geteuid() == 0 ? 0660U : 0600U);
}

TEST(ControlSocket, FileDirectoryOrLinkInItsPlaceIsLeftAlone) {
  const TemporaryDirectory directory;
  const std::string file = directory.write("file", "precious");
  EXPECT_NE(refusal_of(ControlSocket::bind(file)).find("a regular file"), std::string::npos);
  EXPECT_EQ(bytes_of(file), "precious");
  EXPECT_NE(refusal_of(ControlSocket::bind(directory.path())).find("a directory"), std::string::npos);
  const std::string link = directory / "link";
  { auto real = ControlSocket::bind(directory / "real"); }
  ASSERT_EQ(::symlink("real", link.c_str()), 0);
  EXPECT_NE(refusal_of(ControlSocket::bind(link)).find("a symbolic link"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_symlink(link));
}

TEST(ControlSocket, RemovesOnlyItsOwnFile) {
  const TemporaryDirectory directory;
  const std::string path = directory / "control.sock";
  auto first = ControlSocket::bind(path);
  auto second = ControlSocket::bind(path);
  std::get<ControlSocket>(first).remove();
  EXPECT_EQ(connect_to(path), 0);
  std::get<ControlSocket>(second).remove();
  EXPECT_EQ(connect_to(path), ENOENT);
}

TEST(ControlSocket, PathTooLongForTheKernelIsRefusedWithItsLength) {
  std::string path(108, 'x');
  path.replace(0, 5, "/tmp/");
  EXPECT_NE(refusal_of(prepare_socket_directory(path)).find("108 bytes long, and at most 107"),
            std::string::npos);
  EXPECT_EQ(refusal_of(prepare_socket_directory(path.substr(0, 107))), "");
}

TEST(Claim, StateDirectoryOfAnotherDaemonIsRefusedAndItsSocketFree) {
  const TemporaryDirectory directory;
  std::filesystem::create_directory(directory / "state");
  const LockHolder holder(directory / "state/supervisor.lock");
  EXPECT_EQ(
      refusal_of(Claim::take({directory / "run/control.sock", directory / "state"})),
      "state directory " + (directory / "state") + " belongs to another poold, process " + holder.pid());
  EXPECT_FALSE(std::filesystem::exists(directory / "run/control.sock"));
}

TEST(Claim, PathThatIsNoTextIsRefused) {
  EXPECT_NE(refusal_of(Claim::take({"/tmp/a\nb", "/tmp/c"})), "");
  EXPECT_NE(refusal_of(Claim::take({"/tmp/a\xff", "/tmp/c"})), "");
}

}  // namespace
}  // namespace poold::supervisor
