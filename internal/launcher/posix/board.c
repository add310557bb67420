// The board: what a container reads and writes goes through its shim, so that
// people can attach to it, or so that its files are rotated. It has no process of
// its own: its descriptors are in the poll of the shim's loop.
//
//	                 ┌──▶ stdout, stderr (rotated, if asked for)
//	task ═ pipes ═ board ══▶ those who attached, by the socket LISTEN_FD
//	       or pty     ▲           │
//	                  └── input ──┘
//
// What must hold:
//   - nothing that a client does blocks the loop or takes memory without bound;
//   - a client that does not keep up with the task is cut off, and the others do
//     not notice; but whom a session belongs to holds it back, as a pipe would;
//   - what the task has written before its end is in the files, and on its way to
//     the clients, before the shim ends.
//
// A client is the agent. It says what it wants: 'o' output, 'w' output at its own
// pace, 'i' to give input; and is told 't', there is a terminal, or 'p', pipes,
// or 'x', there is no room.
// From then on there are frames either way: a letter, a zero, the length in two
// bytes with the high one first, and that many bytes.
//
//	to the client    o, e   standard output and error
//	                 z      all was said: the task is over
//	                 d      the input was taken to its end
//	                 f      the task takes no input any more
//	from it          d      input
//	                 s      rows and columns, two bytes each
//	                 c      no more input: close the task's
//
// The end of a connection for input is the end of what it gives, not of the input.

#define _GNU_SOURCE
#include "board.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 4, CHUNK = 16 * 1024, QUEUE = 512 * 1024, LINGER_MS = 2000, COMING_MS = 60000, PTY_MS = 500, HIGH_FD = 20 };

struct client {
	int fd;
	char wants; // 0: has not said
	int ended;  // says no more
	int done;   // is dropped once its queue is empty
	unsigned char in[HEAD + CHUNK];
	size_t in_len, left; // left: bytes of an input frame that are still to come
	char *out;           // QUEUE bytes, once there is something to say
	size_t head, len;
};

struct file {
	const char *name;
	char letter;
	int from;     // what the task writes; -1: it has ended
	int to;       // the file
	long long size, max; // max 0: not rotated
	int kept;            // old ones
};

static struct {
	int on, terminal, waits, listens, begun;
	enum terminals of;
	int task[3];  // the task's ends, until it has them
	int slave;    // the same, of a terminal
	int console;  // where an OCI runtime sends the terminal
	int input;    // -1: closed
	struct file files[2];
	struct client *clients[CLIENTS_MAX];
} board = {.task = {-1, -1, -1}, .slave = -1, .console = -1, .input = -1};

static void die(const char *what) {
	dprintf(2, "Failed to %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void unblock(int fd) {
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void open_file(struct file *f, const char *name, char letter, int fd) {
	struct stat st;
	f->name = name;
	f->letter = letter;
	f->from = -1;
	f->to = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
	f->size = f->to >= 0 && fstat(f->to, &st) == 0 ? st.st_size : 0;
}

static void open_pipes(const char *uid) {
	int ends[3][2];
	for (int i = 0; i < 3; i++) {
		if (pipe2(ends[i], O_CLOEXEC) != 0)
			die("make a pipe");
		board.task[i] = ends[i][i != 0];
		// Who may not open the pipe anew has no /dev/stdout.
		if (strcmp(uid, "-") != 0 && fchown(board.task[i], (uid_t)strtoul(uid, NULL, 10), (gid_t)-1) != 0)
			die("give a pipe to the task's user");
		unblock(ends[i][i == 0]);
	}
	board.input = ends[0][1];
	board.files[0].from = ends[1][0];
	board.files[1].from = ends[2][0];
}

static void use_terminal(int master) {
	unblock(master);
	board.input = board.files[0].from = master;
}

static void open_terminal(const char *path, const char *uid) {
	int master = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || unlockpt(master) != 0)
		die("open a terminal");
	board.slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (board.slave < 0)
		die("open the task's end of a terminal");
	if (strcmp(uid, "-") != 0 && fchown(board.slave, (uid_t)strtoul(uid, NULL, 10), (gid_t)-1) != 0)
		die("give the terminal to the task's user");
	use_terminal(master);
}

// listen_console makes the socket, in the folder of the bundle, by which an OCI
// runtime hands over the terminal that it has made inside the container.
static void listen_console(void) {
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "console"};
	unlink(at.sun_path);
	board.console = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (board.console < 0 || bind(board.console, (struct sockaddr *)&at, sizeof at) != 0 || listen(board.console, 1) != 0)
		die("listen for the terminal");
}

