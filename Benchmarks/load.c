/*
 * load: the load generator. One thread on epoll keeps a fixed number of messages
 * in flight on each of a fixed number of connections, checks every byte that
 * comes back, and prints one line of JSON.
 *
 * How it stays cheaper than the servers it measures: nothing is formatted or
 * parsed while it runs. All requests and all expected answers are laid out
 * beforehand on two "tapes", some dozens of different messages in a row. Sending
 * k messages is one send() of a piece of the request tape, checking what arrives
 * is memcmp() with the answer tape. Neighbouring messages differ, and each
 * connection starts at its own place on the tape, so an answer that is late,
 * doubled, lost or meant for another connection does not compare equal.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  EVENTS_PER_WAIT = 512,
  RECEIVE_SIZE = 256 * 1024,
  MAX_VARIANTS = 64,
  TAPE_SIZE = 256 * 1024, /* about; long messages get fewer variants */
  /* The kernel gives connect() every other port of 28,000 and looks long for more. */
  CONNECTIONS_PER_ADDRESS = 10000,
  /* LuaSocket's bind has a backlog of 32. A server that does not accept fast enough
     * drops the connection's first packet, and each such drop costs a second. */
  CONNECTIONS_AT_ONCE = 16,
  CONNECT_PAUSE_MICROSECONDS = 2000,
};
#define CONNECT_SECONDS 10
#define STALL_SECONDS 5
#define NANOSECONDS 1000000000ull

/* ---------------------------------------------------------------- messages */

/* A kind of message: how a request that carries `text` looks on the wire, and the
 * only right answer to it. The length on the wire may depend on the length of the
 * text but not on its letters. To add a protocol, add two functions and a row. */
struct message_kind {
  const char *name;
  size_t default_payload, smallest_payload;
  size_t (*request)(char *out, const char *text, size_t length);
  size_t (*answer)(char *out, const char *text, size_t length);
};

enum { FRAME_ROOM = 128 }; /* what a kind may add around its text */

static size_t raw_message(char *out, const char *text, size_t length) {
  memcpy(out, text, length);
  return length;
}

/* The payload counts the newline, so that raw and line messages of one size compare. */
static size_t line_message(char *out, const char *text, size_t length) {
  memcpy(out, text, length - 1);
  out[length - 1] = '\n';
  return length;
}

static size_t tango_frame(char *out, const char *before, const char *text, size_t length,
                          const char *after) {
  size_t body = strlen(before) + length + strlen(after);
  return (size_t)sprintf(out, "%zu\n%s%.*s%s", body, before, (int)length, text, after);
}

static size_t tango_request(char *out, const char *text, size_t length) {
  return tango_frame(out, "{\"echo\",\"", text, length, "\"}");
}

static size_t tango_answer(char *out, const char *text, size_t length) {
  return tango_frame(out, "{true,\"", text, length, "\"}");
}

/* Lua RPC: type, sequence number, size; then `before` and the text as luatobin has them. The
 * number is the text's first letter: the answer has that of its request. */
static size_t rpc_message(char *out, char type, const char *before, size_t before_length,
                          const char *text, size_t length) {
  size_t size = before_length + 3 + length;
  out[0] = type;
  out[1] = text[0];
  for (int i = 0; i < 4; i++) out[2 + i] = (char)(size >> (24 - 8 * i));
  memcpy(out + 6, before, before_length);
  char *string = out + 6 + before_length;
  string[0] = 4;
  string[1] = (char)(length >> 8);
  string[2] = (char)length;
  memcpy(string + 3, text, length);
  return 6 + size;
}

static size_t rpc_request(char *out, const char *text, size_t length) {
  return rpc_message(out, 0, "\4\0\4echo", 7, text, length);
}

static size_t rpc_answer(char *out, const char *text, size_t length) {
  return rpc_message(out, 1, "\0", 1, text, length);
}

static const struct message_kind message_kinds[] = {
    {"raw", 64, 1, raw_message, raw_message},
    {"line", 64, 1, line_message, line_message},
    {"tango", 32, 0, tango_request, tango_answer},
    {"rpc", 32, 1, rpc_request, rpc_answer},
    {0},
};

/* ----------------------------------------------------------------- options */

struct options {
  int port;
  int connections;
  int depth;
  bool spin, hold;
  double seconds, warmup;
  const struct message_kind *kind;
  size_t payload;
};

static void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

