// Starting programs.
//
// The child is made with CLONE_VM and CLONE_VFORK, as posix_spawn(3) does it: it borrows the memory
// of its parent, which sleeps until the program runs or the child is gone. So a large parent is not
// copied, and the child tells what failed by writing it down.
//
// It also begins with CLONE_FILES and leaves the parent's table by close_range(2), which then
// copies only the descriptors below the first one that is not needed: the thousands that a server
// holds cost nothing. Those that the child needs may lie above the thousands. They reach it as
// messages on a socket pair with low numbers, the relay.
#ifdef __linux__ // Lua states are also used on other systems, but without what is here.
#define _GNU_SOURCE
#include "CMilongaShims.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum { STACK_BYTES = 64 * 1024, SIGNALS = 64 };

// The kernel's own types: glibc keeps two signals to itself, which the child must not inherit
// either.
typedef uint64_t kernel_signals;
typedef struct kernel_action {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  kernel_signals mask;
} kernel_action;

static void set_mask(kernel_signals signals, kernel_signals *before) {
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &signals, before, sizeof signals);
}

typedef struct child_context {
  const milonga_spawn_request *request;
  milonga_spawn_result *result;
} child_context;

static int close_from_to(unsigned first, unsigned last, unsigned flags) {
  return first > last ? 0 : (int)syscall(SYS_close_range, first, last, flags);
}

// A program that is started finds nothing in its handlers; what is ignored would stay so.
static void reset_handlers(void) {
  kernel_action action = {0};
  for (int number = 1; number <= SIGNALS; number++)
    syscall(SYS_rt_sigaction, number, &action, NULL, sizeof action.mask);
}

// SCM_MAX_FD of the kernel.
enum { MOST_IN_MESSAGE = 253 };

// Space for one message of descriptors; it carries one byte besides, or nothing would arrive.
typedef struct relay_message {
  struct msghdr header;
  struct iovec vector;
  char byte;
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(MOST_IN_MESSAGE * sizeof(int))];
} relay_message;

static void prepare_message(relay_message *message, int32_t count) {
  memset(message, 0, sizeof *message);
  message->vector.iov_base = &message->byte;
  message->vector.iov_len = 1;
  message->header.msg_iov = &message->vector;
  message->header.msg_iovlen = 1;
  message->header.msg_control = message->control;
  message->header.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
}

static int32_t next_message(int32_t count) {
  return count < MOST_IN_MESSAGE ? count : MOST_IN_MESSAGE;
}

int milonga_make_relay(int *sender, int *receiver) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) return -1;
  *sender = ends[0];
  *receiver = ends[1];
  return 0;
}

int milonga_relay(int sender, const int *descriptors, int32_t count) {
  while (count > 0) {
    int32_t some = next_message(count);
    relay_message message;
    prepare_message(&message, some);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message.header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN((size_t)some * sizeof(int));
    memcpy(CMSG_DATA(rights), descriptors, (size_t)some * sizeof(int));
    if (sendmsg(sender, &message.header, MSG_NOSIGNAL) != 1) return -1;
    descriptors += some;
    count -= some;
  }
  return 0;
}

void milonga_clear_relay(int receiver) {
  char byte;
  while (recv(receiver, &byte, 1, 0) > 0) {
  }
}

// They get the lowest free numbers, all below `relayed_place`, and move up from there.
static int take_relayed(const milonga_spawn_request *request) {
  int place = request->relayed_place;
  int32_t count = request->relayed_count;
  while (count > 0) {
    int32_t some = next_message(count);
    relay_message message;
    prepare_message(&message, some);
    if (recvmsg(request->relay_receiver, &message.header, MSG_CMSG_CLOEXEC) != 1) return -1;
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message.header);
    // Cut off where the process may have no more descriptors.
    if (rights == NULL || rights->cmsg_len != CMSG_LEN((size_t)some * sizeof(int))) {
      errno = EMFILE;
      return -1;
    }
    for (int32_t i = 0; i < some; i++) {
      int descriptor;
      memcpy(&descriptor, CMSG_DATA(rights) + (size_t)i * sizeof(int), sizeof descriptor);
      if (dup3(descriptor, place++, O_CLOEXEC) < 0) return -1;
      close(descriptor);
    }
    count -= some;
  }
  return 0;
}

static int move_descriptors(const milonga_spawn_request *request, int32_t *place) {
  int spare = -1;
  for (int32_t i = 0; i < request->move_count; i++) {
    milonga_move move = request->moves[i];
    int from = move.from < 0 ? spare : move.from;
    *place = i;
    if (move.to < 0) {
      spare = fcntl(from, F_DUPFD_CLOEXEC, 0);
      if (spare < 0) return -1;
    } else if (from == move.to) {
      if (fcntl(from, F_SETFD, 0) < 0) return -1;
    } else if (dup2(from, move.to) < 0) {
      return -1;
    }
  }
  return 0;
}

