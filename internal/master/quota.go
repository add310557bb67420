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
func (m *Master) updateQuota(id RequestID, call *masterpb.Call_UpdateQuota) *refusal.Error {
	configs := call.GetQuotaConfigs()
	for _, config := range configs {
		if err := m.checkQuota(config); err != nil {
			return err
		}
	}
	total, err := m.guaranteesWith(configs)
	if err != nil {
		return err
	}
	if !call.GetForce() {
		if err := m.consumedWithin(configs); err != nil {
			return err
		}
		if capacity := m.capacity.quantities(); !capacity.Contains(total) {
			return refusal.Invalidf("Invalid QuotaConfig: total quota guarantees '%s' exceed cluster capacity '%s'"+
				" (use 'force' flag to bypass this check)", total, capacity)
		}
	}
	m.setQuotas(id, configs)
	return nil
}

// checkQuota refuses a quota that can never be set.
func (m *Master) checkQuota(config *quotapb.QuotaConfig) *refusal.Error {
	name := config.GetRole()
	switch {
	case !m.isListed(name):
		return refusal.Invalidf("Invalid QuotaConfig: '%s' is not on the roles whitelist", name)
	case strings.Contains(name, "/"):
		return refusal.Invalidf("Updating quota on nested role '%s' is not supported yet", name)
	}
	if err := validate.Quota(config); err != nil {
		return refusal.Invalidf("Invalid QuotaConfig: %s", err)
	}
	return nil
}

// consumedWithin refuses limits that are below what their roles have already.
func (m *Master) consumedWithin(configs []*quotapb.QuotaConfig) *refusal.Error {
	for _, config := range configs {
		limits := resources.LimitsFromProto(config.GetLimits())
		if limits.IsEmpty() {
			continue
		}
		name := config.GetRole()
		if consumed := m.consumed(name); !limits.Admits(consumed) {
			return refusal.Invalidf("Invalid QuotaConfig: Role '%s' is already consuming '%s'; this is more than the"+
				" requested limits '%s' (use 'force' flag to bypass this check)", name, consumed, limits)
		}
	}
	return nil
}

// consumed returns how much of its quota a top-level role has used up, beside what
// it is offered.
func (m *Master) consumed(top string) resources.Quantities {
	return m.alloc.Consumed(top).Sub(m.offered.of(top))
}

// mostGuaranteed is what all guarantees together may be, even if forced, so that
// sums of them stay within bounds.
const mostGuaranteed = resources.Amount(1) << 62

// guaranteesWith returns what all roles are guaranteed once the quotas given are
// set.
func (m *Master) guaranteesWith(configs []*quotapb.QuotaConfig) (total resources.Quantities, err *refusal.Error) {
	total = m.guaranteed.quantities()
	given := map[string]*quotapb.QuotaConfig{}
	for _, config := range configs {
		given[config.GetRole()] = config
	}
	for name := range given {
		total = total.Sub(m.recordedGuarantee(name))
	}
	for _, config := range given {
		total = total.Add(resources.QuantitiesFromProto(config.GetGuarantees()))
		for name, amount := range total.All() {
			if amount > mostGuaranteed {
				return total, refusal.Invalidf("Invalid QuotaConfig: the guarantees of %s of all roles together are too large", name)
			}
		}
	}
	return total, nil
}

// setQuota answers SET_QUOTA, the older form: for one role that has no quota,
// which then has as much at least and at most.
func (m *Master) setQuota(id RequestID, request *quotapb.QuotaRequest) *refusal.Error {
	if err := validate.QuotaRequest(request); err != nil {
		return refusal.Invalidf("Failed to validate set quota request: %s", err)
	}
	name, amounts := request.GetRole(), map[string]*mesos.Value_Scalar{}
	for _, r := range request.GetGuarantee() {
		amounts[r.GetName()] = r.GetScalar()
	}
	config := &quotapb.QuotaConfig{Role: &name, Guarantees: amounts, Limits: amounts}
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
	total, err := m.guaranteesWith([]*quotapb.QuotaConfig{config})
	if err != nil {
		return err
	}
	if capacity := m.capacity.quantities(); !request.GetForce() && !capacity.Contains(total) {
		return refusal.Conflictf("Quota guarantees overcommit the cluster (use 'force' to bypass this check):"+
			" Total quota guarantees '%s' exceed cluster capacity '%s'", total, capacity)
	}
	m.setQuotas(id, []*quotapb.QuotaConfig{config})
	return nil
}

// removeQuota answers REMOVE_QUOTA.
func (m *Master) removeQuota(id RequestID, name string) *refusal.Error {
	switch {
	case !m.isListed(name):
		return refusal.Invalidf("Failed to remove quota: Unknown role '%s'", name)
	case m.registry.Quotas()[name] == nil:
		return refusal.Invalidf("Failed to remove quota: Role '%s' has no quota set", name)
	}
	m.setQuotas(id, []*quotapb.QuotaConfig{{Role: &name}})
	return nil
}

// setQuotas writes quotas that were found right.
func (m *Master) setQuotas(id RequestID, configs []*quotapb.QuotaConfig) {
	roles := map[string]bool{}
	for _, config := range configs {
		roles[config.GetRole()] = true
	}
	m.countRecorded(roles, -1)
	m.persistFor(id, m.registry.SetQuotas(configs), quotasSet{id, configs})
	m.countRecorded(roles, 1)
}

// countRecorded adds what the registry says that roles are guaranteed to what all
// roles are, or, with a sign of -1, takes it off.
func (m *Master) countRecorded(roles map[string]bool, sign resources.Amount) {
	for name := range roles {
		for resource, amount := range m.recordedGuarantee(name).All() {
			m.guaranteed.add(resource, sign*amount)
		}
	}
}

func (m *Master) recordedGuarantee(name string) resources.Quantities {
	return resources.QuantitiesFromProto(m.registry.Quotas()[name].GetGuarantees())
}

// quotasInForce goes on once quotas are durable.
func (m *Master) quotasInForce(set quotasSet) {
	m.quotas = maps.Clone(m.quotas)
	for _, config := range set.configs {
		m.setQuotaInForce(config)
	}
	m.quotaNames = slices.Sorted(maps.Keys(m.quotas))
	m.recall(false)
	m.reply(set.request, nil)
}

func (m *Master) setQuotaInForce(config *quotapb.QuotaConfig) {
	name, quota := config.GetRole(), quotaOf(config)
	if quota.Guarantees.IsEmpty() && quota.Limits.IsEmpty() {
		delete(m.quotas, name)
	} else {
		m.quotas[name] = config
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
func (m *Master) recoverQuotas() {
	m.quotas, m.guarantees = maps.Clone(m.registry.Quotas()), map[string]resources.Quantities{}
	m.quotaNames = slices.Sorted(maps.Keys(m.quotas))
	for _, name := range m.quotaNames {
		m.setQuotaInForce(m.quotas[name])
		m.countRecorded(map[string]bool{name: true}, 1)
	}
	m.alloc.HoldOff(m.now, m.toRecover)
}

// isListed reports whether frameworks may have a role (--roles).
func (m *Master) isListed(name string) bool {
	return len(m.cfg.Roles) == 0 || name == "*" || slices.Contains(m.cfg.Roles, name)
}
