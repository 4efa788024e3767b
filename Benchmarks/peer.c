/*
 * peer: the other end of the LuaSocket benchmarks. It serves one connection after the other, in large
 * blocks, so that the script it talks to is the slower of the two.
 *
 *   peer source BYTES   sends so many bytes of 64-byte lines, then closes
 *   peer sink           reads to the end, answers how many bytes came, as a line, and closes
 *
 * It listens on a free port of 127.0.0.1, says "listening PORT" on its first line, and ends with
 * the program that started it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE = 64, BLOCK = 256 * 1024 };

static char block[BLOCK];

static void die(const char *what) {
  fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* Each line begins with its number in the block; no two neighbours are equal. */
static void fill_block_with_lines(void) {
  for (int i = 0; i < BLOCK / LINE; i++) {
    char *line = block + i * LINE;
    memset(line, 'a' + i % 26, LINE);
    int digits = sprintf(line, "%d", i);
    line[digits] = ' ';
    line[LINE - 1] = '\n';
  }
}

/* A peer that goes early has what it wanted. */
static void send_lines(int fd, long long bytes) {
  while (bytes > 0) {
    size_t size = bytes < BLOCK ? (size_t)bytes : BLOCK;
    for (size_t sent = 0; sent < size;) {
      ssize_t n = send(fd, block + sent, size - sent, MSG_NOSIGNAL);
      if (n < 0) return;
      sent += (size_t)n;
    }
    bytes -= (long long)size;
  }
}

static void count_bytes(int fd) {
  long long bytes = 0;
  for (ssize_t n; (n = recv(fd, block, BLOCK, 0)) > 0;) bytes += n;
  dprintf(fd, "%lld\n", bytes);
}

static int listen_on_loopback(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 16) < 0 ||
      getsockname(fd, (struct sockaddr *)&address, &length) < 0)
    die("listen");
  printf("listening %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

int main(int argc, char **argv) {
  int is_source = argc == 3 && strcmp(argv[1], "source") == 0;
  int is_sink = argc == 2 && strcmp(argv[1], "sink") == 0;
  if (!is_source && !is_sink) {
    fputs("usage: peer source BYTES | peer sink\n", stderr);
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  fill_block_with_lines();
  for (int listener = listen_on_loopback();;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) die("accept");
    if (is_source)
      send_lines(fd, atoll(argv[2]));
    else
      count_bytes(fd);
    close(fd);
  }
}
