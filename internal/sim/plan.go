package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// A Fault is a kind of thing that goes wrong.
type Fault uint8

// The kinds of faults.
const (
	MasterCrash    Fault = iota // a master's process dies, and is started again
	AgentCrash                  // an agent's process dies, and is started again
	HostReboot                  // a machine with an agent does, and all that ran there
	SchedulerCrash              // a framework's process dies, and is started again
	StreamBreak                 // a framework's event stream breaks
	LinkBreak                   // a connection between a master and an agent breaks
	Partition                   // nothing gets from one node to another for a while
	SlowNetwork                 // some messages take seconds
	CallLoss                    // a framework's call fails, done or not
	SlowStore                   // the registry's store takes seconds
	SlowDisk                    // agents' disks take seconds
	ExecutorCrash               // a custom executor is killed
	HungExecutor                // a custom executor never subscribes
	LaunchFailure               // a container cannot be made
	StubbornTask                // a task ignores SIGTERM
	SessionExpiry               // the election takes the lead from a live master
	AgentLeave                  // an operator stops an agent for good, and starts it anew
	HostLoss                    // a machine with an agent is lost, and replaced by another
	ClockSkew                   // clocks of nodes differ, and are set anew when a process starts
	Frozen                      // a master's or an agent's process is stopped for a while, and goes on
	Flapping                    // the way between two nodes breaks and heals again and again
	RollingUpgrade              // agents and masters are restarted one after another, as another version
	ModuleFailure               // the allocation module dies, stalls or answers nonsense
	StoreFailover               // another replica of the store leads, and the end of what the one before had taken is lost
	StoreAmnesia                // the store of a single master goes back in time
	AgentDrain                  // operators drain, deactivate and reactivate agents
	AgentGone                   // operators mark agents gone
	Maintenance                 // operators schedule, start and stop the maintenance of machines
	ClockJump                   // the wall clock of a node is set while its process runs
	faultKinds
)

var faultNames = [faultKinds]string{
	"master-crash", "agent-crash", "host-reboot", "scheduler-crash", "stream-break", "link-break", "partition",
	"slow-network", "call-loss", "slow-store", "slow-disk", "executor-crash", "hung-executor", "launch-failure",
	"stubborn-task", "session-expiry", "agent-leave", "host-loss", "clock-skew", "frozen", "flapping", "rolling-upgrade",
	"module-failure", "store-failover", "store-amnesia", "agent-drain", "agent-gone", "maintenance", "clock-jump",
}

// String returns the kind's name.
func (f Fault) String() string { return faultNames[f] }

// Faults is a set of kinds.
type Faults uint32

// Has reports whether the set has f.
func (fs Faults) Has(f Fault) bool { return fs&(1<<f) != 0 }

// Without returns the set without f.
func (fs Faults) Without(f Fault) Faults { return fs &^ (1 << f) }

// All yields the kinds in the set.
func (fs Faults) All() []Fault {
	var all []Fault
	for f := range faultKinds {
		if fs.Has(f) {
			all = append(all, f)
		}
	}
	return all
}

// String returns the kinds' names, separated by commas.
func (fs Faults) String() string {
	var names []string
	for _, f := range fs.All() {
		names = append(names, f.String())
	}
	return strings.Join(names, ",")
}

// A Plan is what a run is made of. The same plan gives the same run.
type Plan struct {
	Seed       uint64
	Masters    int // more than one: an election service decides who leads
	Agents     int
	Schedulers int
	Tasks      int           // that each framework wants to run
	Horizon    time.Duration // of the phase with faults
	Faults     Faults
}

// NewPlan returns what a seed stands for. Each has some kinds of faults only:
// when all happen at once, they hide each other.
func NewPlan(seed uint64) Plan {
	r := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	p := Plan{
		Seed:       seed,
		Masters:    1,
		Agents:     1 + r.IntN(4),
		Schedulers: 1 + r.IntN(3),
		Tasks:      4 + r.IntN(12),
		Horizon:    time.Duration(30+r.IntN(150)) * time.Second,
	}
	if r.IntN(2) == 0 {
		p.Masters = 2 + r.IntN(2)
	}
	often := []float64{0, 0.15, 0.35, 0.7}[r.IntN(4)]
	for f := range faultKinds {
		if r.Float64() < often {
			p.Faults |= 1 << f
		}
	}
	return p
}

// String returns the plan as one line.
func (p Plan) String() string {
	return fmt.Sprintf("seed %d: %d masters, %d agents, %d frameworks of %d tasks, %s with faults [%s]",
		p.Seed, p.Masters, p.Agents, p.Schedulers, p.Tasks, p.Horizon, p.Faults)
}
