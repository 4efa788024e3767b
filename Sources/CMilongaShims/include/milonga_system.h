// System interfaces that Swift's Glibc module leaves out, and variadic functions, which Swift
// cannot call.
#ifndef MILONGA_SYSTEM_H
#define MILONGA_SYSTEM_H

#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#endif
#include <sys/socket.h>

// accept(2) of a non-blocking connection that children do not inherit.
int milonga_accept(int fd);

// pipe(2) and a pair of stream sockets, non-blocking and not inherited by children.
int milonga_pipe(int ends[2]);
int milonga_socketpair(int ends[2]);

// A duplicate, or a descriptor in the place of `fd`, that children do not inherit.
int milonga_duplicate_descriptor(int fd);
int milonga_replace_descriptor(int fd, int with);

// Whether O_NONBLOCK is set; -1 with errno set.
int milonga_is_nonblocking(int fd);

// O_NONBLOCK and FD_CLOEXEC of a descriptor. 0, or -1 with errno set.
int milonga_set_nonblocking(int fd, int on);
int milonga_set_cloexec(int fd);

// Names the calling thread, for tools that list threads: 15 bytes at most.
void milonga_name_thread(const char *name);

#endif
