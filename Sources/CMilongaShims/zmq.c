// libzmq, whose functions are found by their names: programs that do not speak ZeroMQ need none.
#ifdef __linux__ // Lua states are also used on other systems, but without what is here.
#include "CMilongaShims.h"

#include <CMilongaMemory.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

// Numbers of libzmq's options, flags and events, which are part of its interface (zmq.h, version
// 4).
enum {
  ZMQ_PAIR = 0,
  ZMQ_MAX_SOCKETS = 2,
  ZMQ_FD = 14,
  ZMQ_EVENTS = 15,
  ZMQ_LINGER = 17,
  ZMQ_MAXMSGSIZE = 22,
  ZMQ_SNDHWM = 23,
  ZMQ_RCVHWM = 24,
  ZMQ_LAST_ENDPOINT = 32,
  ZMQ_ROUTER_MANDATORY = 33,
  ZMQ_IMMEDIATE = 39,
  ZMQ_IPV6 = 42,
  ZMQ_DONTWAIT = 1,
  ZMQ_SNDMORE = 2,
  ZMQ_EVENT_DISCONNECTED = 0x200,
};

static struct {
  void *(*ctx_new)(void);
  int (*ctx_set)(void *, int, int);
  int (*ctx_term)(void *);
  void *(*socket)(void *, int);
  int (*close)(void *);
  int (*setsockopt)(void *, int, const void *, size_t);
  int (*getsockopt)(void *, int, void *, size_t *);
  int (*bind)(void *, const char *);
  int (*connect)(void *, const char *);
  int (*send)(void *, const void *, size_t, int);
  int (*msg_init)(milonga_zmq_part *);
  int (*msg_init_data)(milonga_zmq_part *, void *, size_t, void (*)(void *, void *), void *);
  int (*msg_send)(milonga_zmq_part *, void *, int);
  int (*msg_recv)(milonga_zmq_part *, void *, int);
  int (*msg_close)(milonga_zmq_part *);
  void *(*msg_data)(milonga_zmq_part *);
  size_t (*msg_size)(const milonga_zmq_part *);
  int (*msg_more)(const milonga_zmq_part *);
  const char *(*msg_gets)(const milonga_zmq_part *, const char *);
  int (*socket_monitor)(void *, const char *, int);
  const char *(*strerror)(int);
} zmq;

static void *library;

const char *milonga_zmq_load(void) {
  if (library) return NULL;
  void *loaded = dlopen("libzmq.so.5", RTLD_NOW | RTLD_LOCAL);
  if (!loaded) return dlerror();
  const struct {
    const char *name;
    void *place;
  } functions[] = {
      {"zmq_ctx_new", &zmq.ctx_new},       {"zmq_ctx_set", &zmq.ctx_set},
      {"zmq_ctx_term", &zmq.ctx_term},     {"zmq_socket", &zmq.socket},
      {"zmq_close", &zmq.close},           {"zmq_setsockopt", &zmq.setsockopt},
      {"zmq_getsockopt", &zmq.getsockopt}, {"zmq_bind", &zmq.bind},
      {"zmq_connect", &zmq.connect},       {"zmq_send", &zmq.send},
      {"zmq_msg_init", &zmq.msg_init},     {"zmq_msg_init_data", &zmq.msg_init_data},
      {"zmq_msg_send", &zmq.msg_send},     {"zmq_msg_recv", &zmq.msg_recv},
      {"zmq_msg_close", &zmq.msg_close},   {"zmq_msg_data", &zmq.msg_data},
      {"zmq_msg_size", &zmq.msg_size},     {"zmq_msg_more", &zmq.msg_more},
      {"zmq_msg_gets", &zmq.msg_gets},     {"zmq_socket_monitor", &zmq.socket_monitor},
      {"zmq_strerror", &zmq.strerror},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *function = dlsym(loaded, functions[i].name);
    if (!function) {
      const char *error = dlerror();
      return error ? error : functions[i].name;
    }
    memcpy(functions[i].place, &function, sizeof function);
  }
  library = loaded;
  return NULL;
}

void *milonga_zmq_context(void) {
  void *context = zmq.ctx_new();
  // A client needs three. Each costs a few bytes, whether it is used or not; descriptors run out
  // first.
  if (context) zmq.ctx_set(context, ZMQ_MAX_SOCKETS, 16384);
  return context;
}

void milonga_zmq_end_context(void *context) {
  while (zmq.ctx_term(context) != 0 && errno == EINTR) {
  }
}

