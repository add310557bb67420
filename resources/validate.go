package resources

import (
	"math"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/role"
)

// Validate returns a refusal.Invalid unless r is a valid resource in one of
// the forms, or in both where they agree.
func Validate(r *mesos.Resource) error {
	if r.GetName() == "" {
		return refusal.Invalidf("Empty resource name")
	}
	for _, rule := range []func(*mesos.Resource) error{
		validateValue, validateDisk, validateReservations, validateShared,
	} {
		if err := rule(r); err != nil {
			return err
		}
	}
	return nil
}

func validateValue(r *mesos.Resource) error {
	if r.Type == nil {
		return refusal.Invalidf("Invalid resource type")
	}
	scalar, ranges, set := r.Scalar != nil, r.Ranges != nil, r.Set != nil
	switch r.GetType() {
	case mesos.Value_SCALAR:
		if !scalar || ranges || set {
			return refusal.Invalidf("Invalid scalar resource")
		}
		return validateScalar(r.Scalar.GetValue())
	case mesos.Value_RANGES:
		if scalar || !ranges || set {
			return refusal.Invalidf("Invalid ranges resource")
		}
		return validateRanges(r.Ranges.GetRange())
	case mesos.Value_SET:
		if scalar || ranges || !set {
			return refusal.Invalidf("Invalid set resource")
		}
		return validateSet(r.Set.GetItem())
	default:
		return refusal.Invalidf("Unsupported resource type")
	}
}

// validateScalar refuses, besides what Mesos does, what is no finite number or
// more than fixed point can hold: sums of those would not add up.
func validateScalar(v float64) error {
	switch {
	case math.IsNaN(v) || v*float64(Unit) >= float64(maxAmount):
		return refusal.Invalidf("Invalid scalar resource: value out of range")
	case v != 0 && FromFloat(v) <= 0:
		return refusal.Invalidf("Invalid scalar resource: value <= 0")
	}
	return nil
}

func validateRanges(rs []*mesos.Value_Range) error {
	sorted := make([]Range, 0, len(rs))
	for _, r := range rs {
		if r.GetBegin() > r.GetEnd() {
			return refusal.Invalidf("Invalid ranges resource: begin > end")
		}
		sorted = append(sorted, Range{r.GetBegin(), r.GetEnd()})
	}
	slices.SortFunc(sorted, byBegin)
	for i := 1; i < len(sorted); i++ {
		if sorted[i].Begin <= sorted[i-1].End {
			return refusal.Invalidf("Invalid ranges resource: overlapping ranges")
		}
	}
	return nil
}

func validateSet(items []string) error {
	if len(setOf(items)) < len(items) {
		return refusal.Invalidf("Invalid set resource: duplicated elements")
	}
	return nil
}

func validateDisk(r *mesos.Resource) error {
	if r.Disk == nil {
		return nil
	}
	if r.GetName() != "disk" {
		return refusal.Invalidf("DiskInfo should not be set for %s resource", r.GetName())
	}
	source := r.Disk.Source
	if source == nil {
		return nil
	}
	switch typ := source.GetType(); typ {
	case mesos.Resource_DiskInfo_Source_PATH, mesos.Resource_DiskInfo_Source_MOUNT:
	case mesos.Resource_DiskInfo_Source_BLOCK, mesos.Resource_DiskInfo_Source_RAW:
		if source.Mount != nil {
			return refusal.Invalidf("Mount should not be set for %s disk source", typ)
		}
		if source.Path != nil {
			return refusal.Invalidf("Path should not be set for %s disk source", typ)
		}
	default:
		return refusal.Invalidf("Unsupported 'DiskInfo.Source.Type' in '%s'", sourceText(source))
	}
	return nil
}

func validateShared(r *mesos.Resource) error {
	switch {
	case r.Shared == nil:
		return nil
	case r.GetName() != "disk":
		return refusal.Invalidf("Resource %s cannot be shared", r.GetName())
	case r.GetDisk().GetPersistence() == nil:
		return refusal.Invalidf("Only persistent volumes can be shared")
	}
	return nil
}

func validateReservations(r *mesos.Resource) error {
	if len(r.Reservations) == 0 {
		return validateOlderForm(r)
	}
	for _, info := range r.Reservations {
		if err := validateReservation(info); err != nil {
			return err
		}
	}
	if err := validateRefinement(r.Reservations); err != nil {
		return err
	}
	if len(r.Reservations) > 1 {
		return validateNoOlderForm(r)
	}
	return validateAgreement(r, r.Reservations[0])
}

