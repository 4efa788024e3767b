/*
 * echo: the yardstick. A TCP echo server on epoll, one thread.
 *
 * Every ratio that bench.py prints is a rate divided by this server's rate, so
 * it is written the way a good C programmer writes it when speed matters: each
 * connection is registered once, edge-triggered, for both directions; a message
 * costs one recv and one send; a read shorter than the buffer means that the
 * socket is drained, so no call is made only to return EAGAIN.
 *
 * It listens on a free port of 127.0.0.1, says "listening PORT" on its first
 * line, and ends on SIGTERM or when its standard input closes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  BUFFER_SIZE = 64 * 1024,
  EVENTS_PER_WAIT = 512,
  BACKLOG = 4096,
};

struct connection {
  int fd;
  /* What the kernel did not take yet. While it is there nothing more is read,
     * so that a client which never reads costs one buffer and no more. */
  char *unsent;
  size_t unsent_at, unsent_length;
};

static char buffer[BUFFER_SIZE];

static void die(const char *what) {
  fprintf(stderr, "echo: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void close_connection(struct connection *c) {
  close(c->fd); /* leaves the epoll set by itself */
  free(c->unsent);
  free(c);
}

/* Returns 1 when all is sent, 0 when the kernel is full, -1 when the peer is gone. */
static int send_unsent(struct connection *c) {
  while (c->unsent_length > 0) {
    ssize_t n = send(c->fd, c->unsent + c->unsent_at, c->unsent_length, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    c->unsent_at += (size_t)n;
    c->unsent_length -= (size_t)n;
  }
  return 1;
}

static void keep_unsent(struct connection *c, const char *bytes, size_t length) {
  if (!c->unsent && !(c->unsent = malloc(BUFFER_SIZE))) die("malloc");
  memcpy(c->unsent, bytes, length);
  c->unsent_at = 0;
  c->unsent_length = length;
}

/* Sends from the shared buffer; the rest, if any, moves to the connection. */
static int send_buffer(struct connection *c, size_t length) {
  ssize_t n = send(c->fd, buffer, length, MSG_NOSIGNAL);
  if (n == (ssize_t)length) return 1;
  if (n < 0 && errno != EAGAIN) return -1;
  size_t taken = n < 0 ? 0 : (size_t)n;
  keep_unsent(c, buffer + taken, length - taken);
  return 0;
}

static void serve(struct connection *c) {
  int sent = send_unsent(c);
  while (sent == 1) {
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      close_connection(c);
      return;
    }
    sent = send_buffer(c, (size_t)n);
    if (sent == 1 && n < (ssize_t)sizeof buffer) return; /* drained; the next byte is a new edge */
  }
  if (sent < 0) close_connection(c);
}

static void accept_one(int epoll, int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR) return;
    die("accept");
  }
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct connection *c = calloc(1, sizeof *c);
  if (!c) die("calloc");
  c->fd = fd;
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
}

static int listen_on_loopback(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, BACKLOG) < 0 ||
      getsockname(fd, (struct sockaddr *)&address, &length) < 0)
    die("listen");
  printf("listening %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

/* /dev/null and files cannot be watched (EPERM); then only SIGTERM ends us. */
static void watch_stdin(int epoll, void *marker) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = marker};
  epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
}

static void exit_if_stdin_closed(void) {
  char ignored[256];
  if (read(STDIN_FILENO, ignored, sizeof ignored) <= 0) exit(0);
}

static void allow_many_descriptors(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int main(void) {
  static char listener_marker, stdin_marker;
  struct epoll_event events[EVENTS_PER_WAIT];

  allow_many_descriptors();
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  int listener = listen_on_loopback();
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener_marker};
  if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) die("epoll");
  watch_stdin(epoll, &stdin_marker);

  for (;;) {
    int n = epoll_wait(epoll, events, EVENTS_PER_WAIT, -1);
    if (n < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < n; i++) {
      void *who = events[i].data.ptr;
      if (who == &listener_marker)
        accept_one(epoll, listener);
      else if (who == &stdin_marker)
        exit_if_stdin_closed();
      else
        serve(who);
    }
  }
}
