// The shim: the first process of every container of the posix launcher.
//
// It is the meseta binary started under the name "meseta-shim" and taken over
// here, in a constructor, before the Go runtime exists: a fork of a process
// that has no threads and touches few pages is what makes a launch cheap.
//
// What must hold:
//   - it leads a session of its own and is the reaper of all that descends
//     from the task, so the whole tree can be found below its pid;
//   - it never dies of a signal meant for the task (only of SIGKILL); by SIGUSR1 the
//     agent says that it waits for the end;
//   - the task's raw wait status is in the status file before the shim ends;
//   - nothing of the task outlives it.
//
// Arguments: meseta-shim CONTAINER UID GID GROUPS TETHER BUNDLE HOW BOARD LIMITS PATH ARGV0 [ARG…]
// (UID "-": keep the agent's identity; GROUPS: numbers with commas, or "-";
// TETHER: "tethered", or "-"; BUNDLE: "-", or the folder of a container of an
// OCI runtime; HOW: letters that say what is made for it; BOARD: "-", or what
// becomes of what the task reads and writes: see board.c; LIMITS: "-" and, for each
// limit of a resource, RESOURCE:SOFT:HARD, by numbers).
//
// With a BUNDLE, PATH is an OCI runtime that starts the container, writes the
// pid of its first process to BUNDLE/pid and ends; that process becomes our
// child then, for we reap what descends from us, and its wait status is the
// task's. With "p" in HOW the container gets a pid namespace that begins with a
// process of ours: so the task is not its init, which signals would not end and
// which had to reap; and killing that init is killing all there is. The runtime
// finds the namespace at BUNDLE/pidns. With "i" that is owned by a user namespace, at
// BUNDLE/userns, with the line of BUNDLE/ids for its maps. With "r" it finds the machine's own root at
// BUNDLE/rootfs, and with "u" no cgroups of version 2 beside those of version 1.
// With "n" the network namespace that BUNDLE/net links to is at BUNDLE/netns, with
// "e" the runtime is in it, and BUNDLE/sys, if there, is a sysfs that shows it; and
// with "d" the mount that BUNDLE/drop links to is not there: it has the network
// namespaces of all containers, which would live on with this one.
// With "b" BUNDLE/both-0 and so on are what BUNDLE/both-0.from and so on link to, as
// mounts that are shared with the machine's, when no other is any more.
// With "m" PATH does not end but stays as the monitor of what it has started, as
// LXC's does. It is ended when the task's program begins, which then is our child
// all the same: until then we trace what PATH starts, so the program does not run
// before. And then what BUNDLE/orders says is done to the task, which has lines:
//	group FILE              write its pid to FILE
//	limit RESOURCE SOFT HARD    set a resource limit, by numbers
//	mount FLAGS PATH        add flags, a number, to a mount that it sees; these come last
// With "t" there is an instance of devpts at BUNDLE/pts; the terminal of a
// task is made there.
// With "h" there is no program: the task is an init that only holds what is made, its
// pid goes to BUNDLE/pid, and with "s" it has an IPC namespace of its own, with a /dev/shm
// mounted with the options that PATH is.
// BUNDLE/parent links to the folder in /proc of a process of the container that this
// one is in. With "P" the pid namespace of "p" is one in that process's, and without
// "p" BUNDLE/pidns is that process's. With "I" BUNDLE/ipcns is its IPC namespace, and
// BUNDLE/shm what is at its /dev/shm.
// All that is in a mount namespace of the shim's, so nobody has to undo it.
// Descriptors: 0, 1, 2 are the task's, or the board's where there is one; 3 is the status file; 4 holds the
// task's environment, each variable ended by a NUL (the shim has none itself);
// 5 is a pipe on which the agent waits until the task has been forked, for
// before that there is nobody whom it could kill. 6, if tethered, is a pipe
// whose other end is the agent's: when the agent dies, so does the task. 7 is the
// socket that the board listens on, 8 the folder of the files that it rotates.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board.h"

enum { STATUS_FD = 3, ENVIRONMENT_FD = 4, FORKED_FD = 5, TETHER_FD = 6, GROUPS_MAX = 1024, ARGS_MIN = 12, BOTH_MAX = 64 };

static void fail(const char *what, const char *name) {
	dprintf(2, "%s '%s': %s\n", what, name, strerror(errno));
	_exit(1);
}