// validateOlderForm checks role and reservation where they are all there is.
func validateOlderForm(r *mesos.Resource) error {
	if err := role.Validate(r.GetRole()); err != nil {
		return err
	}
	info := r.Reservation
	switch {
	case info == nil:
		return nil
	case info.Type != nil:
		return refusal.Invalidf("'Resource.ReservationInfo.type' must not be set for" +
			" the 'Resource.reservation' field")
	case info.Role != nil:
		return refusal.Invalidf("'Resource.ReservationInfo.role' must not be set for" +
			" the 'Resource.reservation' field")
	case r.GetRole() == role.Default:
		return refusal.Invalidf("Invalid reservation: role \"*\" cannot be dynamically reserved")
	}
	return nil
}

func validateReservation(info *mesos.Resource_ReservationInfo) error {
	if info.Type == nil {
		return refusal.Invalidf("Invalid reservation: 'Resource.ReservationInfo.type'" +
			" field must be set.")
	}
	if info.Role == nil {
		return refusal.Invalidf("Invalid reservation: 'Resource.ReservationInfo.role'" +
			" field must be set.")
	}
	if err := role.Validate(info.GetRole()); err != nil {
		return err
	}
	if info.GetRole() == role.Default {
		return refusal.Invalidf("Invalid reservation: role \"*\" cannot be reserved")
	}
	return nil
}

// validateRefinement checks that each reservation refines the one before it.
func validateRefinement(stack []*mesos.Resource_ReservationInfo) error {
	for i, info := range stack[1:] {
		if info.GetType() == mesos.Resource_ReservationInfo_STATIC {
			return refusal.Invalidf("Invalid refined reservation: A refined reservation" +
				" cannot be STATIC")
		}
		if above := stack[i].GetRole(); !role.IsStrictSubrole(info.GetRole(), above) {
			return refusal.Invalidf("Invalid refined reservation: role '%s' is not a refinement of '%s'",
				info.GetRole(), above)
		}
	}
	return nil
}

func validateNoOlderForm(r *mesos.Resource) error {
	if r.Role != nil {
		return refusal.Invalidf("Invalid resource format: 'Resource.role' must not be set if" +
			" there is more than one reservation in 'Resource.reservations'")
	}
	if r.Reservation != nil {
		return refusal.Invalidf("Invalid resource format: 'Resource.reservation' must not be set if" +
			" there is more than one reservation in 'Resource.reservations'")
	}
	return nil
}

// validateAgreement checks that role and reservation, if there, say the same
// as the only reservation in the stack.
func validateAgreement(r *mesos.Resource, only *mesos.Resource_ReservationInfo) error {
	if r.Role != nil && r.GetRole() != only.GetRole() {
		return refusal.Invalidf("Invalid resource format: 'Resource.role' field with '%s'"+
			" does not match the role '%s' in 'Resource.reservations'", r.GetRole(), only.GetRole())
	}
	switch only.GetType() {
	case mesos.Resource_ReservationInfo_STATIC:
		if r.Reservation != nil {
			return refusal.Invalidf("Invalid resource format: 'Resource.reservation' must not be" +
				" set if the single reservation in 'Resource.reservations' is STATIC")
		}
		return nil
	case mesos.Resource_ReservationInfo_DYNAMIC:
		return validateDynamicAgreement(r, only)
	default:
		return refusal.Invalidf("Unsupported 'Resource.ReservationInfo.Type'")
	}
}

func validateDynamicAgreement(r *mesos.Resource, only *mesos.Resource_ReservationInfo) error {
	older := r.Reservation
	switch {
	case (r.Role != nil) != (older != nil):
		return refusal.Invalidf("Invalid resource format: 'Resource.role' and" +
			" 'Resource.reservation' must either be both set or both not" +
			" set if the single reservation in 'Resource.reservations' is DYNAMIC")
	case older == nil:
		return nil
	case older.GetPrincipal() != only.GetPrincipal():
		return refusal.Invalidf("Invalid resource format: 'Resource.reservation.principal'"+
			" field with '%s' does not match the principal '%s' in 'Resource.reservations'",
			older.GetPrincipal(), only.GetPrincipal())
	case !sameLabels(older.Labels, only.Labels):
		return refusal.Invalidf("Invalid resource format: 'Resource.reservation.labels' field"+
			" with '%s' does not match the labels '%s' in 'Resource.reservations'",
			labelsText(older.Labels), labelsText(only.Labels))
	}
	return nil
}

// sameLabels reports whether a and b hold the same labels; none at all are the
// same as an empty list.
func sameLabels(a, b *mesos.Labels) bool {
	if len(a.GetLabels()) == 0 || len(b.GetLabels()) == 0 {
		return len(a.GetLabels()) == len(b.GetLabels())
	}
	return string(appendLabels(nil, a)) == string(appendLabels(nil, b))
}
