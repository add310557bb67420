package allocator

import (
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/sorter"
	"github.com/meseta-project/meseta/resources"
)

// Config is what operators set, mostly by the flag of the same name.
type Config struct {
	// Interval, more than 0, is how long what is not offered at once waits
	// (--allocation_interval).
	Interval time.Duration
	// MinAllocatable lists what an offer must have one of at least
	// (--min_allocatable_resources). Empty: any offer will do.
	MinAllocatable []resources.Quantities
	// ShowGPUs lets frameworks without GPU_RESOURCES see agents that have GPUs
	// (--no-filter_gpu_resources).
	ShowGPUs bool
	// ExcludedFromFairShare names resources that do not count for shares
	// (--fair_sharing_excluded_resource_names).
	ExcludedFromFairShare []string
	// RoleOrder and FrameworkOrder are how roles, and the frameworks of one,
	// take turns (--role_sorter, --framework_sorter).
	RoleOrder, FrameworkOrder sorter.Order
	// Domain is the master's (--domain). Agents of other regions are for
	// frameworks with REGION_AWARE only. Nil: no agent is remote.
	Domain *mesos.DomainInfo
	// Patience is how many offers in a row a framework may decline in a role,
	// without using any, before what it declines is taken to be about all agents:
	// until its refusal ends, for a minute at most, others are served before it. 0
	// is any number. Mesos knows no such thing, and there frameworks that want
	// nothing keep those that do from every agent for as long as they take to
	// decline it (--max_declines_in_a_row).
	Patience int
	// OfferBudget is how many offers a framework may hold that it has not
	// answered; it gets no more until it answers some. 0 is any number, as in Mesos
	// (--max_offers_per_framework).
	OfferBudget int
	// RecoveryFactor and RecoveryTimeout bound how long a new leader waits for
	// agents before it offers anything where there are quotas
	// (--allocator_agent_recovery_factor, --allocator_recovery_timeout).
	RecoveryFactor  float64
	RecoveryTimeout time.Duration
}

// DefaultConfig returns Mesos's defaults.
func DefaultConfig() Config {
	return Config{
		Interval:        time.Second,
		Patience:        20,
		RecoveryFactor:  0.8,
		RecoveryTimeout: 10 * time.Minute,
		MinAllocatable: []resources.Quantities{
			resources.QuantitiesOf(resources.Quantity{Name: "cpus", Amount: resources.Unit / 100}),
			resources.QuantitiesOf(resources.Quantity{Name: "mem", Amount: 32 * resources.Unit}),
		},
	}
}

// A Framework is what the allocator needs to know of one.
type Framework struct {
	ID ids.FrameworkID
	// Info tells roles, capabilities and offer filters. It must be valid.
	Info *mesos.FrameworkInfo
	// Suppressed are the roles in which it wants no offers for now.
	Suppressed []string
	// Constraints say by role which agents it wants offers from; nil: all.
	Constraints *Constraints
	// Active: it is connected and gets offers.
	Active bool
}

// An Agent is what the allocator needs to know of one.
type Agent struct {
	ID           ids.AgentID
	Info         *mesos.AgentInfo // host name, domain and attributes
	Capabilities []mesos.AgentInfo_Capability_Type
	Total        resources.Resources // with reservations and volumes; allocated to nobody
}

// An Offer gives all of Resources, which are allocated to Role, to a
// framework. The master must give back by [Allocator.Recover] what is not used.
type Offer struct {
	Framework ids.FrameworkID
	Role      string
	Agent     ids.AgentID
	Resources resources.Resources
}

// capabilities are those of a framework that decide what it is offered.
type capabilities struct {
	gpus, shared, revocable, refinement, regions, multiRole bool
}

func capabilitiesOf(info *mesos.FrameworkInfo) (c capabilities) {
	for _, has := range info.GetCapabilities() {
		switch has.GetType() {
		case mesos.FrameworkInfo_Capability_GPU_RESOURCES:
			c.gpus = true
		case mesos.FrameworkInfo_Capability_SHARED_RESOURCES:
			c.shared = true
		case mesos.FrameworkInfo_Capability_REVOCABLE_RESOURCES:
			c.revocable = true
		case mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT:
			c.refinement = true
		case mesos.FrameworkInfo_Capability_REGION_AWARE:
			c.regions = true
		case mesos.FrameworkInfo_Capability_MULTI_ROLE:
			c.multiRole = true
		default: // the others make no difference to offers
		}
	}
	return c
}

// rolesOf returns the roles that a framework is subscribed to.
func rolesOf(info *mesos.FrameworkInfo, c capabilities) []string {
	if c.multiRole {
		return info.GetRoles()
	}
	return []string{info.GetRole()}
}

// minimumsOf returns what offers in a role must have one of at least
// (OfferFilters.min_allocatable_resources), and whether the framework says so.
func minimumsOf(info *mesos.FrameworkInfo, role string) (minimums []resources.Quantities, own bool) {
	filter := info.GetOfferFilters()[role].GetMinAllocatableResources()
	if filter == nil {
		return nil, false
	}
	for _, q := range filter.GetQuantities() {
		minimums = append(minimums, resources.QuantitiesFromProto(q.GetQuantities()))
	}
	return minimums, true
}