static void signals(void (*disposition)(int)) {
	for (int s = 1; s < 32; s++)
		if (s != SIGCHLD && s != SIGKILL && s != SIGSTOP)
			signal(s, disposition);
}

static void switch_user(char **argv) {
	gid_t groups[GROUPS_MAX];
	int n = 0;
	if (strcmp(argv[2], "-") == 0)
		return;
	if (strcmp(argv[4], "-") != 0)
		for (char *s = strtok(argv[4], ","); s && n < GROUPS_MAX; s = strtok(NULL, ","))
			groups[n++] = (gid_t)strtoul(s, NULL, 10);
	if (setgroups(n, groups) != 0)
		fail("Failed to set the groups of user", argv[2]);
	if (setgid((gid_t)strtoul(argv[3], NULL, 10)) != 0)
		fail("Failed to switch to group", argv[3]);
	if (setuid((uid_t)strtoul(argv[2], NULL, 10)) != 0)
		fail("Failed to switch to user", argv[2]);
}

// set_limits sets limits, which for higher ones takes the rights of the agent.
static void set_limits(const char *limits) {
	unsigned long long soft, hard;
	int what, length;
	for (limits++; sscanf(limits, "%d:%llu:%llu,%n", &what, &soft, &hard, &length) == 3; limits += length)
		if (setrlimit(what, &(struct rlimit){soft, hard}) != 0)
			fail("Failed to set the limits of resources", limits);
}

// use_environment makes the content of ENVIRONMENT_FD the environment.
static void use_environment(void) {
	off_t size = lseek(ENVIRONMENT_FD, 0, SEEK_END);
	char *text = malloc((size_t)size + 1);
	char **vars, *end = text + size;
	size_t n = 0;
	if (size < 0 || !text || pread(ENVIRONMENT_FD, text, (size_t)size, 0) != size)
		fail("Failed to read the environment of", program_invocation_name);
	for (char *s = text; s < end; s++)
		n += *s == 0;
	if (!(vars = calloc(n + 1, sizeof *vars)))
		fail("Failed to hold the environment of", program_invocation_name);
	n = 0;
	for (char *s = text; s < end; s += strlen(s) + 1)
		vars[n++] = s;
	environ = vars;
	close(ENVIRONMENT_FD);
}

static void run_task(char **argv, pid_t shim) {
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signals(SIG_DFL);
	close(STATUS_FD);
	close(FORKED_FD);
	close(TETHER_FD);
	board_enter();
	use_environment();
	set_limits(argv[9]);
	switch_user(argv);
	// A task whose shim is gone could not be accounted for any more. Changing
	// credentials clears this, so it comes after.
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != shim)
		_exit(1);
	if (strchr(argv[7], 'm') && (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 || raise(SIGSTOP) != 0))
		fail("Failed to have traced", argv[10]);
	execvp(argv[10], argv + 11);
	fail("Failed to execute", argv[10]);
}

// kill_children kills what is left of the task; grandchildren come to us when
// their parents die, so this repeats until there is nobody to wait for.
static void kill_children(void) {
	char path[64];
	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	for (;;) {
		int pid, seen = 0;
		FILE *f = fopen(path, "re");
		if (f) {
			while (fscanf(f, "%d", &pid) == 1) {
				seen = 1;
				kill(pid, SIGKILL);
			}
			fclose(f);
		}
		if (!seen || (waitpid(-1, NULL, 0) < 0 && errno == ECHILD))
			return;
	}
}

static void on_child(int s) {
	(void)s; // interrupts ppoll
}

// wait_for returns the task's wait status. Orphans are reaped on the way. When
// the agent at the other end of the tether is gone, everything is killed.
static int wait_for(pid_t task, int tether) {
	sigset_t child, before;
	int status;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &before);
	signal(SIGCHLD, on_child);
	for (;;) {
		struct pollfd fds[1 + BOARD_FDS] = {{.fd = tether, .events = 0}};
		nfds_t n = 1 + (nfds_t)board_fill(fds + 1);
		pid_t pid;
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == task)
				return status;
		if (pid < 0)
			return SIGKILL; // cannot be: the task is ours to wait for
		if (ppoll(fds, n, NULL, &before) <= 0)
			continue;
		if (fds[0].revents) {
			kill_children();
			return SIGKILL;
		}
		board_step(fds + 1);
	}
}

// mapped is how an init in a user namespace learns that it is root there.
static int mapped[2];