// take_console returns the terminal that a runtime has sent before it ended.
static int take_console(void) {
	char byte[64], control[CMSG_SPACE(sizeof(int))];
	struct iovec io = {byte, sizeof byte};
	struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	struct cmsghdr *head;
	int master, conn;
	fcntl(board.console, F_SETFL, O_NONBLOCK);
	conn = accept4(board.console, NULL, NULL, SOCK_CLOEXEC);
	close(board.console);
	unlink("console");
	if (conn < 0 || recvmsg(conn, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0)
		return -1;
	close(conn);
	head = CMSG_FIRSTHDR(&message);
	if (!head || head->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&master, CMSG_DATA(head), sizeof master);
	return master;
}

// board_make makes what the task reads and writes. HOW is "-" for no board, or:
// letters (t: a terminal; w: wait for the one whose session it is; s: there is a
// socket), how large stdout may become and how many old ones are kept, and the
// same of stderr.
void board_make(const char *how, enum terminals of, const char *uid) {
	char letters[8] = "";
	struct file *out = &board.files[0], *err = &board.files[1];
	if (strcmp(how, "-") == 0)
		return;
	if (sscanf(how, "%7[^,],%lld,%d,%lld,%d", letters, &out->max, &out->kept, &err->max, &err->kept) != 5) {
		errno = EINVAL;
		die("understand what becomes of the output");
	}
	board.on = 1;
	board.of = of;
	board.terminal = strchr(letters, 't') != NULL;
	board.waits = strchr(letters, 'w') != NULL;
	open_file(out, "stdout", 'o', 1);
	open_file(err, "stderr", 'e', 2);
	board.listens = strchr(letters, 's') != NULL;
	if (board.listens)
		unblock(LISTEN_FD);
	if (!board.terminal)
		open_pipes(uid);
	else if (of == OF_RUNTIME)
		listen_console();
	else
		open_terminal(of == OF_BUNDLE ? "pts/ptmx" : "/dev/ptmx", uid);
}

// board_enter is called in the task's process, or in the runtime's. A terminal is
// the task's own, and is hung up when whose it is ends: it does not become that of
// a program that only starts the task.
void board_enter(void) {
	int own = board.terminal && board.of == OF_MACHINE;
	close(LISTEN_FD);
	close(SANDBOX_FD);
	if (!board.on || (board.terminal && board.of == OF_RUNTIME))
		return;
	if (own)
		setsid();
	for (int i = 0; i < 3; i++)
		if (dup2(board.terminal ? board.slave : board.task[i], i) < 0)
			_exit(1);
	if (own && ioctl(0, TIOCSCTTY, 0) != 0)
		die("make the terminal the task's");
}

// board_begin is called when the task runs. It returns -1 if there is nothing that
// the task could be reached by.
int board_begin(void) {
	int master;
	if (!board.on)
		return 0;
	for (int i = 0; i < 3; i++)
		if (board.task[i] >= 0)
			close(board.task[i]);
	if (board.slave >= 0)
		close(board.slave);
	if (board.console >= 0) {
		if ((master = take_console()) < 0)
			return -1;
		use_terminal(master);
	}
	board.begun = !board.waits;
	return 0;
}

static void drop(int i) {
	struct client *c = board.clients[i];
	close(c->fd);
	free(c->out);
	free(c);
	board.clients[i] = NULL;
}

static void flush(int i) {
	struct client *c = board.clients[i];
	while (c->len > 0) {
		ssize_t n = send(c->fd, c->out + c->head, c->len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				drop(i);
			return;
		}
		c->head += (size_t)n;
		c->len -= (size_t)n;
	}
	c->head = 0;
	if (c->done)
		drop(i);
}

// queue puts bytes where flush finds them, and tells whether there is room.
static int queue(struct client *c, const void *data, size_t n) {
	if (!c->out && !(c->out = malloc(QUEUE)))
		return 0;
	if (c->len + n > QUEUE)
		return 0;
	if (c->head + c->len + n > QUEUE) {
		memmove(c->out, c->out + c->head, c->len);
		c->head = 0;
	}
	memcpy(c->out + c->head + c->len, data, n);
	c->len += n;
	return 1;
}

// say sends a frame; who has no room for it is cut off.
static void say(int i, char letter, const void *data, size_t n) {
	unsigned char head[HEAD] = {(unsigned char)letter, 0, (unsigned char)(n >> 8), (unsigned char)n};
	struct client *c = board.clients[i];
	if (!queue(c, head, sizeof head) || !queue(c, data, n))
		drop(i);
	else
		flush(i);
}

// held tells whether the task has to wait: for somebody to be there, or for the
// one whose session it is.
static int held(void) {
	if (!board.begun)
		return 1;
	for (int i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = board.clients[i];
		if (c && c->wants == 'w' && c->len + 2 * (HEAD + CHUNK) > QUEUE)
			return 1;
	}
	return 0;
}

// rotate begins a file anew and keeps the old ones under numbers. The task owns the
// folder and may have put anything there: no link is followed, and where a file
// cannot be set aside it is emptied.
static void rotate(struct file *f) {
	char from[32], to[32];
	struct stat st;
	int fd;
	for (int i = f->kept - 1; i >= 0; i--) {
		snprintf(from, sizeof from, i == 0 ? "%s" : "%s.%d", f->name, i);
		snprintf(to, sizeof to, "%s.%d", f->name, i + 1);
		renameat(SANDBOX_FD, from, SANDBOX_FD, to);
	}
	unlinkat(SANDBOX_FD, f->name, 0);
	f->size = 0;
	fd = openat(SANDBOX_FD, f->name, O_CREAT | O_EXCL | O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || fstat(f->to, &st) != 0) {
		if (ftruncate(f->to, 0) != 0)
			f->size = f->max; // tried again with the next bytes
		return;
	}
	if (fchown(fd, st.st_uid, st.st_gid) != 0)
		errno = 0; // it stays ours, and can be read
	close(f->to);
	f->to = fd;
}

// keep writes to a file. What a full disk does not take is lost: the task goes on.
static void keep(struct file *f, const char *data, size_t n) {
	if (f->max > 0 && f->size + (long long)n > f->max)
		rotate(f);
	f->size += (long long)n;
	while (n > 0) {
		ssize_t w = write(f->to, data, n);
		if (w <= 0)
			return;
		data += w;
		n -= (size_t)w;
	}
}

// pass takes on what the task has written. It returns what read did.
static ssize_t pass(struct file *f) {
	char data[CHUNK];
	ssize_t n = read(f->from, data, sizeof data);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			if (!board.terminal)
				close(f->from);
			f->from = -1;
		}
		return n;
	}
	keep(f, data, (size_t)n);
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (board.clients[i] && strchr("ow", board.clients[i]->wants ? board.clients[i]->wants : '-'))
			say(i, f->letter, data, (size_t)n);
	return n;
}

