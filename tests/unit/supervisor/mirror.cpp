// Run by spawn_test: writes what it finds about itself to its stdout, one line a fact.
#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <set>

int main(int argc, char** argv) {
  std::set<int> descriptors;
  DIR* directory = ::opendir("/proc/self/fd");
  while (const dirent* entry = ::readdir(directory))
    if (entry->d_name[0] != '.') descriptors.insert(std::atoi(entry->d_name));
  descriptors.erase(::dirfd(directory));
  ::closedir(directory);
  std::printf("descriptors");
  for (const int number : descriptors) std::printf(" %d", number);
  std::printf("\n");

  std::printf("arguments");
  for (int i = 0; i < argc; ++i) std::printf(" [%s]", argv[i]);
  std::printf("\n");

  std::printf("session %s\n", ::getsid(0) == ::getpid() ? "own" : "inherited");

  sigset_t mask;
  ::sigprocmask(SIG_BLOCK, nullptr, &mask);
  int blocked = 0;
  int handled = 0;
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action {};
    blocked += sigismember(&mask, number) == 1;
    handled += ::sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_DFL;
  }
  std::printf("signals %d blocked %d not default\n", blocked, handled);

  int death_signal = 0;
  ::prctl(PR_GET_PDEATHSIG, &death_signal);
  std::printf("death signal %d\n", death_signal);

  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  std::printf("open files %lu\n", static_cast<unsigned long>(files.rlim_cur));

  char cwd[4096];
  std::printf("cwd %s\n", ::getcwd(cwd, sizeof cwd));
  for (char** variable = environ; *variable; ++variable) std::printf("env %s\n", *variable);
  return 0;
}
