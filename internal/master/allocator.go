package master

import (
	"time"

	"github.com/meseta-project/meseta/allocation"
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// An Allocator decides whom to offer what. It is a part of the master: told of
// every change in the step that makes it, so the two never disagree. What it
// offered counts as allocated until it is recovered; what tasks use stays so.
// The methods are those of [allocator.Allocator].
type Allocator interface {
	AddFramework(allocator.Framework)
	UpdateFramework(allocator.Framework)
	RemoveFramework(ids.FrameworkID)
	ActivateFramework(ids.FrameworkID)
	DeactivateFramework(ids.FrameworkID)
	Revive(f ids.FrameworkID, roles []string)
	Suppress(f ids.FrameworkID, roles []string)

	AddAgent(a allocator.Agent, used map[ids.FrameworkID]resources.Resources)
	UpdateAgent(allocator.Agent)
	RemoveAgent(ids.AgentID)
	ActivateAgent(ids.AgentID)
	DeactivateAgent(ids.AgentID)

	Answered(f ids.FrameworkID)
	Accepted(f ids.FrameworkID, role string)
	Recover(now time.Time, f ids.FrameworkID, a ids.AgentID, rs resources.Resources, filters *mesos.Filters)
	Allocate(f ids.FrameworkID, a ids.AgentID, rs resources.Resources)
	UpdateAllocation(f ids.FrameworkID, a ids.AgentID, offered resources.Resources, conversions []resources.Conversion)
	SetUnavailability(ids.AgentID, *mesos.Unavailability)
	AnswerInverse(now time.Time, f ids.FrameworkID, a ids.AgentID, filters *mesos.Filters)
	InverseOffers() []allocator.InverseOffer
	UpdateAvailable(a ids.AgentID, conversions []resources.Conversion) error
	SetWeight(role string, weight float64)
	SetQuota(role string, q allocator.Quota)
	Consumed(role string) resources.Quantities
	InTheWay(role string, offered resources.Resources) bool
	Taker(top string) *allocator.Taker
	HoldOff(now time.Time, agents int)
	SetWhitelist(hosts map[string]bool)

	Run(now time.Time, budget int) (offers []allocator.Offer, more bool)
	Wake(now time.Time) time.Time
	Filters() map[string]int

	Demand(most int) allocation.Demand
	SetRanking(allocation.Ranking)
	Pause(pause bool)

	Inquire(allocator.Query) *allocator.Inquiry
	Explore(now time.Time, in *allocator.Inquiry, budget int) (whole bool)
}
