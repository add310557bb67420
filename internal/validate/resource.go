package validate

import (
	"slices"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/resources"
)

// Resources refuses what are no valid resources of tasks, executors and
// operations: besides malformed ones those with fractions of a GPU, disks that
// Mesos does not have, and dynamic reservations of revocable resources.
func Resources(rs []*mesos.Resource) error {
	if err := within("Invalid resources", resources.ValidateAll(rs)); err != nil {
		return err
	}
	return sound(resources.Trusted(rs))
}

// sound is what Resources asks of resources that are well-formed.
func sound(rs resources.Resources) error {
	if err := within("Invalid 'gpus' resource", gpus(rs)); err != nil {
		return err
	}
	for r := range rs.All() {
		if err := within("Invalid DiskInfo", disk(r)); err != nil {
			return err
		}
	}
	for r := range rs.All() {
		if r.IsDynamicallyReserved() && r.IsRevocable() {
			return refusal.Invalidf("Invalid ReservationInfo: Dynamically reserved resource %s"+
				" cannot be created from revocable resources", r)
		}
	}
	return nil
}

func gpus(rs resources.Resources) error {
	if rs.Scalar("gpus")%resources.Unit != 0 {
		return refusal.Invalidf("The 'gpus' resource must be an unsigned integer")
	}
	return nil
}

func disk(r resources.Resource) error {
	info := r.Disk()
	switch {
	case info == nil:
		return nil
	case r.IsPersistentVolume():
		return persistentVolume(r)
	case info.Volume != nil:
		return refusal.Invalidf("Non-persistent volume not supported")
	case info.Source == nil:
		return refusal.Invalidf("DiskInfo is set but empty")
	}
	return nil
}

func persistentVolume(r resources.Resource) error {
	volume := r.Disk().Volume
	switch {
	case r.IsRevocable():
		return refusal.Invalidf("Persistent volumes cannot be created from revocable resources")
	case !r.IsReserved():
		return refusal.Invalidf("Persistent volumes cannot be created from unreserved resources")
	case volume == nil:
		return refusal.Invalidf("Expecting 'volume' to be set for persistent volume")
	case volume.HostPath != nil:
		return refusal.Invalidf("Expecting 'host_path' to be unset for persistent volume")
	}
	return within("Invalid persistence ID for persistent volume", ids.Validate(ids.TaskID(r.PersistenceID())))
}

// uniquePersistence refuses two volumes of one role with the same ID.
func uniquePersistence(rs resources.Resources) error {
	type name struct{ role, id string }
	seen := map[name]bool{}
	for r := range rs.All() {
		if !r.IsPersistentVolume() {
			continue
		}
		n := name{r.Role(), r.PersistenceID()}
		if seen[n] {
			return refusal.Invalidf("Persistence ID '%s' is not unique", n.id)
		}
		seen[n] = true
	}
	return nil
}

// oneRevocability refuses resources of a name of which some are revocable and
// some are not.
func oneRevocability(rs resources.Resources) error {
	if !rs.Any(resources.Resource.IsRevocable) {
		return nil
	}
	firm := map[string]bool{}
	for r := range rs.NonRevocable().All() {
		firm[r.Name()] = true
	}
	for r := range rs.Revocable().All() {
		if firm[r.Name()] {
			return refusal.Invalidf("Cannot use both revocable and non-revocable '%s' at the same time", r.Name())
		}
	}
	return nil
}

// oneAllocation refuses resources that are allocated to no role or to several.
func oneAllocation(rs resources.Resources) error {
	role := ""
	for r := range rs.All() {
		switch own := r.AllocationRole(); {
		case own == "":
			return refusal.Invalidf("The resources are not allocated to a role")
		case role == "":
			role = own
		case role != own:
			return refusal.Invalidf("The resources have multiple allocation roles ('%s' and '%s')"+
				" but only one allocation role is allowed", own, role)
		}
	}
	return nil
}

// areVolumes refuses what are no persistent volumes that can be written to.
func areVolumes(rs resources.Resources) error {
	for r := range rs.All() {
		info := r.Disk()
		switch {
		case info == nil:
			return refusal.Invalidf("Resource %s does not have DiskInfo", r)
		case info.Persistence == nil:
			return refusal.Invalidf("'persistence' is not set in DiskInfo")
		case info.Volume == nil:
			return refusal.Invalidf("Expecting 'volume' to be set for persistent volume")
		case info.Volume.GetMode() == mesos.Volume_RO:
			return refusal.Invalidf("Read-only persistent volume not supported")
		}
	}
	return nil
}

// oneProvider refuses nothing at all and resources of several providers; the
// agent counts as one.
func oneProvider(rs resources.Resources) error {
	var providers []string
	for r := range rs.All() {
		if !slices.Contains(providers, r.ProviderID()) {
			providers = append(providers, r.ProviderID())
		}
	}
	switch {
	case len(providers) == 0:
		return refusal.Invalidf("There are none")
	case len(providers) == 1:
		return nil
	case slices.Contains(providers, ""):
		return refusal.Invalidf("Some resources have a resource provider and some do not")
	}
	return refusal.Invalidf("The resources have multiple resource providers: %s", strings.Join(providers, ", "))
}

// overlap reports whether some number or item is in more than one of parts.
func overlap(parts ...resources.Resources) bool {
	var apart resources.Quantities
	for _, part := range parts {
		apart = apart.Add(part.NonScalars().Quantities())
	}
	return !resources.Sum(parts...).NonScalars().Quantities().Equal(apart)
}