static void print_usage(FILE *out) {
  fputs("usage: load --port P [options]\n"
        "  --connections N  connections to 127.0.0.1:P (default 1)\n"
        "  --depth D        messages in flight on each; 1 is ping-pong (default 1)\n"
        "  --seconds S      time measured (default 2)\n"
        "  --warmup S       time before that, not counted (default 0.3)\n"
        "  --hold           only hold the connections, and say so; at a line on standard input\n"
        "                   send one batch on each, and end when all are answered\n"
        "  --spin           poll without sleeping: takes the time to wake an idle core,\n"
        "                   long on virtual machines, out of the figures\n"
        "  --payload BYTES  size of the text in a message (default: the kind's)\n"
        "  --kind NAME      what is sent:",
        out);
  for (const struct message_kind *kind = message_kinds; kind->name; kind++)
    fprintf(out, " %s", kind->name);
  fputs(" (default raw)\n", out);
}

static const struct message_kind *kind_named(const char *name) {
  for (const struct message_kind *kind = message_kinds; kind->name; kind++)
    if (strcmp(kind->name, name) == 0) return kind;
  die("unknown kind of message '%s'", name);
}

static double number(const char *option, const char *text, double least, double most) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end != '\0' || !(value >= least && value <= most))
    die("--%s: expected a number from %g to %g, got '%s'", option, least, most, text);
  return value;
}

static struct options parse_options(int argc, char **argv) {
  static const struct option names[] = {
      {"port", required_argument, 0, 'p'},
      {"connections", required_argument, 0, 'c'},
      {"depth", required_argument, 0, 'd'},
      {"seconds", required_argument, 0, 's'},
      {"warmup", required_argument, 0, 'w'},
      {"payload", required_argument, 0, 'b'},
      {"kind", required_argument, 0, 'k'},
      {"spin", no_argument, 0, 'S'},
      {"hold", no_argument, 0, 'H'},
      {"help", no_argument, 0, 'h'},
      {0},
  };
  struct options o = {
      .connections = 1, .depth = 1, .seconds = 2, .warmup = 0.3, .kind = &message_kinds[0]};
  double payload = -1;
  for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    switch (c) {
    case 'p': o.port = (int)number("port", optarg, 1, 65535); break;
    case 'c': o.connections = (int)number("connections", optarg, 1, 1000000); break;
    case 'd': o.depth = (int)number("depth", optarg, 1, 65536); break;
    case 's': o.seconds = number("seconds", optarg, 0.01, 86400); break;
    case 'w': o.warmup = number("warmup", optarg, 0, 86400); break;
    case 'b': payload = number("payload", optarg, 0, 16 << 20); break;
    case 'k': o.kind = kind_named(optarg); break;
    case 'S': o.spin = true; break;
    case 'H': o.hold = true; break;
    case 'h': print_usage(stdout); exit(0);
    default: print_usage(stderr); exit(2);
    }
  }
  if (o.port == 0 || optind < argc) {
    print_usage(stderr);
    exit(2);
  }
  o.payload = payload < 0 ? o.kind->default_payload : (size_t)payload;
  if (o.payload < o.kind->smallest_payload)
    die("a '%s' message has at least %zu byte", o.kind->name, o.kind->smallest_payload);
  return o;
}

/* ------------------------------------------------------------------- tapes */

struct tape {
  char *bytes;
  size_t message; /* length of one message */
  size_t loop;    /* length of all variants; position `loop` is position 0 again */
};

/* Letters and digits only: they look the same in every protocol's quoting. */
static void write_text(char *out, size_t length, uint64_t seed) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  uint64_t state = seed * 0x9E3779B97F4A7C15ull + 1;
  for (size_t i = 0; i < length; i++) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    out[i] = letters[(state >> 33) % (sizeof letters - 1)];
  }
}

static void *allocate(size_t count, size_t size) {
  void *memory = calloc(count, size);
  if (!memory) die("no memory for %zu x %zu bytes", count, size);
  return memory;
}

/* `extra` messages follow the loop, so that a batch which begins in the loop is
 * one piece of memory even where it runs over the end. */
