// libzmq, whose functions are found by their names: programs that do not speak ZeroMQ need none.
#include "CShims.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

// Numbers of libzmq's options, flags and events, which are part of its interface (zmq.h, version 4).
enum {
  ZMQ_PAIR = 0,
  ZMQ_MAX_SOCKETS = 2,
  ZMQ_FD = 14,
  ZMQ_EVENTS = 15,
  ZMQ_LINGER = 17,
  ZMQ_MAXMSGSIZE = 22,
  ZMQ_RCVHWM = 24,
  ZMQ_LAST_ENDPOINT = 32,
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
      {"zmq_ctx_new", &zmq.ctx_new},
      {"zmq_ctx_set", &zmq.ctx_set},
      {"zmq_ctx_term", &zmq.ctx_term},
      {"zmq_socket", &zmq.socket},
      {"zmq_close", &zmq.close},
      {"zmq_setsockopt", &zmq.setsockopt},
      {"zmq_getsockopt", &zmq.getsockopt},
      {"zmq_bind", &zmq.bind},
      {"zmq_connect", &zmq.connect},
      {"zmq_send", &zmq.send},
      {"zmq_msg_init", &zmq.msg_init},
      {"zmq_msg_recv", &zmq.msg_recv},
      {"zmq_msg_close", &zmq.msg_close},
      {"zmq_msg_data", &zmq.msg_data},
      {"zmq_msg_size", &zmq.msg_size},
      {"zmq_msg_more", &zmq.msg_more},
      {"zmq_msg_gets", &zmq.msg_gets},
      {"zmq_socket_monitor", &zmq.socket_monitor},
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
  // A client needs three. Each costs a few bytes, whether it is used or not; descriptors run out first.
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
  return socket;
}

void milonga_zmq_close(void *socket) {
  zmq.close(socket);
}

// Only where it is asked for: with it, libzmq takes the first address that a name has, and tries no other.
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
    // No limit: nobody may look for long.
    zmq.setsockopt(monitor, ZMQ_RCVHWM, &none, sizeof none);
    if (zmq.connect(monitor, url) == 0) return monitor;
  }
  int code = errno;
  milonga_zmq_end_monitor(socket, monitor);
  errno = code;
  return NULL;
}

// libzmq's thread waits until it can tell, for ever if there is nobody: so it has to be told first that it need not.
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

const void *milonga_zmq_bytes(milonga_zmq_part *part) {
  return zmq.msg_data(part);
}

size_t milonga_zmq_count(milonga_zmq_part *part) {
  return zmq.msg_size(part);
}

int milonga_zmq_more(milonga_zmq_part *part) {
  return zmq.msg_more(part);
}

const char *milonga_zmq_peer(milonga_zmq_part *part) {
  return zmq.msg_gets(part, "Peer-Address");
}

void milonga_zmq_free(milonga_zmq_part *part) {
  zmq.msg_close(part);
}

const char *milonga_zmq_text(int code) {
  return zmq.strerror(code);
}
