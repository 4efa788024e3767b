// System interfaces that Swift cannot call: variadic functions and function-like macros.
#ifndef MILONGA_SYSTEM_H
#define MILONGA_SYSTEM_H

// O_NONBLOCK and FD_CLOEXEC of a descriptor. 0, or -1 with errno set.
int milonga_set_nonblocking(int fd, int on);
int milonga_set_cloexec(int fd);

#endif