static int close_others(const milonga_spawn_request *request) {
  unsigned first = 0;
  for (int32_t i = 0; i < request->granted_count; i++) {
    unsigned granted = (unsigned)request->granted[i];
    if (granted > first && close_from_to(first, granted - 1, 0) != 0) return -1;
    first = granted + 1;
  }
  return close_from_to(first, UINT_MAX, 0);
}

// Whether a descriptor blocks is a property of the open file, which the parent shares: so this
// comes last, and is taken back when the program does not start.
static void make_blocking(const milonga_spawn_request *request) {
  for (int32_t i = 0; i < request->granted_count; i++) {
    int flags = fcntl(request->granted[i], F_GETFL);
    request->was_nonblocking[i] = flags >= 0 && (flags & O_NONBLOCK) != 0;
    if (request->was_nonblocking[i]) fcntl(request->granted[i], F_SETFL, flags & ~O_NONBLOCK);
  }
}

static void restore_nonblocking(const milonga_spawn_request *request) {
  // Backwards, for a file that is granted twice was found non-blocking only the first time.
  for (int32_t i = request->granted_count - 1; i >= 0; i--)
    if (request->was_nonblocking[i]) milonga_set_nonblocking(request->granted[i], 1);
}

static int run_child(void *argument) {
  child_context *context = argument;
  const milonga_spawn_request *request = context->request;
  milonga_spawn_result *result = context->result;
  reset_handlers();

  result->step = MILONGA_SPAWN_DESCRIPTORS;
  if (close_from_to((unsigned)request->first_unused, UINT_MAX, CLOSE_RANGE_UNSHARE) != 0)
    goto failed;
  if (take_relayed(request) != 0) goto failed;
  result->step = MILONGA_SPAWN_MOVE;
  if (move_descriptors(request, &result->place) != 0) goto failed;
  result->step = MILONGA_SPAWN_DESCRIPTORS;
  if (close_others(request) != 0) goto failed;

  result->step = MILONGA_SPAWN_SESSION;
  if (request->new_session && setsid() < 0) goto failed;
  result->step = MILONGA_SPAWN_GROUP;
  if (request->group >= 0 && setpgid(0, request->group) != 0) goto failed;
  if (request->mask >= 0) umask((mode_t)request->mask);
  result->step = MILONGA_SPAWN_DIRECTORY;
  if (request->directory && chdir(request->directory) != 0) goto failed;

  result->step = MILONGA_SPAWN_PROGRAM;
  make_blocking(request);
  set_mask(0, NULL);
  execve(request->path, (char *const *)request->arguments, (char *const *)request->environment);
  result->error = errno;
  restore_nonblocking(request);
  _exit(127);

failed:
  result->error = errno;
  _exit(127);
}

milonga_spawn_result milonga_spawn(const milonga_spawn_request *request) {
  milonga_spawn_result result = {.process = -1, .descriptor = -1, .step = MILONGA_SPAWN_PROCESS};
  char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) {
    result.error = errno;
    return result;
  }
  child_context context = {request, &result};
  // A handler must not run in the child while it has our memory.
  kernel_signals before;
  set_mask(~(kernel_signals)0, &before);
  // No signal tells of the end of a child that came to nothing; execve makes it SIGCHLD.
  int descriptor = -1;
  int flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PIDFD;
  pid_t process = clone(run_child, stack + STACK_BYTES, flags, &context, &descriptor);
  if (process < 0) {
    result.error = errno;
  } else if (result.error != 0) {
    while (waitpid(process, NULL, __WALL) < 0 && errno == EINTR) {
    }
    close(descriptor);
  } else {
    result.process = process;
    result.descriptor = descriptor;
  }
  set_mask(before, NULL);
  munmap(stack, STACK_BYTES);
  return result;
}

int milonga_wait_process(int descriptor, int block, int *code, int *status) {
  siginfo_t information;
  information.si_pid = 0;
  // __WALL: one that was killed before its program ran is no child of the common kind.
  int options = WEXITED | __WALL | (block ? 0 : WNOHANG);
  int failed;
  do {
    failed = waitid((idtype_t)P_PIDFD, (id_t)descriptor, &information, options);
  } while (failed != 0 && errno == EINTR);
  if (failed != 0) return -1;
  if (information.si_pid == 0) return 0;
  *code = information.si_code;
  *status = information.si_status;
  return 1;
}

int milonga_signal_process(int descriptor, int signal_number) {
  return (int)syscall(SYS_pidfd_send_signal, descriptor, signal_number, NULL, 0);
}

#endif
