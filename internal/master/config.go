package master

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/meseta-project/meseta/allocation"
	"github.com/meseta-project/meseta/internal/allocator"
)

// Config is what operators set, mostly by the flag of the same name.
type Config struct {
	HeartbeatInterval    time.Duration // told in SUBSCRIBED; the shell sends them
	AgentPingTimeout     time.Duration // --agent_ping_timeout
	MaxAgentPingTimeouts int           // --max_agent_ping_timeouts
	// AgentReregisterTimeout is how long a disconnected agent, or one of an
	// earlier leader, has to come back (--agent_reregister_timeout).
	AgentReregisterTimeout time.Duration
	// RecoveryAgentRemovalLimit is the share, from 0 to 1, of agents that may
	// stay away after a change of leaders before the master rather ends
	// (--recovery_agent_removal_limit).
	RecoveryAgentRemovalLimit float64
	// AgentRemovalRate bounds how fast unhealthy agents are given up
	// (--agent_removal_rate_limit); zero is no bound.
	AgentRemovalRate Rate

	OfferTimeout                    time.Duration // --offer_timeout; 0 is never
	MaxCompletedFrameworks          int           // --max_completed_frameworks
	MaxCompletedTasksPerFramework   int           // --max_completed_tasks_per_framework
	MaxUnreachableTasksPerFramework int           // --max_unreachable_tasks_per_framework
	MaxRemovedAgents                int           // how many removed agents are remembered

	RegistryGCInterval    time.Duration // --registry_gc_interval
	RegistryMaxAgentAge   time.Duration // --registry_max_agent_age
	RegistryMaxAgentCount int           // --registry_max_agent_count

	Roles              []string           // --roles; empty allows all
	Weights            map[string]float64 // --weights, used while the registry has none
	RootSubmissions    bool               // --root_submissions
	RequireAgentDomain bool               // --require_agent_domain

	// RegexLimits bound the expressions in offer constraints.
	RegexLimits allocator.RegexLimits

	// Reclaim: roles that are below their guarantees get resources back from those
	// above theirs (--reclaim).
	Reclaim bool
	// ReclaimAfter is for how long a role is below its guarantee before that
	// (--reclaim_after).
	ReclaimAfter time.Duration
	// ReclaimGracePeriod is how long tasks without a kill policy of their own have
	// to end (--reclaim_grace_period).
	ReclaimGracePeriod time.Duration
	// ReclaimRoles are the roles for which it is done; empty: all with guarantees
	// (--reclaim_roles).
	ReclaimRoles []string

	// AllocationBudget is how many candidate agents the allocator works
	// through in one call of Effects.
	AllocationBudget int

	// Policy decides in which order roles and frameworks are served (--allocator);
	// nil: they are by their shares, or a module does.
	Policy allocation.Policy
	// Module: another process decides that, which is asked by [RankDemand].
	Module bool
	// ModuleTimeout is how long it has to answer (--allocation_module_timeout).
	ModuleTimeout time.Duration
	// ModuleStops: nothing is offered without its answers
	// (--allocation_module_failure).
	ModuleStops bool
	// RankInterval, more than 0, is how often a policy is asked.
	RankInterval time.Duration
}

// A Rate is so many events in a time.
type Rate struct {
	Events int
	Per    time.Duration
}

// DefaultConfig returns Mesos's defaults.
func DefaultConfig() Config {
	return Config{
		HeartbeatInterval:               15 * time.Second,
		AgentPingTimeout:                15 * time.Second,
		MaxAgentPingTimeouts:            5,
		AgentReregisterTimeout:          10 * time.Minute,
		RecoveryAgentRemovalLimit:       1,
		MaxCompletedFrameworks:          50,
		MaxCompletedTasksPerFramework:   1000,
		MaxUnreachableTasksPerFramework: 1000,
		MaxRemovedAgents:                100_000,
		RegistryGCInterval:              15 * time.Minute,
		RegistryMaxAgentAge:             14 * 24 * time.Hour,
		RegistryMaxAgentCount:           102_400,
		RootSubmissions:                 true,
		RegexLimits:                     allocator.DefaultRegexLimits(),
		AllocationBudget:                500,
		ReclaimAfter:                    5 * time.Minute,
		ReclaimGracePeriod:              30 * time.Second,
		ModuleTimeout:                   5 * time.Second,
		RankInterval:                    time.Second,
	}
}

// Deps are the parts a master is made of.
type Deps struct {
	Rand      *rand.Rand
	Log       *slog.Logger
	Allocator Allocator
}