static void welcome(void) {
	struct ucred who;
	socklen_t size = sizeof who;
	struct client *c;
	int i, fd = accept4(LISTEN_FD, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	for (i = 0; i < CLIENTS_MAX && board.clients[i]; i++)
		;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || who.uid != geteuid() ||
	    i == CLIENTS_MAX || !(c = calloc(1, sizeof *c))) {
		send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		close(fd);
		return;
	}
	c->fd = fd;
	board.clients[i] = c;
}

// eat drops the first n bytes that a client has sent.
static void eat(struct client *c, size_t n) {
	c->in_len -= n;
	memmove(c->in, c->in + n, c->in_len);
}

// give hands input to the task. It returns how many bytes of what is there were
// taken, or -1 if the task takes none any more.
static ssize_t give(struct client *c) {
	size_t n = c->in_len < c->left ? c->in_len : c->left;
	ssize_t w;
	if (n == 0)
		return 0;
	w = board.input < 0 ? -1 : write(board.input, c->in, n);
	if (w < 0)
		return board.input >= 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
	eat(c, (size_t)w);
	c->left -= (size_t)w;
	return w;
}

// obey does what a frame says but for input, of which it notes the length.
static void obey(struct client *c) {
	size_t n = (size_t)c->in[2] << 8 | c->in[3];
	if (c->in[0] == 'd') {
		eat(c, HEAD);
		c->left = n;
		return;
	}
	if (c->in[0] == 's' && n == 4 && board.terminal) {
		struct winsize size = {.ws_row = (unsigned short)(c->in[4] << 8 | c->in[5]), .ws_col = (unsigned short)(c->in[6] << 8 | c->in[7])};
		ioctl(board.input, TIOCSWINSZ, &size);
	}
	if (c->in[0] == 'c' && !board.terminal && board.input >= 0) {
		close(board.input);
		board.input = -1;
	}
	eat(c, HEAD + n);
}

// part says the last word to a client.
static void part(int i, char letter) {
	board.clients[i]->done = 1;
	say(i, letter, "", 0);
}

// hear works through what a client has sent.
static void hear(int i) {
	struct client *c = board.clients[i];
	if (!c->wants && c->in_len > 0) {
		c->wants = (char)c->in[0];
		eat(c, 1);
		if (!strchr("owi", c->wants ? c->wants : '-') || !queue(c, board.terminal ? "t" : "p", 1)) {
			drop(i);
			return;
		}
		board.begun |= c->wants != 'i';
	}
	while (c->in_len > 0 && !c->done) {
		size_t n = c->in_len >= HEAD ? (size_t)c->in[2] << 8 | c->in[3] : 0;
		if (c->left > 0) {
			ssize_t w = give(c);
			if (w < 0) {
				part(i, 'f');
				return;
			}
			if (w == 0)
				return;
		} else if (n > CHUNK) {
			drop(i); // no agent of ours says so much at once
			return;
		} else if (c->in_len < HEAD || (c->in[0] != 'd' && c->in_len < HEAD + n)) {
			break;
		} else {
			obey(c);
		}
	}
	if (c->ended && !c->done) {
		part(i, 'd');
		return;
	}
	flush(i);
}

