// Child processes with an exact set of descriptors, and what tells of their end.
#ifndef MILONGA_SPAWN_H
#define MILONGA_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

// Descriptor `to` becomes a duplicate of `from`. -1 stands for one spare place: first something is
// moved into it, later out of it.
typedef struct milonga_move {
  int from;
  int to;
} milonga_move;

typedef struct milonga_spawn_request {
  const char *path; // of the program; it is not searched for
  const char *const *arguments;
  const char *const *environment;
  const char *directory;     // NULL: inherited
  const milonga_move *moves; // in their order
  int32_t move_count;
  const int *granted; // the numbers that the child has in the end, ascending
  int32_t granted_count;
  uint8_t *was_nonblocking; // room for granted_count bytes
  int first_unused;   // a number above all of the parent's that are used, relay_receiver among them
  int relay_receiver; // where the child finds descriptors that were relayed to it
  int32_t relayed_count; // how many those are
  int relayed_place;     // they become this number and the following ones, before the moves
  pid_t group;           // -1: inherited; 0: a new one, which the child leads; or that of a process
  int new_session;       // the child leads a new session
  int mask;              // for umask(2); -1: inherited
} milonga_spawn_request;

// What failed.
typedef enum milonga_spawn_step {
  MILONGA_SPAWN_PROCESS, // making the process itself
  MILONGA_SPAWN_DESCRIPTORS, // leaving the parent's table of descriptors, or closing what is not granted
  MILONGA_SPAWN_MOVE,        // the move of this `place`
  MILONGA_SPAWN_SESSION,
  MILONGA_SPAWN_GROUP,
  MILONGA_SPAWN_DIRECTORY,
  MILONGA_SPAWN_PROGRAM // executing the program
} milonga_spawn_step;

typedef struct milonga_spawn_result {
  pid_t process;
  int descriptor; // a pidfd: readable when the process has ended
  int error;      // an errno, 0 when the program runs
  milonga_spawn_step step;
  int32_t place;
} milonga_spawn_result;

// Two ends for relaying descriptors to children; both have low numbers if they are made early. 0 or
// -1.
int milonga_make_relay(int *sender, int *receiver);

// Puts descriptors into the relay, for the next child. -1 with errno set: not all have found room.
int milonga_relay(int sender, const int *descriptors, int32_t count);

// Forgets what no child has taken out of the relay.
void milonga_clear_relay(int receiver);

// Starts a program. When it returns the program runs, or there is no child.
milonga_spawn_result milonga_spawn(const milonga_spawn_request *request);

// Asks whether the process has ended, or waits for its end. 1: it has, and `*code` is CLD_EXITED,
// CLD_KILLED or CLD_DUMPED, `*status` the exit status or the signal; 0: it runs; -1: errno says why
// that is not known.
int milonga_wait_process(int descriptor, int block, int *code, int *status);

// kill(2) by a pidfd.
int milonga_signal_process(int descriptor, int signal_number);

#endif
