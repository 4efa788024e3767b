// ZeroMQ: libzmq, loaded when it is first asked for. Its functions, as far as Milonga uses them;
// sockets never wait.
#ifndef MILONGA_ZMQ_H
#define MILONGA_ZMQ_H

#include <stddef.h>
#include <stdint.h>

enum { MILONGA_ZMQ_DEALER = 5, MILONGA_ZMQ_ROUTER = 6 };

// A message is there; one would be taken. As libzmq numbers them.
enum { MILONGA_ZMQ_INPUT = 1, MILONGA_ZMQ_ROOM = 2 };

// A message's part, as large as libzmq says that it is.
typedef struct milonga_zmq_part {
  _Alignas(void *) unsigned char content[64];
} milonga_zmq_part;

// Loads the library; NULL, or what the loader says when there is none that fits.
const char *milonga_zmq_load(void);

// A context, NULL with errno when that fails; and its end, which waits for what its sockets have
// yet to send.
void *milonga_zmq_context(void);
void milonga_zmq_end_context(void *context);

// A socket of a type, NULL with errno. What it has not sent when it is closed gets so many
// milliseconds. Messages with a part longer than `max_bytes` end the connection that they come on.
void *milonga_zmq_socket(void *context, int type, int linger, int64_t max_bytes);
void milonga_zmq_close(void *socket);
// Other milliseconds for that.
void milonga_zmq_set_linger(void *socket, int linger);

// 0, or an errno.
int milonga_zmq_bind(void *socket, const char *url);
int milonga_zmq_connect(void *socket, const char *url);

// Makes a second socket that tells of lost connections of the first; NULL with errno.
void *milonga_zmq_monitor(void *context, void *socket, const char *url);
// Ends that, and closes the second socket. To be called before the first one is closed.
void milonga_zmq_end_monitor(void *socket, void *monitor);
// Takes what the second socket has to tell: whether a connection was lost since.
int milonga_zmq_lost(void *monitor);

// The descriptor that becomes readable when something may have changed; and what the socket is
// ready for.
int milonga_zmq_descriptor(void *socket);
int milonga_zmq_events(void *socket);

// Where the socket is bound, for wildcards; the length of the text.
size_t milonga_zmq_endpoint(void *socket, char *text, size_t room);

// Sends a part, and takes one; 0, EAGAIN when that would have to wait, or another errno.
int milonga_zmq_send(void *socket, const void *bytes, size_t count, int more);

// What a counter adds to the bytes of each message: libzmq's own memory for it.
enum { MILONGA_ZMQ_OVERHEAD = 256 };

// Counts the bytes of messages that libzmq has not got rid of: the peer has not read them. It has
// an eventfd of its own, or that of the `first` one. NULL when that cannot be had. It lives until
// it is released and no message counts for it.
typedef struct milonga_zmq_counter milonga_zmq_counter;
milonga_zmq_counter *milonga_zmq_make_counter(milonga_zmq_counter *first);
void milonga_zmq_release_counter(milonga_zmq_counter *counter);
int64_t milonga_zmq_counted(milonga_zmq_counter *counter);
// From now on the eventfd is written when so few bytes, or fewer, are left; -1 for never.
void milonga_zmq_wake_below(milonga_zmq_counter *counter, int64_t low);
// The eventfd, and what makes it wait for the next time.
int milonga_zmq_waker(milonga_zmq_counter *counter);
void milonga_zmq_calm(milonga_zmq_counter *counter);
// Makes a part of bytes, which count as so many of its kind as long as libzmq has it. 0, or ENOMEM.
int milonga_zmq_fill_counted(milonga_zmq_part *part, const void *bytes, size_t count,
                             milonga_zmq_counter *counter, int times);
// Sends it as the last one of a message; it is libzmq's then. 0, or an errno, and it has to be
// freed.
int milonga_zmq_send_part(void *socket, milonga_zmq_part *part);

// The descriptor of the connection that a part came on, and what tells that from a later one with
// the same number; -1 when there is none.
int milonga_zmq_descriptor_of(milonga_zmq_part *part, uint64_t *node);
// Ends that connection, if it is still the same; whether it was.
int milonga_zmq_shut_down(int descriptor, uint64_t node);

int milonga_zmq_receive(void *socket, milonga_zmq_part *part);

// What is in a part that was received; `more` of the message may follow. Each has to be freed.
const void *milonga_zmq_bytes(milonga_zmq_part *part);
size_t milonga_zmq_count(milonga_zmq_part *part);
int milonga_zmq_more(milonga_zmq_part *part);
const char *milonga_zmq_peer(milonga_zmq_part *part);
void milonga_zmq_free(milonga_zmq_part *part);

// What an errno of libzmq means: it has some of its own.
const char *milonga_zmq_text(int code);

#endif