void *milonga_zmq_socket(void *context, int type, int linger, int64_t max_bytes) {
  void *socket = zmq.socket(context, type);
  if (!socket) return NULL;
  zmq.setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
  zmq.setsockopt(socket, ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes);
  // Nothing is kept for a peer that is not there: its owner knows better how long that makes sense.
  int on = 1;
  if (type == MILONGA_ZMQ_DEALER) zmq.setsockopt(socket, ZMQ_IMMEDIATE, &on, sizeof on);
  // A server knows how many bytes a client has not read yet, and libzmq only how many messages. It
  // is told when the client is gone.
  int none = 0;
  if (type == MILONGA_ZMQ_ROUTER) {
    zmq.setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none);
    zmq.setsockopt(socket, ZMQ_ROUTER_MANDATORY, &on, sizeof on);
  }
  return socket;
}

void milonga_zmq_set_linger(void *socket, int linger) {
  zmq.setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
}

void milonga_zmq_close(void *socket) { zmq.close(socket); }

// Only where it is asked for: with it, libzmq takes the first address that a name has, and tries no
// other.
static void allow_ipv6(void *socket, const char *url) {
  int on = strchr(url, '[') != NULL;
  zmq.setsockopt(socket, ZMQ_IPV6, &on, sizeof on);
}

int milonga_zmq_bind(void *socket, const char *url) {
  allow_ipv6(socket, url);
  return zmq.bind(socket, url) == 0 ? 0 : errno;
}

int milonga_zmq_connect(void *socket, const char *url) {
  allow_ipv6(socket, url);
  return zmq.connect(socket, url) == 0 ? 0 : errno;
}

void *milonga_zmq_monitor(void *context, void *socket, const char *url) {
  if (zmq.socket_monitor(socket, url, ZMQ_EVENT_DISCONNECTED) != 0) return NULL;
  void *monitor = zmq.socket(context, ZMQ_PAIR);
  int none = 0;
  if (monitor) {
    zmq.setsockopt(monitor, ZMQ_LINGER, &none, sizeof none);
    // No limit: the program may not look for long.
    zmq.setsockopt(monitor, ZMQ_RCVHWM, &none, sizeof none);
    if (zmq.connect(monitor, url) == 0) return monitor;
  }
  int code = errno;
  milonga_zmq_end_monitor(socket, monitor);
  errno = code;
  return NULL;
}

// libzmq's thread waits until its message is taken, for ever when there is no receiver: so the
// monitor is ended first.
void milonga_zmq_end_monitor(void *socket, void *monitor) {
  zmq.socket_monitor(socket, NULL, 0);
  if (monitor) zmq.close(monitor);
}

int milonga_zmq_lost(void *monitor) {
  int lost = 0;
  milonga_zmq_part part;
  // Each event is a number and then an address, a part each; only one sort was asked for.
  while (milonga_zmq_receive(monitor, &part) == 0) {
    lost = 1;
    milonga_zmq_free(&part);
  }
  return lost;
}

int milonga_zmq_descriptor(void *socket) {
  int descriptor = -1;
  size_t size = sizeof descriptor;
  return zmq.getsockopt(socket, ZMQ_FD, &descriptor, &size) == 0 ? descriptor : -1;
}

int milonga_zmq_events(void *socket) {
  int events = 0;
  size_t size = sizeof events;
  return zmq.getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 ? events : 0;
}

size_t milonga_zmq_endpoint(void *socket, char *text, size_t room) {
  size_t size = room;
  if (zmq.getsockopt(socket, ZMQ_LAST_ENDPOINT, text, &size) != 0 || size == 0) return 0;
  return size - 1; // without the NUL
}

int milonga_zmq_send(void *socket, const void *bytes, size_t count, int more) {
  // An empty part has no address.
  int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
  while (zmq.send(socket, bytes ? bytes : "", count, flags) < 0)
    if (errno != EINTR) return errno;
  return 0;
}

// What libzmq still has. Its threads free messages: so it is atomic, and lives as long as a message
// counts for it.
struct milonga_zmq_counter {
  _Atomic int64_t bytes;
  _Atomic int64_t low;
  _Atomic int owners;
  int waker;
  milonga_zmq_counter *first; // whose waker it is; NULL for its own
};

milonga_zmq_counter *milonga_zmq_make_counter(milonga_zmq_counter *first) {
  milonga_zmq_counter *counter = malloc(sizeof *counter);
  if (!counter) return NULL;
  atomic_init(&counter->bytes, 0);
  atomic_init(&counter->low, -1);
  atomic_init(&counter->owners, 1);
  counter->first = first;
  if (first) atomic_fetch_add(&first->owners, 1);
  counter->waker = first ? first->waker : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (counter->waker >= 0) return counter;
  free(counter);
  return NULL;
}

