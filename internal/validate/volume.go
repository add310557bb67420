package validate

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/resources"
)

// Create refuses a CREATE of what are no persistent volumes, of one that the
// agent has already, of one that the agent does not understand or the framework
// cannot share, and in another's name.
func Create(op *mesos.Offer_Operation_Create, by Requester, a *Agent) error {
	volumes, err := volumesOf(op.GetVolumes())
	if err != nil {
		return err
	}
	if err := uniquePersistence(a.Checkpointed.Add(volumes.Unallocated())); err != nil {
		return err
	}
	for v := range volumes.All() {
		if err := newVolume(v, by, a); err != nil {
			return err
		}
	}
	if by.Framework != nil {
		return within("Invalid volume resources", oneAllocation(volumes))
	}
	return nil
}

// volumesOf refuses what are no persistent volumes of one provider.
func volumesOf(ms []*mesos.Resource) (resources.Resources, error) {
	volumes, err := ofOneProvider(ms)
	if err != nil {
		return volumes, err
	}
	return volumes, within("Not a persistent volume", areVolumes(volumes))
}

func newVolume(v resources.Resource, by Requester, a *Agent) error {
	if f := by.Framework; f != nil && v.IsShared() && !f.SharedResources {
		return refusal.Invalidf("Create volume operation for '%s' has been attempted by framework '%s'"+
			" with no SHARED_RESOURCES capability", v, f.ID)
	}
	if err := understood("Volume", "created", v, a); err != nil {
		return err
	}
	switch creator := v.Disk().Persistence; {
	case by.Principal == "":
		return nil
	case creator.Principal == nil:
		return refusal.Invalidf("Create volume operation attempted by principal '%s', but there is a volume"+
			" in the operation with no principal set in 'disk.persistence'", by.Principal)
	case creator.GetPrincipal() != by.Principal:
		return refusal.Invalidf("Create volume operation attempted by authenticated principal '%s', which does"+
			" not match a volume in the operation with principal '%s' set in 'disk.persistence'",
			by.Principal, creator.GetPrincipal())
	}
	return nil
}

// Destroy refuses a DESTROY of what are no persistent volumes, of one that the
// agent does not have, and of one that is in use.
func Destroy(op *mesos.Offer_Operation_Destroy, a *Agent) error {
	volumes, err := volumesOf(op.GetVolumes())
	if err != nil {
		return err
	}
	volumes = volumes.Unallocated()
	for v := range volumes.All() {
		if !v.HasProvider() && !a.Checkpointed.Contains(resources.Of(v)) {
			return refusal.Invalidf("Persistent volumes not found")
		}
	}
	for used := range a.Used {
		used = used.Unallocated()
		for v := range volumes.All() {
			if used.Contains(resources.Of(v)) {
				return refusal.Invalidf("Persistent volumes in use")
			}
		}
	}
	return nil
}

// GrowVolume refuses a GROW_VOLUME of what cannot grow, or by what is no more
// of the same disk.
func GrowVolume(op *mesos.Offer_Operation_GrowVolume, a *Agent) error {
	if err := within("Invalid resource in the 'GrowVolume.volume' field", resources.Validate(op.GetVolume())); err != nil {
		return err
	}
	if err := within("Invalid resource in the 'GrowVolume.addition' field",
		resources.Validate(op.GetAddition())); err != nil {
		return err
	}
	volume, addition := resources.TrustedOne(op.GetVolume()), resources.TrustedOne(op.GetAddition())
	one := resources.Of(volume)
	switch {
	case addition.Amount() <= 0:
		return refusal.Invalidf("The size of 'GrowVolume.addition' field must be greater than zero")
	case volume.HasProvider():
		return refusal.Invalidf("Growing a volume from a resource provider is not supported")
	case areVolumes(one) != nil:
		return within("Invalid persistent volume in the 'GrowVolume.volume' field", areVolumes(one))
	case volume.IsShared():
		return refusal.Invalidf("Growing a shared persistent volume is not supported")
	case one.WithoutPersistence().Add(resources.Of(addition)).Len() != 1:
		return refusal.Invalidf("Incompatible resources in the 'GrowVolume.volume' and 'GrowVolume.addition' fields")
	case !a.Capabilities.ResizeVolume:
		return refusal.Invalidf("Volume %s cannot be grown on an agent without RESIZE_VOLUME capability", volume)
	}
	return nil
}

