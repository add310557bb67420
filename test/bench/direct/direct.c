// A container without a runtime: the isolation that the oci launcher has a runtime
// make, made here. The Go program starts itself under the name "direct", and this
// runs in a constructor, as the shim does (internal/launcher/posix/shim.c).
//
// Arguments: direct ROOT SANDBOX GROUP… -- PROGRAM [ARG…]. ROOT is an empty folder,
// GROUPs are those that the program is to be in. Descriptor 3 closes when the program
// runs.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY_FD = 3, CAPS = 0xa80425fb }; // those that containers get which ask for none

static void must(long result, const char *what) {
	if (result >= 0)
		return;
	dprintf(2, "direct: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static int idle(void *unused) {
	sigset_t all;
	int s;
	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(READY_FD);
	sigemptyset(&all);
	sigaddset(&all, SIGCHLD);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (;;) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		sigwait(&all, &s);
	}
}

static char at[4096];

static const char *in(const char *root, const char *path) {
	snprintf(at, sizeof at, "%s%s", root, path);
	return at;
}

static void make_dev(const char *root) {
	static const struct { const char *name; int major, minor; } nodes[] = {
		{"/dev/null", 1, 3}, {"/dev/zero", 1, 5}, {"/dev/full", 1, 7}, {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
	};
	static const char *links[][2] = {
		{"pts/ptmx", "/dev/ptmx"}, {"/proc/self/fd", "/dev/fd"}, {"/proc/self/fd/0", "/dev/stdin"}, {"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"},
	};
	must(mount("tmpfs", in(root, "/dev"), "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"), "/dev");
	must(mkdir(in(root, "/dev/pts"), 0755), "/dev/pts");
	must(mount("devpts", at, "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"), "/dev/pts");
	must(mkdir(in(root, "/dev/shm"), 0755), "/dev/shm");
	must(mount("shm", at, "tmpfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=1777"), "/dev/shm");
	must(mkdir(in(root, "/dev/mqueue"), 0755), "/dev/mqueue");
	must(mount("mqueue", at, "mqueue", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL), "/dev/mqueue");
	for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
		must(mknod(in(root, nodes[i].name), S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)), nodes[i].name);
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		must(symlink(links[i][0], in(root, links[i][1])), links[i][1]);
}

static void hide(const char *root) {
	static const char *masked[] = {
		"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
	};
	static const char *read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
	for (size_t i = 0; i < sizeof read_only / sizeof *read_only; i++)
		if (mount(in(root, read_only[i]), at, NULL, MS_BIND | MS_REC, NULL) == 0)
			must(mount(NULL, at, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), at);
	for (size_t i = 0; i < sizeof masked / sizeof *masked; i++)
		if (mount("/dev/null", in(root, masked[i]), NULL, MS_BIND, NULL) != 0 && errno == ENOTDIR)
			must(mount("tmpfs", at, "tmpfs", MS_RDONLY, NULL), at);
}

static void enter(const char *root, const char *sandbox) {
	must(mount("/", root, NULL, MS_BIND | MS_REC, NULL), "root");
	must(mount("proc", in(root, "/proc"), "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL), "/proc");
	make_dev(root);
	must(mount("/sys", in(root, "/sys"), NULL, MS_BIND, NULL), "/sys");
	must(mount(NULL, at, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "/sys, read-only");
	must(mount(sandbox, in(root, sandbox), NULL, MS_BIND | MS_REC, NULL), "sandbox");
	hide(root);
	must(chdir(root), "root");
	must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(umount2(".", MNT_DETACH), "the old root");
	must(chdir(sandbox), "sandbox");
}

static void drop_rights(void) {
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{CAPS, CAPS, 0}, {0, 0, 0}};
	for (int c = 0; c <= 40; c++)
		if (c > 31 || !(CAPS >> c & 1))
			prctl(PR_CAPBSET_DROP, c);
	must(syscall(SYS_capset, &header, data), "capabilities");
}

static void join(char **groups) {
	for (; strcmp(*groups, "--") != 0; groups++) {
		int fd = open(in(*groups, "/cgroup.procs"), O_WRONLY | O_CLOEXEC);
		must(fd, *groups);
		must(write(fd, "0", 1), *groups);
		close(fd);
	}
}

static void shim(char **argv) {
	static char stack[64 * 1024] __attribute__((aligned(16)));
	char **program = argv + 3;
	int fd, status;
	pid_t init, task;
	setsid();
	must(unshare(CLONE_NEWNS | CLONE_NEWIPC), "unshare");
	must(mount("", "/", NULL, MS_REC | MS_SLAVE, NULL), "mounts of its own");
	init = clone(idle, stack + sizeof stack, CLONE_NEWPID | SIGCHLD, NULL);
	must(init, "init");
	snprintf(at, sizeof at, "/proc/%d/ns/pid", (int)init);
	fd = open(at, O_RDONLY | O_CLOEXEC);
	must(fd, at);
	must(setns(fd, CLONE_NEWPID), "setns");
	task = fork();
	must(task, "fork");
	if (task == 0) {
		join(argv + 3);
		enter(argv[1], argv[2]);
		drop_rights();
		while (strcmp(*program++, "--") != 0)
			;
		fcntl(READY_FD, F_SETFD, FD_CLOEXEC);
		execvp(*program, program);
		must(-1, *program);
	}
	close(READY_FD);
	while (waitpid(task, &status, 0) < 0 && errno == EINTR)
		;
	kill(init, SIGKILL);
	_exit(0);
}

__attribute__((constructor)) static void start(int argc, char **argv) {
	if (argc > 4 && argv && strcmp(argv[0], "direct") == 0)
		shim(argv);
}
