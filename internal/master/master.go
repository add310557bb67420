package master

import (
	"log/slog"
	"math/rand/v2"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/registry"
)

// An Allocator decides whom to offer what.
type Allocator interface{}

// A Master is the state of a leading master.
type Master struct {
	cfg   Config
	rand  *rand.Rand
	log   *slog.Logger
	alloc Allocator

	now      time.Time
	info     *mesos.MasterInfo
	elected  time.Time
	registry *registry.Registry

	agentRows     shelf[ids.AgentID, AgentRow]
	frameworkRows shelf[ids.FrameworkID, FrameworkRow]
	taskRows      shelf[uint64, TaskRow]
	executorRows  shelf[uint64, ExecutorRow]
	offerRows     shelf[ids.OfferID, OfferRow]
	counters      Counters

	out Effects
}

// New returns a master that is not elected yet: it drops what it is told until
// [Master.Recover].
func New(cfg Config, deps Deps) *Master {
	return &Master{
		cfg:           cfg,
		rand:          deps.Rand,
		log:           deps.Log,
		alloc:         deps.Allocator,
		registry:      registry.New(),
		agentRows:     newShelf[ids.AgentID, AgentRow](),
		frameworkRows: newShelf[ids.FrameworkID, FrameworkRow](),
		taskRows:      newShelf[uint64, TaskRow](),
		executorRows:  newShelf[uint64, ExecutorRow](),
		offerRows:     newShelf[ids.OfferID, OfferRow](),
	}
}

// Recover makes the master lead: it was elected as info, and the registry is
// what the store holds.
func (m *Master) Recover(now time.Time, r *registry.Registry, info *mesos.MasterInfo) {
	m.now, m.elected, m.registry, m.info = now, now, r, info
}

// Step tells the master one thing that happened at now, which must not go
// back.
func (m *Master) Step(now time.Time, in Input) {
	m.now = now
}

// Effects returns what the steps since the last call ask for, after the
// allocator has had its turn.
func (m *Master) Effects() Effects {
	out := m.out
	m.out = Effects{}
	return out
}

// Registry returns what the master would find again after a restart. It is the
// master's own and must only be read, and only between steps.
func (m *Master) Registry() *registry.Registry { return m.registry }

// Snapshot freezes the master's state for readers.
func (m *Master) Snapshot() *Snapshot {
	return &Snapshot{
		At:         m.now,
		Info:       m.info,
		Elected:    m.elected,
		Agents:     m.agentRows.snapshot(),
		Frameworks: m.frameworkRows.snapshot(),
		Tasks:      m.taskRows.snapshot(),
		Executors:  m.executorRows.snapshot(),
		Offers:     m.offerRows.snapshot(),
		Counters:   m.counters,
	}
}

func rolesOf(info *mesos.FrameworkInfo) []string {
	for _, c := range info.GetCapabilities() {
		if c.GetType() == mesos.FrameworkInfo_Capability_MULTI_ROLE {
			return info.GetRoles()
		}
	}
	return []string{info.GetRole()}
}
