// See board.c.
#pragma once
#include <poll.h>
#include <sys/types.h>

enum { LISTEN_FD = 7, SANDBOX_FD = 8, LAST_FD = 8 };
enum { CLIENTS_MAX = 64, BOARD_FDS = CLIENTS_MAX + 4 };

// Where a terminal is made: in the machine's /dev/pts, by an OCI runtime, in the
// folder pts of the bundle.
enum terminals { OF_MACHINE, OF_RUNTIME, OF_BUNDLE };

void board_make(const char *how, enum terminals of, const char *uid);
void board_enter(void);
int board_begin(void);
int board_fill(struct pollfd *fds);
void board_step(const struct pollfd *fds);
void board_hurry(int signal);
void board_end(int killed);