void milonga_zmq_release_counter(milonga_zmq_counter *counter) {
  while (counter && atomic_fetch_sub(&counter->owners, 1) == 1) {
    milonga_zmq_counter *first = counter->first;
    if (!first) close(counter->waker);
    free(counter);
    counter = first;
  }
}

int milonga_zmq_waker(milonga_zmq_counter *counter) { return counter->waker; }

void milonga_zmq_calm(milonga_zmq_counter *counter) {
  eventfd_t times;
  eventfd_read(counter->waker, &times);
}

int64_t milonga_zmq_counted(milonga_zmq_counter *counter) { return atomic_load(&counter->bytes); }

void milonga_zmq_wake_below(milonga_zmq_counter *counter, int64_t low) {
  atomic_store(&counter->low, low);
  // It may have fallen so far just before.
  if (low >= 0 && atomic_load(&counter->bytes) <= low) eventfd_write(counter->waker, 1);
}

// In front of a message's bytes.
struct counted {
  milonga_zmq_counter *counter;
  int64_t bytes;
};

static void free_counted(void *bytes, void *hint) {
  (void)bytes;
  struct counted *message = hint;
  milonga_zmq_counter *counter = message->counter;
  int64_t rest = atomic_fetch_sub(&counter->bytes, message->bytes) - message->bytes;
  if (rest <= atomic_load(&counter->low)) eventfd_write(counter->waker, 1);
  milonga_zmq_release_counter(counter);
  free(message);
}

int milonga_zmq_fill_counted(milonga_zmq_part *part, const void *bytes, size_t count,
                             milonga_zmq_counter *counter, int times) {
  struct counted *message = milonga_allocate(sizeof *message + count);
  if (!message) return ENOMEM;
  *message = (struct counted){counter, (int64_t)(count + MILONGA_ZMQ_OVERHEAD) * times};
  if (count > 0) memcpy(message + 1, bytes, count);
  if (zmq.msg_init_data(part, message + 1, count, free_counted, message) != 0) {
    free(message);
    return ENOMEM;
  }
  atomic_fetch_add(&counter->bytes, message->bytes);
  atomic_fetch_add(&counter->owners, 1);
  return 0;
}

int milonga_zmq_send_part(void *socket, milonga_zmq_part *part) {
  while (zmq.msg_send(part, socket, ZMQ_DONTWAIT) < 0)
    if (errno != EINTR) return errno;
  return 0;
}

// The connection's descriptor belongs to libzmq's thread, which may close it at any time; then its
// number may be that of another file. Only the node tells.
int milonga_zmq_descriptor_of(milonga_zmq_part *part, uint64_t *node) {
  const char *text = zmq.msg_gets(part, "__fd");
  struct stat status;
  if (!text || !*text) return -1;
  int descriptor = atoi(text);
  if (descriptor < 0 || fstat(descriptor, &status) != 0 || !S_ISSOCK(status.st_mode)) return -1;
  *node = status.st_ino;
  return descriptor;
}

int milonga_zmq_shut_down(int descriptor, uint64_t node) {
  // What is looked at, and shut down, is the same file even if libzmq closes its descriptor
  // meanwhile.
  int own = dup(descriptor);
  if (own < 0) return 0;
  struct stat status;
  int is_same = fstat(own, &status) == 0 && S_ISSOCK(status.st_mode) && status.st_ino == node;
  if (is_same) shutdown(own, SHUT_RDWR);
  close(own);
  return is_same;
}

int milonga_zmq_receive(void *socket, milonga_zmq_part *part) {
  zmq.msg_init(part);
  while (zmq.msg_recv(part, socket, ZMQ_DONTWAIT) < 0) {
    if (errno == EINTR) continue;
    int code = errno;
    zmq.msg_close(part);
    return code;
  }
  return 0;
}

const void *milonga_zmq_bytes(milonga_zmq_part *part) { return zmq.msg_data(part); }

size_t milonga_zmq_count(milonga_zmq_part *part) { return zmq.msg_size(part); }

int milonga_zmq_more(milonga_zmq_part *part) { return zmq.msg_more(part); }

const char *milonga_zmq_peer(milonga_zmq_part *part) { return zmq.msg_gets(part, "Peer-Address"); }

void milonga_zmq_free(milonga_zmq_part *part) { zmq.msg_close(part); }

const char *milonga_zmq_text(int code) { return zmq.strerror(code); }

#endif
