// The only C in Milonga: what Swift cannot express, because Lua raises errors and yields with
// longjmp (which must never cross a Swift frame), because the API is partly macros, because a
// system call is variadic, or because a child runs in the memory that its parent lends it. One
// header, one .c file per concept.
#ifndef MILONGA_CSHIMS_H
#define MILONGA_CSHIMS_H

#include "milonga_function.h"
#include "milonga_guards.h"
#include "milonga_interrupt.h"
#include "milonga_limits.h"
#include "milonga_macros.h"
#include "milonga_memory.h"
#include "milonga_protected.h"
#include "milonga_signals.h"
#include "milonga_spawn.h"
#include "milonga_store.h"
#include "milonga_system.h"
#include "milonga_tables.h"
#include "milonga_vm.h"
#include "milonga_watchdog.h"
#include "milonga_zmq.h"

#endif
