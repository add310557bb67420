package allocator

import (
	"math/rand/v2"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/sorter"
)

// An Allocator knows all agents and frameworks and what they have. It is not
// safe for concurrent use. Frameworks, agents and roles named in calls must be
// known, unless a call says otherwise: to name others is a bug of the caller.
type Allocator struct {
	cfg Config
	rng *rand.Rand

	names   sorter.Names
	total   sorter.Total
	weights sorter.Weights

	frameworks map[ids.FrameworkID]*framework
	agents     map[ids.AgentID]*agent
	roles      map[string]*role
	order      *sorter.Tree[*role]

	trees    map[string]*tree // by top-level role
	quotas   int              // how many trees have a quota
	owing    bool             // something is required
	claims   int              // how many roles are of trees that it is required for
	epoch    uint64           // changes when more could be offered for reasons of quota
	least    []amount         // what offers must have one of, if it is that simple
	required sorter.Vector    // sum of what guarantees are unsatisfied
	headroom sorter.Vector    // sum of what of agents is open

	slots    slots
	patience patience
	byNum    []*agent // by number, nil if free
	everyone []uint32 // all numbers, free ones too, in some order
	free     []uint32 // numbers to give to new agents
	orphan   map[ids.FrameworkID][]*agent

	whitelist  map[string]bool // host names; nil: all
	maintained map[ids.AgentID]*agent
	inverse    []InverseOffer
	holdOff    holdOff
	paused     bool // nothing is offered: the allocation module has failed

	started    time.Time // the first time told: filters are dated from it
	now        time.Time // of the last run
	nextBatch  time.Time
	expiries   expiries
	waiting    queue // candidates at the next batch
	ripe       int   // of these the first so many become candidates now,
	ripened    int   // and of these so many have
	allWaiting bool  // all agents are
	pending    queue // candidates
	all        bool  // all agents are
	cycle      cycle
	work       int    // what the run may still cost
	fetched    uint64 // means nothing, and keeps what fetch reads from being left out
	visiting   visit
	scratch    charge
}

// New returns an allocator without agents and frameworks. It uses rng, which
// it must not share, for the order of agents and for the random order.
func New(cfg Config, rng *rand.Rand) *Allocator {
	invariant.Check(cfg.Interval > 0, "there is time between batches")
	a := &Allocator{
		cfg:        cfg,
		rng:        rng,
		frameworks: map[ids.FrameworkID]*framework{},
		agents:     map[ids.AgentID]*agent{},
		roles:      map[string]*role{},
		maintained: map[ids.AgentID]*agent{},
		trees:      map[string]*tree{},
		orphan:     map[ids.FrameworkID][]*agent{},
	}
	a.slots.gather = 64
	a.order = sorter.New[*role](&a.total, &a.weights, cfg.RoleOrder, rng)
	a.epoch = 1
	a.least = a.leastOf(cfg.MinAllocatable)
	for _, name := range cfg.ExcludedFromFairShare {
		a.total.Exclude(a.names.Index(name))
	}
	return a
}

// SetWeight gives a role a weight, more than 0, which counts from the next
// decision on; what is offered and used stays. Roles weigh 1 otherwise.
func (a *Allocator) SetWeight(role string, weight float64) {
	invariant.Check(weight > 0, "weights are positive", "role", role, "weight", weight)
	a.weights.Set(role, weight)
}

// SetWhitelist lets only agents on the hosts be offered; nil allows all
// (--whitelist). Hosts must not be changed afterwards: there may be so many that to
// copy them takes long.
func (a *Allocator) SetWhitelist(hosts map[string]bool) {
	a.whitelist = hosts
	a.waitAll()
}

func (a *Allocator) framework(id ids.FrameworkID) *framework {
	f := a.frameworks[id]
	if f == nil {
		invariant.Fail("the framework is known", "framework_id", id)
	}
	return f
}

func (a *Allocator) agent(id ids.AgentID) *agent {
	ag := a.agents[id]
	if ag == nil {
		invariant.Fail("the agent is known", "agent_id", id)
	}
	return ag
}