// map_ids gives the user namespace of a process its ids.
static void map_ids(char **argv, pid_t init) {
	char from[4096], to[4096], line[128];
	const char *maps[] = {"uid_map", "gid_map"};
	snprintf(from, sizeof from, "%s/ids", argv[6]);
	int fd = open(from, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof line);
	if (n <= 0)
		fail("Failed to read", from);
	close(fd);
	for (int i = 0; i < 2; i++) {
		snprintf(to, sizeof to, "/proc/%d/%s", (int)init, maps[i]);
		if ((fd = open(to, O_WRONLY | O_CLOEXEC)) < 0 || write(fd, line, (size_t)n) != n)
			fail("Failed to map the ids of", argv[1]);
		close(fd);
	}
	snprintf(from, sizeof from, "/proc/%d/ns/user", (int)init);
	snprintf(to, sizeof to, "%s/userns", argv[6]);
	if (mount(from, to, NULL, MS_BIND, NULL) != 0)
		fail("Failed to bind the user namespace to", to);
	if (write(mapped[1], "1", 1) != 1)
		fail("Failed to wake the init of", argv[1]);
	close(mapped[0]);
	close(mapped[1]);
}

// idle is the life of the init of a container's pid namespace: it reaps. What
// runs in the namespace can see it, so it has an empty folder for its root and
// lets nobody look into its memory.
static int idle(void *argument) {
	char **argv = argument;
	sigset_t all;
	int s;
	char byte;
	if (strchr(argv[7], 'i')) { // from here on it is nobody on the machine
		if (read(mapped[0], &byte, 1) != 1 || setgroups(0, NULL) != 0 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
			_exit(1);
		close(mapped[0]);
		close(mapped[1]);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);
	for (int fd = 0; fd <= LAST_FD; fd++)
		close(fd);
	if (chdir(argv[6]) != 0 || chroot("void") != 0 || chdir("/") != 0)
		_exit(1);
	for (char **word = argv; *word; word++) // where things are on the machine is not theirs to know
		memset(*word, 0, strlen(*word));
	strcpy(argv[0], "init");
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&all);
	sigaddset(&all, SIGCHLD);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (;;) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		sigwait(&all, &s);
	}
}

