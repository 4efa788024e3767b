// Termination signals; the handler does only what POSIX allows in one.
#include "CShims.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 2 };
static const int signals[COUNT] = {SIGINT, SIGTERM};
static struct sigaction before[COUNT];
static atomic_flag taken = ATOMIC_FLAG_INIT;
static volatile sig_atomic_t noted;
static volatile int wake_descriptor = -1;

static void note(int signal_number) {
  int saved = errno;
  noted = signal_number;
  for (int i = 0; i < COUNT; i++)
    if (before[i].sa_handler != SIG_IGN) signal(signals[i], SIG_DFL);
  uint64_t one = 1;
  ssize_t written = write(wake_descriptor, &one, sizeof one);
  (void)written;
  errno = saved;
}

int milonga_catch_termination(int wake) {
  if (atomic_flag_test_and_set(&taken)) return 0;
  noted = 0;
  wake_descriptor = wake;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = note;
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < COUNT; i++) {
    sigaction(signals[i], NULL, &before[i]);
    if (before[i].sa_handler != SIG_IGN) sigaction(signals[i], &action, NULL);
  }
  return 1;
}

int milonga_termination_signal(void) { return noted; }

void milonga_release_termination(void) {
  for (int i = 0; i < COUNT; i++)
    if (before[i].sa_handler != SIG_IGN) sigaction(signals[i], &before[i], NULL);
  wake_descriptor = -1;
  noted = 0;
  atomic_flag_clear(&taken);
}
