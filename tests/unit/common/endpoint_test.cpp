// The order of places, with an environment of the tests' own.
#include "common/endpoint.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace poold {
namespace {

class Endpoint : public testing::Test {
 protected:
  Endpoint() {
    for (const char* name : {"POOLD_SOCKET", "XDG_RUNTIME_DIR", "STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"})
      ::unsetenv(name);
    std::string name = testing::TempDir() + "poold-endpoint-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~Endpoint() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path directory_;
};

TEST_F(Endpoint, DaemonTakesTheFirstThatIsSet) {
  EXPECT_EQ(daemon_socket_path(""), system_socket_path);
  ::setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
  EXPECT_EQ(daemon_socket_path(""), "/run/user/7/poold/control.sock");
  ::setenv("POOLD_SOCKET", "/tmp/p.sock", 1);
  EXPECT_EQ(daemon_socket_path(""), "/tmp/p.sock");
  EXPECT_EQ(daemon_socket_path("/tmp/option.sock"), "/tmp/option.sock");
}

TEST_F(Endpoint, EmptyVariablesCountAsUnset) {
  ::setenv("XDG_RUNTIME_DIR", "", 1);
  ::setenv("POOLD_SOCKET", "", 1);
  EXPECT_EQ(daemon_socket_path(""), system_socket_path);
  EXPECT_EQ(client_socket_path(""), system_socket_path);
}

TEST_F(Endpoint, ClientTakesWhatItWasToldEvenIfItIsMissing) {
  ::setenv("POOLD_SOCKET", "/missing.sock", 1);
  EXPECT_EQ(client_socket_path(""), "/missing.sock");
  EXPECT_EQ(client_socket_path("/other.sock"), "/other.sock");
}

TEST_F(Endpoint, ClientTakesTheUsersSocketOnlyIfItExists) {
  ::setenv("XDG_RUNTIME_DIR", directory_.c_str(), 1);
  EXPECT_EQ(client_socket_path(""), system_socket_path);
  std::filesystem::create_directory(directory_ / "poold");
  std::ofstream(directory_ / "poold/control.sock") << "";
  EXPECT_EQ(client_socket_path(""), directory_ / "poold/control.sock");
}

TEST_F(Endpoint, StateDirectoryTakesTheFirstThatIsSet) {
  EXPECT_EQ(daemon_state_directory(""), "/var/lib/poold");
  ::setenv("HOME", "/home/u", 1);
  EXPECT_EQ(daemon_state_directory(""), ::geteuid() == 0 ? "/var/lib/poold" : "/home/u/.local/state/poold");
  ::setenv("XDG_STATE_HOME", "/home/u/state", 1);
  EXPECT_EQ(daemon_state_directory(""), "/home/u/state/poold");
  ::setenv("STATE_DIRECTORY", "/var/lib/a:/var/lib/b", 1);
  EXPECT_EQ(daemon_state_directory(""), "/var/lib/a") << "systemd lists several with colons";
  EXPECT_EQ(daemon_state_directory("/srv/state"), "/srv/state");
}

}  // namespace
}  // namespace poold
