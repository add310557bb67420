package validate

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/role"
)

// FrameworkInfo refuses roles that do not go with the capabilities, are invalid
// or more than [MaxRoles], an ID that cannot name a folder, offer filters that are no amounts
// and a failover timeout out of range.
func FrameworkInfo(f *mesos.FrameworkInfo) error {
	if err := roles(f); err != nil {
		return err
	}
	if id := f.GetId().GetValue(); id != "" {
		if err := ids.Validate(ids.FrameworkID(id)); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.GetOfferFilters())) {
		if err := OfferFilters(f.GetOfferFilters()[name]); err != nil {
			return err
		}
	}
	if !isDuration(f.GetFailoverTimeout()) {
		return refusal.Invalidf("The framework failover_timeout (%s) is invalid", number(f.GetFailoverTimeout()))
	}
	return nil
}

// isDuration reports whether so many seconds fit in 64 bits of nanoseconds.
func isDuration(seconds float64) bool {
	return math.Abs(seconds*float64(time.Second)) < math.MaxInt64
}

// number prints v with six significant digits, as C++ streams do.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

func hasCapability(f *mesos.FrameworkInfo, want mesos.FrameworkInfo_Capability_Type) bool {
	return slices.ContainsFunc(f.GetCapabilities(), func(c *mesos.FrameworkInfo_Capability) bool {
		return c.GetType() == want
	})
}

// MaxRoles is how many roles a framework may be in: the master puts each in its place
// among all others in one step, which takes it some microseconds.
const MaxRoles = 1000

func roles(f *mesos.FrameworkInfo) error {
	if !hasCapability(f, mesos.FrameworkInfo_Capability_MULTI_ROLE) {
		if len(f.GetRoles()) > 0 {
			return refusal.Invalidf("'FrameworkInfo.roles' must not be set when the" +
				" framework is not MULTI_ROLE capable")
		}
		return within("'FrameworkInfo.role' is not a valid role", role.Validate(f.GetRole()))
	}
	if f.Role != nil {
		return refusal.Invalidf("'FrameworkInfo.role' must not be set when the" +
			" framework is MULTI_ROLE capable")
	}
	if n := len(f.GetRoles()); n > MaxRoles {
		return refusal.Invalidf("'FrameworkInfo.roles' contains %d items, more than %d", n, MaxRoles)
	}
	if twice := duplicates(f.GetRoles()); len(twice) > 0 {
		return refusal.Invalidf("'FrameworkInfo.roles' contains duplicate items: %s", set(twice))
	}
	for _, name := range f.GetRoles() {
		if err := role.Validate(name); err != nil {
			return within("'FrameworkInfo.roles' contains invalid role", err)
		}
	}
	return nil
}

// duplicates returns, sorted, what is in names more than once.
func duplicates(names []string) []string {
	sorted := slices.Sorted(slices.Values(names))
	var twice []string
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			twice = append(twice, sorted[i])
		}
	}
	return slices.Compact(twice)
}

// set prints names as Mesos prints sets.
func set(names []string) string { return "{ " + strings.Join(names, ", ") + " }" }

// OfferFilters refuses minimal resources without any amount, or with one that
// is no amount.
func OfferFilters(f *mesos.OfferFilters) error {
	for _, quantities := range f.GetMinAllocatableResources().GetQuantities() {
		amounts := quantities.GetQuantities()
		if len(amounts) == 0 {
			return refusal.Invalidf("Resource quantities must contain at least one quantity")
		}
		for _, name := range slices.Sorted(maps.Keys(amounts)) {
			if err := Scalar(amounts[name].GetValue()); err != nil {
				return refusal.Invalidf("Invalid resource quantity for '%s': %s", name, err)
			}
		}
	}
	return nil
}

// FrameworkUpdate refuses a FrameworkInfo that changes of the old one what an
// UPDATE_FRAMEWORK must leave alone.
func FrameworkUpdate(old, changed *mesos.FrameworkInfo) error {
	if err := FrameworkPrincipal(old, changed); err != nil {
		return err
	}
	if old.GetUser() != changed.GetUser() {
		return refusal.Invalidf("Updating 'FrameworkInfo.user' is unsupported"+
			"; attempted to update from '%s' to '%s'", old.GetUser(), changed.GetUser())
	}
	if old.GetCheckpoint() != changed.GetCheckpoint() {
		return refusal.Invalidf("Updating 'FrameworkInfo.checkpoint' is unsupported"+
			"; attempted to update from '%t' to '%t'", old.GetCheckpoint(), changed.GetCheckpoint())
	}
	return nil
}

// FrameworkPrincipal refuses a FrameworkInfo with another principal than the
// old one, which is all that a framework that subscribes anew must leave alone.
// Who asks is not told whose the old one was.
func FrameworkPrincipal(old, changed *mesos.FrameworkInfo) error {
	same := (old.Principal == nil) == (changed.Principal == nil) && old.GetPrincipal() == changed.GetPrincipal()
	if !same {
		return refusal.Invalidf("Changing framework's principal is not allowed.")
	}
	return nil
}

// SuppressedRoles refuses to suppress roles that are not the framework's.
func SuppressedRoles(own, suppressed []string) error {
	own = slices.Sorted(slices.Values(own)) // they may be thousands
	var alien []string
	for _, name := range suppressed {
		if _, its := slices.BinarySearch(own, name); !its {
			alien = append(alien, name)
		}
	}
	if len(alien) == 0 {
		return nil
	}
	slices.Sort(alien)
	return refusal.Invalidf("Suppressed roles %s are not contained in the set of roles", set(slices.Compact(alien)))
}

// OfferConstraints refuses constraints for roles that are not the framework's. What
// they say is checked where they are compiled.
func OfferConstraints(own []string, c *schedulerpb.OfferConstraints) error {
	own = slices.Sorted(slices.Values(own))
	for _, name := range slices.Sorted(maps.Keys(c.GetRoleConstraints())) {
		if _, its := slices.BinarySearch(own, name); !its {
			return refusal.Invalidf("Offer constraints specify `role_constraints` for a role '%s'"+
				" not contained in the set of roles", name)
		}
	}
	return nil
}
