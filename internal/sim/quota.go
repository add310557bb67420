package sim

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/resources"
)

// quotaRoles are the roles that operators give quotas.
var quotaRoles = []string{"*", "blue", "green"}

// apportion has operators change quotas until all is healed, in half of the
// runs.
func (w *world) apportion() {
	if w.once("quotas", 0.5) {
		return
	}
	w.apportionLater()
}

func (w *world) apportionLater() {
	w.after(w.between("quotas", time.Second, 25*time.Second), func() {
		if w.healed {
			return
		}
		if m := w.leader; m != nil && m.core != nil {
			w.changeQuotas(m)
		}
		w.apportionLater()
	})
}

// changeQuotas sets the quota of a role or two.
func (w *world) changeQuotas(m *masterNode) {
	r := w.rand("quotas")
	call := &masterpb.Call_UpdateQuota{Force: new(r.IntN(2) == 0)}
	for _, at := range r.Perm(len(quotaRoles))[:1+r.IntN(2)] {
		call.QuotaConfigs = append(call.QuotaConfigs, w.someQuota(quotaRoles[at]))
	}
	w.setQuotas(m, call)
}

// someQuota returns a quota, perhaps none. Limits may be below guarantees, which
// the master has to refuse.
func (w *world) someQuota(name string) *quotapb.QuotaConfig {
	r := w.rand("quotas")
	config := &quotapb.QuotaConfig{Role: &name}
	amounts := func(cpus, mem int) map[string]*mesos.Value_Scalar {
		return map[string]*mesos.Value_Scalar{
			"cpus": {Value: new(float64(r.IntN(cpus)) / 2)}, "mem": {Value: new(float64(64 * r.IntN(mem)))},
		}
	}
	if r.IntN(3) > 0 {
		config.Guarantees = amounts(6, 12)
	}
	if r.IntN(3) > 0 {
		config.Limits = amounts(10, 30)
	}
	return config
}

// dropQuotasLater has operators remove all quotas, again and again. Tasks could
// wait for ever for what is kept for others.
func (w *world) dropQuotasLater() {
	w.after(5*time.Second, func() {
		if m := w.leader; m != nil && m.core != nil && len(m.core.Snapshot().Quotas) > 0 {
			call := &masterpb.Call_UpdateQuota{}
			for _, name := range quotaRoles {
				call.QuotaConfigs = append(call.QuotaConfigs, &quotapb.QuotaConfig{Role: &name})
			}
			w.setQuotas(m, call)
		}
		w.dropQuotasLater()
	})
}

// setQuotas has an operator change quotas. The answer means that they are
// durable and in force, and anything else that nothing is known of them.
func (w *world) setQuotas(m *masterNode, call *masterpb.Call_UpdateQuota) {
	w.note("%s    <- operator UPDATE_QUOTA %s", m.name, quotasText(call))
	m.requests++
	w.history.quotaAsked++
	asked := w.history.quotaAsked
	m.calls[m.requests] = func(reply master.Reply) {
		if reply.Err != nil {
			w.note("%s    refuses the quotas: %s", m.name, reply.Err.Message)
		} else if asked == w.history.quotaAsked {
			w.history.quotasAnswered(m, call)
		}
	}
	m.tell("operator", master.OperatorCall{Request: m.requests, Principal: operator, Call: &masterpb.Call{
		Type: masterpb.Call_UPDATE_QUOTA.Enum(), UpdateQuota: call,
	}})
}

func quotasText(call *masterpb.Call_UpdateQuota) string {
	texts := make([]string, 0, len(call.QuotaConfigs))
	for _, c := range call.QuotaConfigs {
		texts = append(texts, fmt.Sprintf("%s from %s to %s", c.GetRole(),
			resources.QuantitiesFromProto(c.Guarantees), resources.LimitsFromProto(c.Limits)))
	}
	return strings.Join(texts, ", ")
}

// quotasAnswered: quotas that were answered, and asked for by nobody else since,
// are in the store and in force.
func (h *history) quotasAnswered(m *masterNode, call *masterpb.Call_UpdateQuota) {
	h.counts.Quotas++
	inForce := m.core.Snapshot().Quotas
	for _, c := range call.QuotaConfigs {
		none := resources.QuantitiesFromProto(c.Guarantees).IsEmpty() && len(c.Limits) == 0
		if (h.w.store.records["quota/"+c.GetRole()] == nil) != none {
			fail("quotas", "the quota of %s was answered, and is not in the store", c.GetRole())
		}
		if q := inForce[c.GetRole()]; none && q != nil || !none && !proto.Equal(q, c) {
			fail("quotas", "the quota of %s was answered, and is not in force: %v, want %v", c.GetRole(), q, c)
		}
	}
}