// take_shared opens a copy of the tree at BUNDLE/both-N.from, which is a peer of
// what is there. -1: there is no such N.
static int take_shared(char **argv, int n) {
	char from[4096];
	int fd;
	snprintf(from, sizeof from, "%s/both-%d.from", argv[6], n);
	fd = (int)syscall(SYS_open_tree, AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (fd < 0 && errno != ENOENT)
		fail("Failed to share the mounts of", from);
	return fd;
}

static void put_shared(char **argv, int n, int fd) {
	char to[4096];
	snprintf(to, sizeof to, "%s/both-%d", argv[6], n);
	if (syscall(SYS_move_mount, fd, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) != 0)
		fail("Failed to mount what is shared at", to);
	close(fd);
}

// enter_network goes where BUNDLE/net links to.
static void enter_network(char **argv) {
	char path[4096];
	snprintf(path, sizeof path, "%s/net", argv[6]);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
		fail("Failed to enter the network namespace", path);
	close(fd);
	snprintf(path, sizeof path, "%s/sys", argv[6]);
	if (mount("sysfs", path, "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL) != 0 && errno != ENOENT)
		fail("Failed to mount a sysfs at", path);
}

// open_parents opens a file in the folder in /proc of the parent's process.
static int open_parents(char **argv, const char *name) {
	char path[4096];
	int fd;
	snprintf(path, sizeof path, "%s/parent/%s", argv[6], name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		fail("Failed to look at the parent of", argv[1]);
	return fd;
}

static void bind_parents(char **argv, const char *name, const char *at) {
	char from[4096], to[4096];
	snprintf(from, sizeof from, "%s/parent/%s", argv[6], name);
	snprintf(to, sizeof to, "%s/%s", argv[6], at);
	if (mount(from, to, NULL, MS_BIND, NULL) != 0)
		fail("Failed to bind what is the parent's to", to);
}

// copy_shm is the life of a child that looks at what the parent sees, with our files:
// its exit status is the one that it has opened, a copy of the mount at /dev/shm.
static int copy_shm(void *argument) {
	char **argv = argument;
	int fd;
	if (setns(open_parents(argv, "ns/mnt"), CLONE_NEWNS) != 0)
		fail("Failed to enter the mounts of the parent of", argv[1]);
	if ((fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/dev/shm", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)) < 0)
		fail("Failed to share the /dev/shm of the parent of", argv[1]);
	return fd;
}

static char stack[64 * 1024] __attribute__((aligned(16)));

// join_ipc makes the parent's IPC namespace and its /dev/shm ours to give.
static void join_ipc(char **argv) {
	char to[4096];
	int status;
	pid_t child;
	bind_parents(argv, "ns/ipc", "ipcns");
	child = clone(copy_shm, stack + sizeof stack, CLONE_FILES | SIGCHLD, argv);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) <= LAST_FD)
		fail("Failed to share /dev/shm with", argv[1]);
	snprintf(to, sizeof to, "%s/shm", argv[6]);
	if (syscall(SYS_move_mount, WEXITSTATUS(status), "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) != 0)
		fail("Failed to mount what is shared at", to);
	close(WEXITSTATUS(status));
}

// own_ipc makes an IPC namespace and a /dev/shm to be shared.
static void own_ipc(char **argv) {
	if (unshare(CLONE_NEWIPC) != 0 || mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, argv[10]) != 0)
		fail("Failed to make an IPC namespace for", argv[1]);
}

// begin_below makes a pid namespace in the one that it was begun in. Its init becomes
// the child of our parent.
static int begin_below(void *argument) {
	// The upper half of the stack is what this runs on.
	return clone(idle, stack + sizeof stack / 2, CLONE_NEWPID | CLONE_PARENT | SIGCHLD, argument) < 0;
}

// begin_pids makes a pid namespace, in the parent's if it is to be, and returns its
// init, which is our only child then.
static pid_t begin_pids(char **argv, int flags) {
	char path[64];
	int own, parents, status, init = -1;
	pid_t child;
	FILE *f;
	if (!strchr(argv[7], 'P'))
		return clone(idle, stack + sizeof stack, CLONE_NEWPID | flags | SIGCHLD, argv);
	own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	parents = open_parents(argv, "ns/pid");
	if (own < 0 || setns(parents, CLONE_NEWPID) != 0 || (child = clone(begin_below, stack + sizeof stack, SIGCHLD, argv)) < 0)
		return -1;
	if (waitpid(child, &status, 0) < 0 || status != 0 || setns(own, CLONE_NEWPID) != 0)
		return -1;
	close(own);
	close(parents);
	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	if ((f = fopen(path, "re"))) {
		if (fscanf(f, "%d", &init) != 1)
			init = -1;
		fclose(f);
	}
	return init;
}

// prepare makes what HOW asks for, and returns the init of a pid namespace if that is.
static pid_t prepare(char **argv) {
	char from[4096], to[4096];
	pid_t init = 0;
	int shared[BOTH_MAX], n = 0;
	if (strcmp(argv[7], "-") == 0)
		return 0;
	if (unshare(CLONE_NEWNS) != 0)
		fail("Failed to make a mount namespace for", argv[1]);
	if (strchr(argv[7], 'b'))
		while (n < BOTH_MAX && (shared[n] = take_shared(argv, n)) >= 0)
			n++;
	if (mount("", "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
		fail("Failed to leave the peers of the mounts of", argv[1]);
	for (int i = 0; i < n; i++)
		put_shared(argv, i, shared[i]);
	// crun makes folders there for what it takes to be groups, so there is a place for
	// them that goes with the container. Below the mount is the machine's.
	if (strchr(argv[7], 'u') && mount("none", "/sys/fs/cgroup/unified", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700,size=64k") != 0)
		fail("Failed to hide", "/sys/fs/cgroup/unified");
	if (strchr(argv[7], 's'))
		own_ipc(argv);
	if (strchr(argv[7], 'I'))
		join_ipc(argv);
	if (strchr(argv[7], 'P') && !strchr(argv[7], 'p'))
		bind_parents(argv, "ns/pid", "pidns");
	if (strchr(argv[7], 'p')) {
		int users = strchr(argv[7], 'i') ? CLONE_NEWUSER : 0;
		if (users && pipe2(mapped, O_CLOEXEC) != 0)
			fail("Failed to make a pipe for", argv[1]);
		init = begin_pids(argv, users);
		if (init < 0)
			fail("Failed to make a pid namespace for", argv[1]);
		if (users)
			map_ids(argv, init);
		snprintf(from, sizeof from, "/proc/%d/ns/pid", (int)init);
		snprintf(to, sizeof to, "%s/pidns", argv[6]);
		if (mount(from, to, NULL, MS_BIND, NULL) != 0)
			fail("Failed to bind the pid namespace to", to);
	}
	snprintf(from, sizeof from, "%s/net", argv[6]);
	snprintf(to, sizeof to, "%s/netns", argv[6]);
	if (strchr(argv[7], 'n') && mount(from, to, NULL, MS_BIND, NULL) != 0)
		fail("Failed to bind the network namespace to", to);
	if (strchr(argv[7], 'e'))
		enter_network(argv);
	snprintf(from, sizeof from, "%s/drop", argv[6]);
	if (strchr(argv[7], 'd'))
		umount2(from, MNT_DETACH); // nothing is there while no container has a network
	snprintf(to, sizeof to, "%s/rootfs", argv[6]);
	if (strchr(argv[7], 'r') && mount("/", to, NULL, MS_BIND | MS_REC, NULL) != 0)
		fail("Failed to bind the root to", to);
	snprintf(to, sizeof to, "%s/pts", argv[6]);
	if (strchr(argv[7], 't') && mount("devpts", to, "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620") != 0)
		fail("Failed to mount terminals at", to);
	return init;
}

// hold returns the process that holds what is made: init, if there is one.
static pid_t hold(char **argv, pid_t init) {
	char path[4096];
	FILE *f;
	if (init == 0)
		init = clone(idle, stack + sizeof stack, SIGCHLD, argv);
	snprintf(path, sizeof path, "%s/pid", argv[6]);
	f = fopen(path, "we");
	if (init < 0 || !f || fprintf(f, "%d", (int)init) < 0 || fclose(f) != 0)
		fail("Failed to hold what is shared by", argv[1]);
	return init;
}

// started waits for the runtime and returns the first process of the container,
// or 0 if there is none.
static pid_t started(char **argv, pid_t runtime) {
	char path[4096];
	int status, pid = 0;
	FILE *f;
	while (waitpid(runtime, &status, 0) < 0)
		if (errno != EINTR)
			return 0;
	if (status != 0)
		return 0;
	snprintf(path, sizeof path, "%s/pid", argv[6]);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid;
}

// begun waits until something that a monitor has started executes a program, and
// returns its pid, which is stopped then; or 0 if the monitor ends before. All that
// the monitor starts is traced until then. When any of it is killed, as all is with the
// pid namespace that it is in, the monitor is too: LXC's would wait for ever for what the
// dead has to say, and by not reaping it hold up the end of the namespace.
static pid_t begun(pid_t monitor) {
	const long all = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	int status, signal;
	pid_t pid;
	while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (pid == monitor && !WIFSTOPPED(status))
			return 0;
		if (pid > 0 && WIFSIGNALED(status))
			kill(monitor, SIGKILL);
		if (pid <= 0 || !WIFSTOPPED(status))
			continue;
		if (status >> 16 == PTRACE_EVENT_EXEC && pid != monitor)
			return pid;
		signal = WSTOPSIG(status);
		if (pid == monitor && signal == SIGSTOP)
			ptrace(PTRACE_SETOPTIONS, pid, NULL, all);
		if (status >> 16 != 0 || signal == SIGSTOP)
			signal = 0; // the kernel's way to tell of something
		ptrace(PTRACE_CONT, pid, NULL, signal);
	}
	return 0;
}

// carry_out does to a task what a line of its orders says.
static int carry_out(const char *line, pid_t task) {
	const unsigned long kept = ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME | ST_NODIRATIME; // as of mount
	unsigned long flags;
	unsigned long long soft, hard;
	int what, start;
	struct statvfs now;
	FILE *group;
	if (strncmp(line, "group ", 6) == 0)
		return (group = fopen(line + 6, "we")) && fprintf(group, "%d", (int)task) > 0 && fclose(group) == 0 ? 0 : -1;
	if (sscanf(line, "limit %d %llu %llu", &what, &soft, &hard) == 3)
		return prlimit(task, what, &(struct rlimit){soft, hard}, NULL);
	if (sscanf(line, "mount %lu %n", &flags, &start) == 1)
		return statvfs(line + start, &now) != 0 ? -1 : mount("", line + start, NULL, MS_REMOUNT | MS_BIND | flags | (now.f_flag & kept), NULL);
	return -1;
}

// obey carries out the orders in a bundle, those about mounts among what the task
// sees. It returns 0 if all is done.
static int obey(const char *bundle, pid_t task) {
	char line[4096 + 64];
	int status, space;
	pid_t inside;
	FILE *orders;
	snprintf(line, sizeof line, "%s/orders", bundle);
	orders = fopen(line, "re");
	snprintf(line, sizeof line, "/proc/%d/ns/mnt", (int)task);
	space = open(line, O_RDONLY | O_CLOEXEC);
	if (!orders || space < 0 || (inside = fork()) < 0)
		fail("Failed to prepare the task of", bundle);
	if (inside == 0) {
		for (int entered = 0; fgets(line, sizeof line, orders);) {
			line[strcspn(line, "\n")] = 0;
			if (line[0] == 'm' && !entered++ && setns(space, CLONE_NEWNS) != 0)
				fail("Failed to enter the mounts of", bundle);
			if (carry_out(line, task) != 0)
				fail("Failed to do as ordered", line);
		}
		_exit(0);
	}
	fclose(orders);
	close(space);
	while (waitpid(inside, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

// released has a monitor start the task and ends it then. It returns the task, or 0
// if there is none. A monitor may make files that the task writes to its own; they
// stay as they were.
static pid_t released(char **argv, pid_t monitor) {
	struct stat files[3];
	char path[4096];
	pid_t task;
	FILE *f;
	for (int fd = 0; fd < 3; fd++)
		if (fstat(fd, &files[fd]) != 0)
			files[fd].st_mode = 0;
	if ((task = begun(monitor)) == 0)
		return 0;
	if (obey(argv[6], task) != 0)
		return 0;
	kill(monitor, SIGKILL);
	waitpid(monitor, NULL, __WALL);
	for (int fd = 0; fd < 3; fd++)
		if (S_ISREG(files[fd].st_mode) && (fchown(fd, files[fd].st_uid, files[fd].st_gid) != 0 || fchmod(fd, files[fd].st_mode & 07777) != 0))
			errno = 0; // then the task's user owns it, which is no harm
	snprintf(path, sizeof path, "%s/pid", argv[6]);
	f = fopen(path, "we");
	if (!f || fprintf(f, "%d", (int)task) < 0 || fclose(f) != 0)
		fail("Failed to write", path);
	ptrace(PTRACE_DETACH, task, NULL, NULL);
	return task;
}

// start starts the task and returns it, or 0 if there is none.
static pid_t start(char **argv, pid_t init) {
	pid_t self = getpid(), task;
	if (strchr(argv[7], 'h'))
		return hold(argv, init);
	if ((task = fork()) < 0)
		fail("Failed to fork for", argv[10]);
	if (task == 0)
		run_task(argv, self);
	if (strcmp(argv[6], "-") == 0)
		return task;
	return strchr(argv[7], 'm') ? released(argv, task) : started(argv, task);
}

static void close_all_but_status(void) {
	for (int fd = 0; fd <= FORKED_FD; fd++)
		if (fd != STATUS_FD)
			close(fd); // the task's pipes and files are not ours to keep open
}

static void shim(char **argv) {
	pid_t init, task;
	int status = 0;

	setsid();
	prctl(PR_SET_NAME, "meseta-shim");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		fail("Failed to become the reaper of", argv[1]);
	signals(SIG_IGN);
	signal(SIGUSR1, board_hurry);
	init = prepare(argv);
	board_make(argv[8], strcmp(argv[6], "-") == 0 ? OF_MACHINE : strchr(argv[7], 'm') ? OF_BUNDLE : OF_RUNTIME, argv[2]);
	task = start(argv, init);
	if (task == 0 || board_begin() != 0) {
		kill_children();
		_exit(1); // with the status file empty: nothing has run
	}
	if (strcmp(argv[6], "-") != 0 && write(FORKED_FD, "1", 1) < 0)
		errno = 0; // the agent is gone: nobody is left who wants to know
	close_all_but_status();
	status = wait_for(task, strcmp(argv[5], "tethered") == 0 ? TETHER_FD : -1);
	dprintf(STATUS_FD, "%d", status);
	close(STATUS_FD);
	kill_children();
	board_end(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	_exit(0);
}

__attribute__((constructor)) static void enter(int argc, char **argv) {
	if (argc >= ARGS_MIN && argv && strcmp(argv[0], "meseta-shim") == 0)
		shim(argv);
}
