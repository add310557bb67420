// Package launcher is what the ways of launching containers have in common: what
// is launched, what comes of it, and what can be done to it. The ways are the
// packages below: posix, a plain process tree, and oci, a container of an OCI
// runtime or of package lxc.
package launcher

import (
	"errors"
	"os"
	"syscall"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// ErrGone says that there is no such container any more: its shim has ended,
// or the pid belongs to somebody else by now.
var ErrGone = errors.New("container is gone")

// User is the identity a container's processes get. Only root may switch.
type User struct {
	UID, GID uint32
	Groups   []uint32 // supplementary, at most 1024
}

// Spec is what to launch.
type Spec struct {
	ID     string   // container id; the shim carries it in its arguments
	Path   string   // program, looked up in the PATH of Env when it has no slash
	Args   []string // argv, the program's name first
	Env    []string // the whole environment: nothing of the agent's is added
	Dir    string   // working directory: the sandbox
	User   *User    // nil: the agent's own
	Stdin  *os.File // nil: /dev/null
	Stdout *os.File // nil: /dev/null
	Stderr *os.File // nil: /dev/null
	// Tethered ties the container's life to the agent's process: when that ends,
	// however it ends, the container is killed.
	Tethered bool
	Status   string // file that receives the raw wait status; its directory must exist
	Board    *Board // nil: the container has the files above themselves

	// Rlimits are set by launchers that do not isolate; those that do take them from
	// Container.
	Rlimits []Rlimit

	// What follows is for launchers that isolate; others do without.

	Rootfs    string               // folder that becomes the container's root; "": the machine's own
	WorkDir   string               // working directory in that root; "": Dir
	Mounts    []Mount              // after the launcher's own, in order
	Container *mesos.ContainerInfo // the isolation asked for, or nil
	Resources Resources
	Network   *Network // nil: the machine's own
}

// Network is a network that is not the machine's.
type Network struct {
	Namespace string // path of a network namespace
	Hostname  string
}

// Board is what is between a container and its Stdout and Stderr, so that others
// can attach to it, or so that the files are rotated. It outlives the agent.
type Board struct {
	Terminal bool // give the container a terminal, all of whose output goes to Stdout
	// Held has the container wait until somebody takes its output, and go no faster
	// than that one does.
	Held   bool
	Socket *os.File // that the board listens on; nil: nobody can attach
	// Sandbox is the folder of stdout and stderr, if these are rotated.
	Sandbox        *os.File
	Stdout, Stderr Rotation
}

// Rotation is how a file is kept from growing without bound: at Max bytes, 0 for
// never, it is set aside as FILE.1, that as FILE.2 and so on up to Keep.
type Rotation struct {
	Max  int64
	Keep int
}

// Mount is a file or a folder of the machine that a container sees.
type Mount struct {
	Source, Target string // absolute; Target inside the container
	ReadOnly       bool
	// Host mounts keep what the machine's own have: devices, setuid programs, and
	// mounts that are made below the source later. Others have nothing of that.
	Host bool
	// Both has mounts that the container makes below Target come to be below Source
	// on the machine as well, and stay there. It is for Host mounts whose Source is
	// in a mount that is shared.
	Both bool
}

// Resources are what a container is given, and the limits up to which it may
// take more. A limit is +Inf for none, and 0 where what is given is the limit.
type Resources struct {
	CPUs, CPULimit float64
	Mem, MemLimit  float64 // megabytes
	// Shared is for a container in another: its limits are the other's, and what it is
	// given is its part of that, where it is known.
	Shared bool
}

// Limitation is a limit that a container ran into, for which it was killed.
type Limitation struct {
	Of       string // the container whose limit it is: itself, or one that it is nested in
	Reason   mesos.TaskStatus_Reason
	Message  string
	Resource string                   // "mem", "disk", "ports"; "" when it is not about one
	Amount   float64                  // what was used of it, in megabytes
	Ranges   *mesos.Value_Ranges      // instead, for what is counted in numbers
	Disk     *mesos.Resource_DiskInfo // of a persistent volume
}

// Launcher starts and adopts containers. It may be used by many goroutines.
type Launcher interface {
	// Fork starts a container. It returns once the task's process exists; that the
	// program itself could not be started shows as an exit status that is not 0
	// and a line on stderr.
	Fork(spec *Spec) (Process, error)
	// Exec starts one more process inside a running container: in its namespaces,
	// under its root and within its limits. The process has an id, a life and a
	// status of its own, but dies with the container.
	Exec(container string, spec *Spec) (Process, error)
	// Adopt finds again what an earlier agent launched, by the pid of its shim. It
	// fails with [ErrGone] if the shim has ended.
	Adopt(id string, pid int, status string) (Process, error)
	// Release removes what is left of a container that has ended, or of one that
	// was never quite started: a second time there is nothing to do.
	Release(id string) error
}

// Holder is a launcher of containers that share something with those in them.
type Holder interface {
	// Hold starts a container that no program is to run in, but others: it has its
	// resources for all of them, and the namespaces that they may share with it. It
	// runs until it is killed, or is out of memory; those in it are to be ended first.
	Hold(spec *Spec) (Process, error)
}

// Process is a running container, or a process in one. Wait is called once; the
// rest may be called by many goroutines.
type Process interface {
	// PID returns the pid of the shim, which is what an agent checkpoints.
	PID() int
	// First returns the pid of the container's first process, as the machine counts:
	// what it is in, the container is. 0 when it has ended.
	First() int
	// Wait blocks until the whole tree has ended and returns the raw wait status
	// of its first process. Killing the shim counts as a kill.
	Wait() (status int, err error)
	// Signal sends sig to every process of the container.
	Signal(sig syscall.Signal) error
	// Kill kills all of it. Wait tells when that has happened.
	Kill() error
	// Usage tells what the container has used.
	Usage() Usage
	// Update sets what the container may use from now on.
	Update(r Resources) error
	// Limitation says for what limit the container was killed, nil if for none. It
	// is asked after Wait, or when another container that is in this one has ended.
	Limitation() *Limitation
}

// Usage is what a container has used, as far as its launcher can tell.
type Usage struct {
	Processes, Threads int
	User, System       time.Duration // CPU time, of ended children too once they were waited for
	RSS                uint64        // bytes, shared pages counted for each process
	// Cgroup is what the container's control groups tell, nil if there are none.
	Cgroup *mesos.ResourceStatistics
	// Stalls are by resource: cpu, memory, io. nil where the kernel does not tell.
	Stalls map[string]Stalls
}

// Stalls is how long processes of a container had to wait for a resource: some of
// them, and all of them at once.
type Stalls struct{ Some, Full Stall }

// Stall is the part of the last seconds, in percent, and of all time.
type Stall struct {
	Avg10, Avg60, Avg300 float64
	Total                time.Duration
}