// recovered: a new leader knows the quotas that are in the store.
func (h *history) recovered(m *masterNode, r *registry.Registry) {
	inForce := m.core.Snapshot().Quotas
	for _, name := range quotaRoles {
		if !proto.Equal(inForce[name], r.Quotas()[name]) {
			fail("quotas", "%s leads, and the quota of %s is %v, not %v", m.name, name, inForce[name], r.Quotas()[name])
		}
	}
}

// usage is what of a cluster quotas count, as its books say.
type usage struct {
	quotas   map[string]*quotapb.QuotaConfig
	free     map[string]resources.Amount            // that is for anybody
	consumed map[string]map[string]resources.Amount // by top-level role
}

func newUsage(s *master.Snapshot) *usage {
	u := &usage{quotas: s.Quotas, free: map[string]resources.Amount{}, consumed: map[string]map[string]resources.Amount{}}
	for a := range s.Agents.All() {
		given := a.Allocated.Add(a.Offered)
		for r := range a.Total.Sub(given.Unallocated()).All() {
			if counts(r) {
				u.free[r.Name()] += r.Amount()
			}
		}
		for r := range a.Total.All() {
			if r.IsReserved() && r.IsScalar() {
				u.consume(r.Role(), r)
			}
		}
		for r := range given.All() {
			if counts(r) {
				u.consume(r.AllocationRole(), r)
			}
		}
	}
	return u
}

// counts reports whether a resource uses up quota when it is given to somebody.
func counts(r resources.Resource) bool { return r.IsScalar() && !r.IsReserved() && !r.IsRevocable() }

func (u *usage) consume(name string, r resources.Resource) {
	top := role.Top(name)
	if u.consumed[top] == nil {
		u.consumed[top] = map[string]resources.Amount{}
	}
	u.consumed[top][r.Name()] += r.Amount()
}

func (u *usage) guarantee(top, kind string) resources.Amount {
	return resources.QuantitiesFromProto(u.quotas[top].GetGuarantees()).Get(kind)
}

// owed is how much of a kind all guarantees lack.
func (u *usage) owed(kind string) (owed resources.Amount) {
	for _, top := range quotaRoles {
		owed += max(0, u.guarantee(top, kind)-u.consumed[top][kind])
	}
	return owed
}

// offersAllowed: nobody is offered what passes a limit, nor what is missing then
// for the guarantees of others.
func (h *history) offersAllowed(m *masterNode, messages []master.Message) {
	var made map[ids.OfferID]bool
	for _, msg := range messages {
		if to, ok := msg.(master.ToFramework); ok {
			for _, o := range to.Event.GetOffers().GetOffers() {
				if made == nil {
					made = map[ids.OfferID]bool{}
				}
				made[ids.OfferID(o.Id.GetValue())] = true
			}
		}
	}
	if len(made) == 0 {
		return // most rounds, in which no snapshot need be taken either
	}
	s := m.core.Snapshot()
	if len(s.Quotas) == 0 {
		return
	}
	u := newUsage(s)
	for o := range s.Offers.All() {
		if made[o.ID] {
			u.allows(o)
		}
	}
}

// allows looks at an offer that was made just now.
func (u *usage) allows(o *master.OfferRow) {
	top := role.Top(o.Role)
	limits := resources.LimitsFromProto(u.quotas[top].GetLimits())
	for r := range o.Resources.All() {
		if !counts(r) {
			continue
		}
		kind := r.Name()
		has := u.consumed[top][kind]
		if limit, limited := limits.Get(kind); limited && has > limit {
			fail("limits", "role %s has %s of %s with offer %s, above its limit of %s", top, has, kind, o.ID, limit)
		}
		if owed := u.owed(kind); has > u.guarantee(top, kind) && owed > u.free[kind] {
			fail("guarantees", "role %s has %s of %s with offer %s; %s is guaranteed to others, and %s is free",
				top, has, kind, o.ID, owed, u.free[kind])
		}
	}
}
