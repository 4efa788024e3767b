// System interfaces that Swift cannot call.
#define _GNU_SOURCE
#include "CShims.h"

#include <fcntl.h>
#include <stddef.h>

int milonga_accept(int fd) {
  return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int milonga_set_nonblocking(int fd, int on) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return -1;
  int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  return wanted == flags ? 0 : fcntl(fd, F_SETFL, wanted);
}

int milonga_set_cloexec(int fd) {
  return fcntl(fd, F_SETFD, FD_CLOEXEC);
}
