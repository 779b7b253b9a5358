// pidfd_open and pidfd_send_signal: the header of glibc 2.36 lacks the linkage that C++ needs.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/types.h>

extern "C" {
#include <sys/pidfd.h>
}