static struct tape make_tape(size_t (*write_message)(char *, const char *, size_t), size_t payload,
                             size_t extra) {
  size_t room = payload + FRAME_ROOM;
  size_t variants = TAPE_SIZE / room;
  variants = variants > MAX_VARIANTS ? MAX_VARIANTS : variants < 2 ? 2 : variants;

  char *text = allocate(payload + 1, 1), *scratch = allocate(room, 1);
  struct tape tape = {0};
  for (size_t i = 0; i < variants + extra; i++) {
    write_text(text, payload, i % variants);
    size_t length = write_message(scratch, text, payload);
    if (i == 0) {
      tape.message = length;
      tape.loop = variants * length;
      tape.bytes = allocate(variants + extra, length);
    }
    memcpy(tape.bytes + i * length, scratch, length);
  }
  free(text);
  free(scratch);
  return tape;
}

/* --------------------------------------------------------------- histogram */

/* Latencies in nanoseconds. Each power of two has 64 buckets, so a percentile is
 * right within 1.6 %. */
enum { SUB_BITS = 6, SUB_BUCKETS = 1 << SUB_BITS, BUCKETS = (65 - SUB_BITS) * SUB_BUCKETS };

struct histogram {
  uint64_t count[BUCKETS];
  uint64_t total;
};

static size_t bucket_of(uint64_t value) {
  if (value < SUB_BUCKETS) return (size_t)value;
  unsigned shift = 63u - (unsigned)__builtin_clzll(value) - SUB_BITS;
  return (size_t)shift * SUB_BUCKETS + (size_t)(value >> shift);
}

static double bucket_value(size_t bucket) {
  if (bucket < 2 * SUB_BUCKETS) return (double)bucket;
  size_t shift = bucket / SUB_BUCKETS - 1;
  return ((double)(bucket % SUB_BUCKETS + SUB_BUCKETS) + 0.5) * (double)(1ull << shift);
}

static void histogram_add(struct histogram *h, uint64_t value, uint64_t times) {
  h->count[bucket_of(value)] += times;
  h->total += times;
}

static double percentile(const struct histogram *h, double fraction) {
  uint64_t wanted = (uint64_t)((double)h->total * fraction), seen = 0;
  for (size_t i = 0; i < BUCKETS; i++)
    if ((seen += h->count[i]) > wanted) return bucket_value(i);
  return 0;
}

/* ------------------------------------------------------------- connections */

/* Messages that left together, for their latency. */
struct batch {
  uint64_t at;
  uint32_t messages;
};

struct connection {
  int fd;
  size_t request_at; /* where on the request tape the next byte to send is */
  size_t unsent;     /* bytes of requests in flight that the kernel did not take yet */
  size_t answer_at;  /* where on the answer tape the next byte to come is */
  size_t partial;    /* bytes of an answer that has not come whole */
  size_t in_flight;
  uint64_t answered;
  struct batch *batches; /* a ring of `depth` entries: each has a message in it */
  size_t first_batch, batch_count;
};

struct load {
  struct options options;
  struct tape requests, answers;
  struct connection *connections;
  int epoll;
  uint64_t messages, errors;
  int at_rest; /* with --hold: connections that have had all their answers */
  uint64_t last_answer;
  struct histogram latencies;
};

static char received[RECEIVE_SIZE];

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * NANOSECONDS + (uint64_t)t.tv_nsec;
}

/* An error ends the run: a server that answers wrong has no speed. */
static void fail(struct load *load, const struct connection *c, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void fail(struct load *load, const struct connection *c, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "load: connection %td, after %llu answers: ", c - load->connections,
          (unsigned long long)c->answered);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  load->errors++;
}

/* Blocking: a refused connection is found here, and the load starts only when all stand. */
static int connect_to(int port, int index) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  if (fd < 0) die("connection %d: socket: %s", index, strerror(errno));
  int address_index = index / CONNECTIONS_PER_ADDRESS;
  if (address_index > 0) { /* 127.0.0.2, 127.0.0.3, ... have ports of their own */
    struct sockaddr_in source = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (unsigned)address_index)};
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&source, sizeof source) < 0)
      die("connection %d: bind to 127.0.0.%d: %s", index, 1 + address_index, strerror(errno));
  }
  struct timeval patience = {.tv_sec = CONNECT_SECONDS};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  struct sockaddr_in server = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
    die("connection %d to 127.0.0.1:%d: %s", index, port,
        errno == EINPROGRESS ? "not accepted in time" : strerror(errno));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) die("connection %d: fcntl: %s", index, strerror(errno));
  return fd;
}

