package master

import (
	"maps"
	"slices"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

// A change of quotas:
//
//	checked ─▶ in the registry ─▶ in force ─▶ offers in the way are rescinded
//	   │       (not durable)      answered
//	   └─▶ refused: nothing of it is done
//
// It is checked against what the registry will hold once all changes before it
// are durable, so two that are each right and together wrong are never both
// taken.

// updateQuota answers UPDATE_QUOTA: all of the quotas given are set, or none.
func (m *Master) updateQuota(id RequestID, call *masterpb.Call_UpdateQuota) {
	configs := call.GetQuotaConfigs()
	last := map[string]int{} // the config of each role that holds
	var total resources.Quantities
	stages := []stage{
		each(&configs, func(i int, config *quotapb.QuotaConfig) *refusal.Error {
			last[config.GetRole()] = i
			return validate.QuotaUpdate(config, m.isListed(config.GetRole()))
		}),
		once(func() { total = m.guaranteed.quantities() }),
		each(&configs, func(i int, config *quotapb.QuotaConfig) *refusal.Error {
			if name := config.GetRole(); last[name] == i {
				total = total.Sub(m.recordedGuarantee(name))
			}
			return nil
		}),
		each(&configs, func(i int, config *quotapb.QuotaConfig) (err *refusal.Error) {
			if last[config.GetRole()] == i {
				total, err = validate.AddGuarantee(total, config)
			}
			return err
		}),
	}
	if !call.GetForce() {
		stages = append(stages, each(&configs, func(_ int, config *quotapb.QuotaConfig) *refusal.Error {
			return validate.LimitsOfConsumed(config, m.consumed(config.GetRole()))
		}), check(func() *refusal.Error {
			return validate.Overcommit(total, m.capacity.quantities())
		}))
	}
	m.undertake(id, append(stages, m.setQuotas(id, configs)...)...)
}

// consumed returns how much of its quota a top-level role has used up, beside what
// it is offered.
func (m *Master) consumed(top string) resources.Quantities {
	return m.alloc.Consumed(top).Sub(m.offered.of(top))
}

// setQuota answers SET_QUOTA, the older form: for one role that has no quota,
// which then has as much at least and at most.
func (m *Master) setQuota(id RequestID, request *quotapb.QuotaRequest) {
	name, amounts := request.GetRole(), map[string]*mesos.Value_Scalar{}
	for _, r := range request.GetGuarantee() {
		amounts[r.GetName()] = r.GetScalar()
	}
	config := &quotapb.QuotaConfig{Role: &name, Guarantees: amounts, Limits: amounts}
	right := check(func() *refusal.Error { return m.checkQuotaRequest(request, config) })
	m.undertake(id, append([]stage{right}, m.setQuotas(id, []*quotapb.QuotaConfig{config})...)...)
}

// checkQuotaRequest refuses a quota of the older form, which is config.
func (m *Master) checkQuotaRequest(request *quotapb.QuotaRequest, config *quotapb.QuotaConfig) *refusal.Error {
	if err := validate.QuotaRequest(request); err != nil {
		return refusal.Invalidf("Failed to validate set quota request: %s", err)
	}
	name := request.GetRole()
	switch {
	case !m.isListed(name):
		return refusal.Invalidf("Failed to validate set quota request: Unknown role '%s'", name)
	case m.registry.Quotas()[name] != nil:
		return refusal.Invalidf("Failed to validate set quota request: Cannot set quota for role '%s' which already has quota", name)
	case strings.Contains(name, "/"):
		return refusal.Invalidf("Setting quota on nested role '%s' is not supported yet", name)
	}
	if err := validate.Quota(config); err != nil {
		return refusal.Invalidf("Failed to validate set quota request: %s", err)
	}
	total, err := validate.AddGuarantee(m.guaranteed.quantities(), config)
	if err != nil {
		return err
	}
	if capacity := m.capacity.quantities(); !request.GetForce() && !capacity.Contains(total) {
		return refusal.Conflictf("Quota guarantees overcommit the cluster (use 'force' to bypass this check):"+
			" Total quota guarantees '%s' exceed cluster capacity '%s'", total, capacity)
	}
	return nil
}

// removeQuota answers REMOVE_QUOTA.
func (m *Master) removeQuota(id RequestID, name string) {
	right := check(func() *refusal.Error {
		switch {
		case !m.isListed(name):
			return refusal.Invalidf("Failed to remove quota: Unknown role '%s'", name)
		case m.registry.Quotas()[name] == nil:
			return refusal.Invalidf("Failed to remove quota: Role '%s' has no quota set", name)
		}
		return nil
	})
	m.undertake(id, append([]stage{right}, m.setQuotas(id, []*quotapb.QuotaConfig{{Role: &name}})...)...)
}

// setQuotas returns how quotas that were found right are written.
func (m *Master) setQuotas(id RequestID, configs []*quotapb.QuotaConfig) []stage {
	var changes []registry.Change
	return []stage{each(&configs, func(i int, config *quotapb.QuotaConfig) *refusal.Error {
		m.countRecorded(config.GetRole(), -1)
		changes = append(changes, m.registry.SetQuotas(configs[i:i+1])...)
		m.countRecorded(config.GetRole(), 1)
		return nil
	}), once(func() {
		m.persistFor(id, changes, quotasSet{id, configs})
	})}
}

// countRecorded adds what the registry says that a role is guaranteed to what all
// roles are, or, with a sign of -1, takes it off.
func (m *Master) countRecorded(name string, sign resources.Amount) {
	for resource, amount := range m.recordedGuarantee(name).All() {
		m.guaranteed.add(resource, sign*amount)
	}
}

func (m *Master) recordedGuarantee(name string) resources.Quantities {
	return resources.QuantitiesFromProto(m.registry.Quotas()[name].GetGuarantees())
}

// quotasInForce goes on once quotas are durable.
func (m *Master) quotasInForce(set quotasSet) {
	var quotas map[string]*quotapb.QuotaConfig
	m.undertake(set.request, once(func() {
		quotas = maps.Clone(m.quotas)
	}), each(&set.configs, func(_ int, config *quotapb.QuotaConfig) *refusal.Error {
		m.setQuotaInForce(quotas, config)
		return nil
	}), once(func() {
		m.quotas, m.quotaNames = quotas, slices.Sorted(maps.Keys(quotas))
		m.recall(false)
		m.reply(set.request, nil)
	}))
}

// setQuotaInForce puts a quota in force, and in the list of all.
func (m *Master) setQuotaInForce(quotas map[string]*quotapb.QuotaConfig, config *quotapb.QuotaConfig) {
	name, quota := config.GetRole(), quotaOf(config)
	if quota.Guarantees.IsEmpty() && quota.Limits.IsEmpty() {
		delete(quotas, name)
	} else {
		quotas[name] = config
	}
	if quota.Guarantees.IsEmpty() {
		delete(m.guarantees, name)
		delete(m.starving, name)
	} else {
		m.guarantees[name] = quota.Guarantees
	}
	m.alloc.SetQuota(name, quota)
}

// quotaOf returns a quota as the allocator takes it.
func quotaOf(config *quotapb.QuotaConfig) allocator.Quota {
	return allocator.Quota{
		Guarantees: resources.QuantitiesFromProto(config.GetGuarantees()),
		Limits:     resources.LimitsFromProto(config.GetLimits()),
	}
}

// recoverQuotas takes the registry's quotas. Nothing is offered until most
// agents are back, if there are any.
func (m *Master) recoverQuotas(l *Legacy) {
	m.quotas, m.quotaNames, m.guarantees = l.quotas, l.quotaNames, l.guarantees
	for i, name := range l.quotaNames {
		m.alloc.SetQuota(name, l.inForce[i])
		for resource, amount := range m.guarantees[name].All() {
			m.guaranteed.add(resource, amount)
		}
	}
	m.alloc.HoldOff(m.now, m.toRecover)
}

// isListed reports whether frameworks may have a role (--roles).
func (m *Master) isListed(name string) bool {
	return len(m.listed) == 0 || name == "*" || m.listed[name]
}
