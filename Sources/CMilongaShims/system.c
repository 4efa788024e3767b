// System interfaces that Swift cannot call.
#ifdef __linux__ // Lua states are also used on other systems, but without what is here.
#define _GNU_SOURCE
#include "CMilongaShims.h"

#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

int milonga_accept(int fd) { return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

int milonga_pipe(int ends[2]) { return pipe2(ends, O_NONBLOCK | O_CLOEXEC); }

int milonga_socketpair(int ends[2]) {
  return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends);
}

int milonga_duplicate_descriptor(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }

int milonga_replace_descriptor(int fd, int with) { return dup3(with, fd, O_CLOEXEC); }

int milonga_is_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags < 0 ? -1 : (flags & O_NONBLOCK) != 0;
}

int milonga_set_nonblocking(int fd, int on) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return -1;
  int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  return wanted == flags ? 0 : fcntl(fd, F_SETFL, wanted);
}

int milonga_set_cloexec(int fd) { return fcntl(fd, F_SETFD, FD_CLOEXEC); }

void milonga_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

#endif
