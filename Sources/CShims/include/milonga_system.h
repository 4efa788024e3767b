// System interfaces that Swift's Glibc module leaves out, and variadic functions, which Swift cannot
// call.
#ifndef MILONGA_SYSTEM_H
#define MILONGA_SYSTEM_H

#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#endif
#include <sys/socket.h>

// accept(2) of a non-blocking connection that children do not inherit.
int milonga_accept(int fd);

// O_NONBLOCK and FD_CLOEXEC of a descriptor. 0, or -1 with errno set.
int milonga_set_nonblocking(int fd, int on);
int milonga_set_cloexec(int fd);

#endif