static void open_connections(struct load *load) {
  const struct options *o = &load->options;
  size_t count = (size_t)o->connections, depth = (size_t)o->depth;
  size_t variants = load->requests.loop / load->requests.message;
  struct batch *batches = allocate(count * depth, sizeof *batches);
  load->connections = allocate(count, sizeof *load->connections);
  for (size_t i = 0; i < count; i++) {
    struct connection *c = &load->connections[i];
    c->fd = connect_to(o->port, (int)i);
    if (i % CONNECTIONS_AT_ONCE == CONNECTIONS_AT_ONCE - 1) usleep(CONNECT_PAUSE_MICROSECONDS);
    c->batches = batches + i * depth;
    c->request_at = (i % variants) * load->requests.message;
    c->answer_at = (i % variants) * load->answers.message;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
      die("connection %zu: epoll_ctl: %s", i, strerror(errno));
  }
}

/* -------------------------------------------------------- sending, checking */

static void send_unsent(struct load *load, struct connection *c) {
  if (c->unsent == 0) return;
  ssize_t n = send(c->fd, load->requests.bytes + c->request_at, c->unsent, MSG_NOSIGNAL);
  if (n < 0) {
    if (errno != EAGAIN) fail(load, c, "send: %s", strerror(errno));
    return; /* a full socket reports an edge when there is room again */
  }
  c->unsent -= (size_t)n;
  c->request_at = (c->request_at + (size_t)n) % load->requests.loop;
}

static void send_messages(struct load *load, struct connection *c, size_t messages, uint64_t at) {
  size_t depth = (size_t)load->options.depth;
  c->batches[(c->first_batch + c->batch_count) % depth] = (struct batch){at, (uint32_t)messages};
  c->batch_count++;
  c->in_flight += messages;
  c->unsent += messages * load->requests.message;
  send_unsent(load, c);
}

/* Shows both sides from the first byte that differs. */
static void fail_wrong_answer(struct load *load, const struct connection *c, const char *expected,
                              const char *got, size_t length) {
  size_t at = 0;
  while (expected[at] == got[at]) at++;
  int shown = (int)(length - at > 64 ? 64 : length - at);
  fail(load, c, "wrong answer: expected \"%.*s\", got \"%.*s\"", shown, expected + at, shown,
       got + at);
}

static bool matches_tape(struct load *load, struct connection *c, const char *bytes,
                         size_t length) {
  const struct tape *tape = &load->answers;
  while (length > 0) {
    size_t piece = tape->loop - c->answer_at;
    if (piece > length) piece = length;
    if (memcmp(bytes, tape->bytes + c->answer_at, piece) != 0) {
      fail_wrong_answer(load, c, tape->bytes + c->answer_at, bytes, piece);
      return false;
    }
    bytes += piece;
    length -= piece;
    c->answer_at = c->answer_at + piece == tape->loop ? 0 : c->answer_at + piece;
  }
  return true;
}

static void record_latencies(struct load *load, struct connection *c, size_t messages,
                             uint64_t at) {
  while (messages > 0) {
    struct batch *batch = &c->batches[c->first_batch];
    uint32_t n = batch->messages < messages ? batch->messages : (uint32_t)messages;
    histogram_add(&load->latencies, at - batch->at, n);
    messages -= n;
    batch->messages -= n;
    if (batch->messages == 0) {
      c->first_batch = (c->first_batch + 1) % (size_t)load->options.depth;
      c->batch_count--;
    }
  }
}

/* Checks what came and sends as many messages as were answered. */
static bool take_answers(struct load *load, struct connection *c, const char *bytes,
                         size_t length) {
  if (!matches_tape(load, c, bytes, length)) return false;
  size_t messages = (c->partial + length) / load->answers.message;
  c->partial = (c->partial + length) % load->answers.message;
  if (messages > c->in_flight || (messages == c->in_flight && c->partial > 0)) {
    fail(load, c, "more answers than requests");
    return false;
  }
  if (messages == 0) return true;
  uint64_t at = now();
  record_latencies(load, c, messages, at);
  c->in_flight -= messages;
  c->answered += messages;
  load->messages += messages;
  load->last_answer = at;
  if (load->options.hold) {
    if (c->in_flight == 0) load->at_rest++;
    return true;
  }
  send_messages(load, c, messages, at);
  return load->errors == 0;
}

static void receive_answers(struct load *load, struct connection *c) {
  for (;;) {
    ssize_t n = recv(c->fd, received, sizeof received, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) fail(load, c, "receive: %s", strerror(errno));
    if (n == 0) fail(load, c, "the server closed the connection");
    if (n <= 0 || !take_answers(load, c, received, (size_t)n) || n < (ssize_t)sizeof received)
      return;
  }
}