// ShrinkVolume refuses a SHRINK_VOLUME of what cannot shrink, or that would
// leave nothing.
func ShrinkVolume(op *mesos.Offer_Operation_ShrinkVolume, a *Agent) error {
	if err := within("Invalid resource in the 'ShrinkVolume.volume' field",
		resources.Validate(op.GetVolume())); err != nil {
		return err
	}
	volume, by := resources.TrustedOne(op.GetVolume()), resources.FromFloat(op.GetSubtract().GetValue())
	one := resources.Of(volume)
	switch {
	case by <= 0:
		return refusal.Invalidf("Value of 'ShrinkVolume.subtract' must be greater than zero")
	case volume.Amount() <= by:
		return refusal.Invalidf("Value of 'ShrinkVolume.subtract' must be smaller than the size" +
			" of 'ShrinkVolume.volume'")
	case volume.HasProvider():
		return refusal.Invalidf("Shrinking a volume from a resource provider is not supported")
	case volume.IsDisk(mesos.Resource_DiskInfo_Source_MOUNT):
		return refusal.Invalidf("Shrinking a volume on a MOUNT disk is not supported")
	case areVolumes(one) != nil:
		return within("Invalid persistent volume in the 'ShrinkVolume.volume' field", areVolumes(one))
	case volume.IsShared():
		return refusal.Invalidf("Shrinking a shared persistent volume is not supported")
	case !a.Capabilities.ResizeVolume:
		return refusal.Invalidf("Volume %s cannot be shrunk on an agent without RESIZE_VOLUME capability", volume)
	}
	return nil
}

// CreateDisk refuses a CREATE_DISK of what is no raw disk of a provider, or to
// a type or profile that it cannot have.
func CreateDisk(op *mesos.Offer_Operation_CreateDisk) error {
	source, err := providerDisk(op.GetSource())
	if err != nil {
		return err
	}
	if !source.IsDisk(mesos.Resource_DiskInfo_Source_RAW) {
		return refusal.Invalidf("'source' is not a RAW disk resource")
	}
	target := op.GetTargetType()
	if target != mesos.Resource_DiskInfo_Source_MOUNT && target != mesos.Resource_DiskInfo_Source_BLOCK {
		return refusal.Invalidf("'target_type' is neither MOUNT or BLOCK")
	}
	switch has, wants := source.Disk().Source.Profile != nil, op.TargetProfile != nil; {
	case has && wants:
		return refusal.Invalidf("'target_profile' must not be set when 'source' has a profile")
	case !has && !wants:
		return refusal.Invalidf("'target_profile' must be set when 'source' has no profile")
	}
	return nil
}

// DestroyDisk refuses a DESTROY_DISK of what no CREATE_DISK has made, or that
// has a persistent volume on it.
func DestroyDisk(op *mesos.Offer_Operation_DestroyDisk) error {
	source, err := providerDisk(op.GetSource())
	if err != nil {
		return err
	}
	switch {
	case !source.IsDisk(mesos.Resource_DiskInfo_Source_MOUNT) &&
		!source.IsDisk(mesos.Resource_DiskInfo_Source_BLOCK) &&
		!source.IsDisk(mesos.Resource_DiskInfo_Source_RAW):
		return refusal.Invalidf("'source' is neither a MOUNT, BLOCK or RAW disk resource")
	case source.Disk().Source.Id == nil:
		return refusal.Invalidf("'source' is not backed by a CSI volume")
	case source.IsPersistentVolume():
		return refusal.Invalidf("A disk resource containing a persistent volume %s cannot be destroyed directly."+
			" Please destroy the persistent volume first then destroy the disk resource", source)
	}
	return nil
}

func providerDisk(m *mesos.Resource) (resources.Resource, error) {
	if err := Resources([]*mesos.Resource{m}); err != nil {
		return resources.Resource{}, within("Invalid resource", err)
	}
	source := resources.TrustedOne(m)
	if !source.HasProvider() {
		return source, refusal.Invalidf("'source' is not managed by a resource provider")
	}
	return source, nil
}
