package master

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/cow"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/resources"
)

// A new leader knows from the registry which agents there are, and nothing of
// what runs on them. Until the agents are back, or their time is up, what they
// run is in doubt: frameworks that ask get no answer about it.

// A Legacy is the registry as a new leader takes it over. It is to be used once.
type Legacy struct {
	registry   *registry.Registry
	agents     *cow.Table[ids.AgentID, mesos.AgentInfo]
	quotas     map[string]*quotapb.QuotaConfig
	quotaNames []string          // of quotas, sorted
	inForce    []allocator.Quota // the same quotas, in the order of names
	guarantees map[string]resources.Quantities
}

// Inherit makes a legacy of the registry that the store holds. That takes as long as
// there are agents, so it belongs to the reading of the registry and is not a step.
func Inherit(r *registry.Registry) *Legacy {
	l := &Legacy{
		registry: r, agents: &cow.Table[ids.AgentID, mesos.AgentInfo]{}, quotas: maps.Clone(r.Quotas()),
		quotaNames: slices.Sorted(maps.Keys(r.Quotas())), guarantees: map[string]resources.Quantities{},
	}
	for _, name := range l.quotaNames {
		quota := quotaOf(l.quotas[name])
		l.inForce = append(l.inForce, quota)
		if !quota.Guarantees.IsEmpty() {
			l.guarantees[name] = quota.Guarantees
		}
	}
	for _, a := range r.Agents() {
		l.agents.Put(ids.AgentID(a.GetInfo().GetId().GetValue()), a.Info)
	}
	return l
}

// Recover makes the master lead: it was elected as info. Its first batch of records
// says who leads.
func (m *Master) Recover(now time.Time, l *Legacy, info *mesos.MasterInfo) {
	invariant.Check(m.info == nil, "master leads already")
	r := l.registry
	m.now, m.elected, m.registry, m.info = now, now, r, info
	m.recovered = l.agents
	m.shown = forFrameworks(info)
	m.id = ids.MasterID(info.GetId())
	if missing := lacking(info, r.MinimumCapabilities()); len(missing) > 0 {
		m.out.Fatal = "Master is missing the following minimum capabilities: " + strings.Join(missing, ", ") +
			"; the registry has what needs them: start a newer master"
	}
	m.toRecover = m.recovered.Len()
	m.changes = append(m.changes, r.SetMaster(info)...)
	m.recoverWeights()
	m.recoverQuotas(l)
	m.startReclaiming()
	m.after(m.cfg.AgentReregisterTimeout, deadline{kind: recoveryOver})
	m.after(m.cfg.RegistryGCInterval, deadline{kind: registryGC})
	m.beginRanking()
	m.log.Info("elected", slog.String("master_id", string(m.id)), slog.Int("agents", m.recovered.Len()))
}

// lacking returns which of the capabilities that the registry needs a master has
// not: it would ignore what it does not know of.
func lacking(info *mesos.MasterInfo, needed []string) []string {
	return slices.DeleteFunc(needed, func(name string) bool {
		return slices.ContainsFunc(info.GetCapabilities(), func(c *mesos.MasterInfo_Capability) bool {
			return c.GetType().String() == name
		})
	})
}

// recoveryTimeout gives up the agents of an earlier leader that did not come
// back. If those are too many, it is rather us who are cut off.
func (m *Master) recoveryTimeout() {
	missing := m.recovered.Len()
	if missing == 0 {
		return
	}
	if share := float64(missing) / float64(m.toRecover); share > m.cfg.RecoveryAgentRemovalLimit {
		m.out.Fatal = fmt.Sprintf("Post-recovery agent removal limit exceeded! After %s there were %d (%s%%) agents"+
			" recovered from the registry that did not reregister; the configured removal limit is %s%%",
			durationText(m.cfg.AgentReregisterTimeout), missing, percent(share), percent(m.cfg.RecoveryAgentRemovalLimit))
		return
	}
	m.notBack = slices.Collect(m.recovered.All())
}

// giveUpSome goes on with giving up agents that did not come back. Each is as
// much work as to look at four offers.
func (m *Master) giveUpSome(budget int) (left int) {
	if len(m.notBack) == 0 {
		return budget
	}
	why := "did not reregister within " + durationText(m.cfg.AgentReregisterTimeout) + " after master failover"
	for ; budget > 0 && len(m.notBack) > 0; budget -= 4 {
		id := ids.AgentID(m.notBack[0].GetId().GetValue())
		m.notBack = m.notBack[1:]
		switch r := (removal{agent: id, why: why, recovered: true}); {
		case !m.recovered.Has(id): // it is back after all
		case m.cfg.AgentRemovalRate.Events > 0:
			m.queueRemoval(r)
		default:
			m.remove(r)
		}
	}
	return max(0, budget)
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'g', 6, 64) }

// collectGarbage has agents be forgotten that were unreachable or gone for long, or
// are too many.
func (m *Master) collectGarbage() {
	m.after(m.cfg.RegistryGCInterval, deadline{kind: registryGC})
	m.collecting = true
}

// collectSome goes on with forgetting agents. Each is as much work as to look at
// eight offers, and as much again once its tasks are forgotten.
func (m *Master) collectSome(budget int) (left int) {
	if !m.collecting || budget <= 0 {
		return budget
	}
	most := max(1, budget/8)
	unreachable, changes := m.registry.Prune(m.now, m.cfg.RegistryMaxAgentAge, m.cfg.RegistryMaxAgentCount, most)
	m.collecting = len(changes) == most
	if len(changes) > 0 {
		m.persist(changes, pruned{unreachable})
	}
	return max(0, budget-8*len(changes))
}

// durationText writes a duration as Mesos does: "10mins", "1.5secs".
func durationText(d time.Duration) string {
	units := []struct {
		of   time.Duration
		name string
	}{
		{7 * 24 * time.Hour, "weeks"},
		{24 * time.Hour, "days"},
		{time.Hour, "hrs"},
		{time.Minute, "mins"},
		{time.Second, "secs"},
		{time.Millisecond, "ms"},
		{time.Microsecond, "us"},
	}
	for _, u := range units {
		if d >= u.of && d%u.of == 0 {
			return strconv.FormatInt(int64(d/u.of), 10) + u.name
		}
	}
	for _, u := range units {
		if d >= u.of {
			return strconv.FormatFloat(float64(d)/float64(u.of), 'g', 15, 64) + u.name
		}
	}
	return strconv.FormatInt(int64(d), 10) + "ns"
}