/* --------------------------------------------------------------- the run */

static double cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void wait_and_serve(struct load *load) {
  struct epoll_event events[EVENTS_PER_WAIT];
  int n = epoll_wait(load->epoll, events, EVENTS_PER_WAIT, load->options.spin ? 0 : 100);
  if (n < 0 && errno != EINTR) die("epoll_wait: %s", strerror(errno));
  for (int i = 0; i < n && load->errors == 0; i++) {
    struct connection *c = events[i].data.ptr;
    if (events[i].events & EPOLLOUT) send_unsent(load, c);
    if (events[i].events & ~(uint32_t)EPOLLOUT) receive_answers(load, c);
  }
  if (n == 0 && now() - load->last_answer > STALL_SECONDS * NANOSECONDS)
    fail(load, load->connections, "no answer on any connection for %d seconds", STALL_SECONDS);
}

/* Serves for at least this long and returns how long it really was. */
static double serve_for(struct load *load, double seconds) {
  uint64_t start = now(), end = start + (uint64_t)(seconds * (double)NANOSECONDS), time = start;
  while (time < end && load->errors == 0) {
    wait_and_serve(load);
    time = now();
  }
  return (double)(time - start) / (double)NANOSECONDS;
}

/* Says that all connections stand, and leaves them alone until there is a line on standard input;
 * then asks on each of them, and waits for the answers. Returns how long those took. */
static double hold(struct load *load) {
  const struct options *o = &load->options;
  char line[16];
  printf("holding %d\n", o->connections);
  fflush(stdout);
  if (!fgets(line, sizeof line, stdin)) exit(0);
  uint64_t start = load->last_answer = now();
  for (int i = 0; i < o->connections && load->errors == 0; i++)
    send_messages(load, &load->connections[i], (size_t)o->depth, now());
  while (load->at_rest < o->connections && load->errors == 0) wait_and_serve(load);
  return (double)(now() - start) / (double)NANOSECONDS;
}

static void find_starved_connections(struct load *load) {
  for (int i = 0; i < load->options.connections && load->errors == 0; i++)
    if (load->connections[i].answered == 0)
      fail(load, &load->connections[i], "starved: not one answer during the whole run");
}

static void print_result(const struct load *load, double seconds, double cpu) {
  const struct options *o = &load->options;
  double rate = seconds > 0 ? (double)load->messages / seconds : 0;
  double busy = seconds > 0 ? cpu / seconds : 0;
  printf("{\"kind\": \"%s\", \"payload\": %zu, \"connections\": %d, \"depth\": %d, "
         "\"messages\": %llu, \"seconds\": %.6f, \"rate\": %.1f, "
         "\"p50_us\": %.1f, \"p99_us\": %.1f, \"load_busy\": %.3f, \"errors\": %llu}\n",
         o->kind->name, o->payload, o->connections, o->depth, (unsigned long long)load->messages,
         seconds, rate, percentile(&load->latencies, 0.50) / 1e3,
         percentile(&load->latencies, 0.99) / 1e3, busy, (unsigned long long)load->errors);
}

static void allow_many_descriptors(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int main(int argc, char **argv) {
  static struct load load;
  load.options = parse_options(argc, argv);
  const struct options *o = &load.options;

  allow_many_descriptors();
  load.requests = make_tape(o->kind->request, o->payload, (size_t)o->depth);
  load.answers = make_tape(o->kind->answer, o->payload, 0);
  load.epoll = epoll_create1(EPOLL_CLOEXEC);
  if (load.epoll < 0) die("epoll_create1: %s", strerror(errno));
  open_connections(&load);

  if (o->hold) {
    double cpu = cpu_seconds(), seconds = hold(&load);
    print_result(&load, seconds, cpu_seconds() - cpu);
    return load.errors == 0 ? 0 : 1;
  }

  load.last_answer = now();
  for (int i = 0; i < o->connections; i++)
    send_messages(&load, &load.connections[i], (size_t)o->depth, now());
  serve_for(&load, o->warmup);

  load.messages = 0;
  memset(&load.latencies, 0, sizeof load.latencies);
  double cpu = cpu_seconds();
  double seconds = serve_for(&load, o->seconds);
  cpu = cpu_seconds() - cpu;
  find_starved_connections(&load);

  print_result(&load, seconds, cpu);
  return load.errors == 0 ? 0 : 1;
}
