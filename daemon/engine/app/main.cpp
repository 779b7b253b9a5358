// poold-engine: started by poold with the channel on descriptor 3, and by nobody else.
#include <fcntl.h>
#include <google/protobuf/stubs/logging.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "daemon/engine/app/engine.hpp"
#include "daemon/engine/store/store_command.hpp"
#include "daemon/journal/journal.hpp"

namespace {

constexpr int channel = 3;

bool is_channel(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "store")
    return poold::engine::run_store_command({argv + 2, argv + argc});
  if (!is_channel(channel)) {
    std::fputs("poold-engine: this program is started by poold; run 'poold --help'\n", stderr);
    return 2;
  }
  // One that was started by a descriptor (after an upgrade that failed) would be called by its number.
  ::prctl(PR_SET_NAME, "poold-engine");
  // Peers that are gone are seen by write()'s errno.
  ::signal(SIGPIPE, SIG_IGN);
  ::fcntl(channel, F_SETFD, FD_CLOEXEC);
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("engine", poold::make_log_sink("poold-engine")));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z poold-engine[%P] %l: %v");
  // It would write a line for every string of a peer's that is not UTF-8.
  google::protobuf::SetLogHandler(nullptr);
  return poold::engine::Engine(channel).run();
}
