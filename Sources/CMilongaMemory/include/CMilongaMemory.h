// Memory that may be lacking: allocation that fails with NULL, and the reserve for what must not
// fail.
//
// Code that lets a peer, a script or a host's value choose the size of a block asks here, and has
// an answer for NULL. In builds for debugging an allocation of the caller's choice can be made to
// fail.
#ifndef MILONGA_MEMORY_H
#define MILONGA_MEMORY_H

#include <stddef.h>

// malloc(3) and realloc(3) of at least one byte; NULL when there is no memory, with the old block
// as it was. free(3) takes the blocks back.
void *milonga_allocate(size_t bytes);
void *milonga_reallocate(void *block, size_t bytes);

// Whether so much memory could be had now.
int milonga_is_available(size_t bytes);

// Gives memory that malloc keeps free back to the system, if it is much.
void milonga_trim_memory(void);

// The reserve: address space of the process that is given back to the system when an allocation
// that must not fail has failed. It has no physical memory behind it.
enum { MILONGA_RESERVE_BYTES = 8 * 1024 * 1024 };

// Makes the reserve whole; 0 when there is no memory for it.
int milonga_fill_reserve(void);

// Gives the reserve back to the system; 0 when it is spent already.
int milonga_spend_reserve(void);

// Failing on purpose, in builds for debugging: the allocation with the number in the environment
// variable MILONGA_FAIL_ALLOCATION fails, and all later ones until milonga_failure_arrived is
// called.
int milonga_fails_on_purpose(void); // whether the variable is set and the failure has not arrived
int milonga_fails_now(void);        // counts an allocation; whether it has to fail
void milonga_failure_arrived(void); // the program knows: no allocation fails from here on

#endif
