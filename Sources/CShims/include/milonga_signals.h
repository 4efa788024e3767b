// SIGINT and SIGTERM as a wish to end that an event loop carries out.
#ifndef MILONGA_SIGNALS_H
#define MILONGA_SIGNALS_H

// From now on the first SIGINT or SIGTERM is only noted, and written to the eventfd `wake`, whose
// loop looks at milonga_termination_signal; the second one ends the process. A signal that is
// ignored stays so. Returns 0 when another loop of the process has them already.
int milonga_catch_termination(int wake);

// The signal that was noted, 0 for none.
int milonga_termination_signal(void);

// The signals do again what they did before milonga_catch_termination.
void milonga_release_termination(void);

#endif
