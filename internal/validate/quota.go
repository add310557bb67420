package validate

import (
	"maps"
	"math"
	"slices"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/resources"
)

// What no quota may pass: fixed point has room for it in any sum.
const (
	exabyteInMegabytes = 1 << 40
	trillion           = 1_000_000_000_000
)

// mostGuaranteed is what all guarantees together may be, even if forced, so that
// sums of them stay within bounds.
const mostGuaranteed = resources.Amount(1) << 62

// QuotaUpdate refuses a quota that can never be set. Listed says whether
// frameworks may have the role.
func QuotaUpdate(q *quotapb.QuotaConfig, listed bool) *refusal.Error {
	name := q.GetRole()
	switch {
	case !listed:
		return refusal.Invalidf("Invalid QuotaConfig: '%s' is not on the roles whitelist", name)
	case strings.Contains(name, "/"):
		return refusal.Invalidf("Updating quota on nested role '%s' is not supported yet", name)
	}
	if err := Quota(q); err != nil {
		return refusal.Invalidf("Invalid QuotaConfig: %s", err)
	}
	return nil
}

// AddGuarantee adds what a quota guarantees to what all others do, and refuses
// what is more than can be counted.
func AddGuarantee(total resources.Quantities, q *quotapb.QuotaConfig) (resources.Quantities, *refusal.Error) {
	total = total.Add(resources.QuantitiesFromProto(q.GetGuarantees()))
	for name, amount := range total.All() {
		if amount > mostGuaranteed {
			return total, refusal.Invalidf("Invalid QuotaConfig: the guarantees of %s of all roles together are too large", name)
		}
	}
	return total, nil
}

// LimitsOfConsumed refuses limits that are below what their role has already.
// It is for quotas that are not forced.
func LimitsOfConsumed(q *quotapb.QuotaConfig, consumed resources.Quantities) *refusal.Error {
	if limits := resources.LimitsFromProto(q.GetLimits()); !limits.Admits(consumed) {
		return refusal.Invalidf("Invalid QuotaConfig: Role '%s' is already consuming '%s'; this is more than the"+
			" requested limits '%s' (use 'force' flag to bypass this check)", q.GetRole(), consumed, limits)
	}
	return nil
}

// Overcommit refuses what all roles are guaranteed together, if it is more than
// the cluster has. It is for quotas that are not forced.
func Overcommit(total, capacity resources.Quantities) *refusal.Error {
	if !capacity.Contains(total) {
		return refusal.Invalidf("Invalid QuotaConfig: total quota guarantees '%s' exceed cluster capacity '%s'"+
			" (use 'force' flag to bypass this check)", total, capacity)
	}
	return nil
}

// Quota refuses a quota for no valid role, with amounts that are none or too
// large, or whose guarantees pass its limits.
func Quota(q *quotapb.QuotaConfig) error {
	if q.Role == nil {
		return refusal.Invalidf("'QuotaConfig.role' must be set")
	}
	guarantees, limits := q.GetGuarantees(), q.GetLimits()
	return first(
		func() error { return within("Invalid 'QuotaConfig.role'", role.Validate(q.GetRole())) },
		func() error { return within("Invalid 'QuotaConfig.guarantees'", notTooLarge(guarantees)) },
		func() error { return within("Invalid 'QuotaConfig.limits'", notTooLarge(limits)) },
		func() error { return scalars("guarantee", guarantees) },
		func() error { return scalars("limit", limits) },
		func() error { return guaranteesWithinLimits(guarantees, limits) },
	)
}

func notTooLarge(m map[string]*mesos.Value_Scalar) error {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		switch v := m[name].GetValue(); {
		case (name == "mem" || name == "disk") && v > exabyteInMegabytes:
			return refusal.Invalidf("{'%s': %s} is invalid: values greater than 1 exabyte (%d) are not supported",
				name, amount(v), exabyteInMegabytes)
		case name != "mem" && name != "disk" && v > trillion:
			return refusal.Invalidf("{'%s': %s} is invalid: values greater than 1 trillion (%d) are not supported",
				name, amount(v), int64(trillion))
		}
	}
	return nil
}

func scalars(what string, m map[string]*mesos.Value_Scalar) error {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if err := Scalar(m[name].GetValue()); err != nil {
			return refusal.Invalidf("Invalid %s configuration {'%s': %s}: %s",
				what, name, amount(m[name].GetValue()), err)
		}
	}
	return nil
}

// amount prints an amount as those of resources are, or, if it can be none of
// theirs, as it came.
func amount(v float64) string {
	if a := resources.FromFloat(v); math.Abs(a.Float64()-v) < 1 {
		return a.String()
	}
	return number(v)
}

func guaranteesWithinLimits(guarantees, limits map[string]*mesos.Value_Scalar) error {
	q, l := resources.QuantitiesFromProto(guarantees), resources.LimitsFromProto(limits)
	if !l.Admits(q) {
		return refusal.Invalidf("'QuotaConfig.guarantees' %s is not contained within the 'QuotaConfig.limits' %s", q, l)
	}
	return nil
}

// QuotaRequest refuses a quota of the older form for no valid role, or with
// guarantees that are more than names and amounts.
func QuotaRequest(q *quotapb.QuotaRequest) error {
	if err := resources.ValidateAll(q.GetGuarantee()); err != nil {
		return within("QuotaInfo with invalid resource", err)
	}
	if q.Role == nil {
		return refusal.Invalidf("QuotaInfo must specify a role")
	}
	if err := role.Validate(q.GetRole()); err != nil {
		return within("QuotaInfo with invalid role", err)
	}
	if len(q.GetGuarantee()) == 0 {
		return refusal.Invalidf("QuotaInfo with empty 'guarantee'")
	}
	seen := map[string]bool{}
	for _, r := range q.GetGuarantee() {
		if err := guarantee(r); err != nil {
			return err
		}
		if seen[r.GetName()] {
			return refusal.Invalidf("QuotaInfo contains duplicate resource name '%s'", r.GetName())
		}
		seen[r.GetName()] = true
	}
	return nil
}

func guarantee(r *mesos.Resource) error {
	switch {
	case len(r.GetReservations()) > 0 || r.GetReservation() != nil || r.GetRole() != "" && r.GetRole() != "*":
		return refusal.Invalidf("QuotaInfo must not contain any ReservationInfo")
	case r.GetDisk() != nil:
		return refusal.Invalidf("QuotaInfo must not contain DiskInfo")
	case r.GetRevocable() != nil:
		return refusal.Invalidf("QuotaInfo must not contain RevocableInfo")
	case r.GetType() != mesos.Value_SCALAR:
		return refusal.Invalidf("QuotaInfo must not include non-scalar resources")
	}
	return nil
}