static void listen_to(int i) {
	struct client *c = board.clients[i];
	ssize_t n = recv(c->fd, c->in + c->in_len, sizeof c->in - c->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 || (n == 0 && c->wants != 'i')) {
		drop(i);
		return;
	}
	c->ended = n == 0;
	c->in_len += (size_t)n;
	hear(i);
}

// board_fill says what to wait for: BOARD_FDS places, those of clients first.
int board_fill(struct pollfd *fds) {
	int wait = held(), waiting = 0;
	if (!board.on)
		return 0;
	for (int i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = board.clients[i];
		fds[i] = (struct pollfd){.fd = c ? c->fd : -1};
		if (!c)
			continue;
		if (!c->ended && c->in_len < sizeof c->in)
			fds[i].events |= POLLIN;
		if (c->len > 0)
			fds[i].events |= POLLOUT;
		if (c->ended && c->len == 0)
			fds[i].fd = -1; // says nothing, and has nothing to hear
		waiting |= c->left > 0 && c->in_len > 0;
	}
	fds[CLIENTS_MAX] = (struct pollfd){.fd = board.listens ? LISTEN_FD : -1, .events = POLLIN};
	for (int i = 0; i < 2; i++)
		fds[CLIENTS_MAX + 1 + i] = (struct pollfd){.fd = wait ? -1 : board.files[i].from, .events = POLLIN};
	fds[CLIENTS_MAX + 3] = (struct pollfd){.fd = waiting ? board.input : -1, .events = POLLOUT};
	return BOARD_FDS;
}

// board_step does what can be done.
void board_step(const struct pollfd *fds) {
	if (!board.on)
		return;
	for (int i = 0; i < 2; i++)
		if (fds[CLIENTS_MAX + 1 + i].revents && !held())
			pass(&board.files[i]);
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (board.clients[i] && fds[i].revents & POLLOUT)
			flush(i);
		if (board.clients[i] && fds[i].fd >= 0 && fds[i].revents & (POLLIN | POLLHUP | POLLERR))
			listen_to(i);
		if (board.clients[i] && fds[CLIENTS_MAX + 3].revents)
			hear(i);
	}
	if (fds[CLIENTS_MAX].revents & POLLIN)
		welcome();
}

static long long now_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

// unsaid tells whether a client waits for something: any, or the one whose session
// it is.
static int unsaid(int of_all) {
	for (int i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = board.clients[i];
		if (c && c->len > 0 && (of_all || c->wants == 'w'))
			return 1;
	}
	return 0;
}

// rest takes on what the task has left in its pipes, and tells whether that is all.
// A terminal says that it has ended, but maybe not at once.
static int rest(int may_come) {
	int all = 1;
	for (int i = 0; i < 2; i++) {
		struct file *f = &board.files[i];
		while (f->from >= 0 && !held() && pass(f) > 0)
			;
		if (f->from >= 0 && (held() || (board.terminal && may_come)))
			all = 0;
	}
	return all;
}

// farewell tells those who listen that all was said.
static void farewell(void) {
	board.files[0].from = board.files[1].from = -1;
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (board.clients[i] && (board.clients[i]->wants == 'o' || board.clients[i]->wants == 'w'))
			part(i, 'z');
}

static volatile sig_atomic_t hurried;

// board_hurry is called when the agent kills a container that has ended.
void board_hurry(int signal) {
	(void)signal;
	hurried = 1;
}

// release lets nobody hold the end back for longer than others do.
static void release(void) {
	board.begun = 1;
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (board.clients[i] && board.clients[i]->wants == 'w')
			board.clients[i]->wants = 'o';
}

// board_end is called when nothing of the task is left. It takes on what the task
// has written, and gives clients a moment to take it; whose session it was, as long
// as it takes, unless the container was killed, or is.
void board_end(int killed) {
	struct pollfd fds[BOARD_FDS];
	long long start = now_ms(), now;
	int said = 0;
	if (!board.on)
		return;
	for (;;) {
		if (killed || hurried)
			release();
		now = now_ms() - start;
		if (!said && rest(now < PTY_MS)) {
			said = 1;
			farewell();
		}
		if (said && !unsaid(1))
			return;
		if (now >= LINGER_MS && !(board.begun ? unsaid(0) : now < COMING_MS))
			return;
		board_fill(fds);
		if (poll(fds, BOARD_FDS, 20) > 0)
			board_step(fds);
	}
}
