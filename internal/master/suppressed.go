package master

import (
	"slices"

	"github.com/meseta-project/meseta/internal/role"
)

// notItsRoles says which of the roles that a call names a framework may not
// name, and why, or nothing.
func (f *framework) notItsRoles(roles []string) string {
	own := slices.Sorted(slices.Values(f.roles))
	for _, r := range roles {
		if err := role.Validate(r); err != nil {
			return err.Error()
		}
		if _, its := slices.BinarySearch(own, r); !its {
			return "role '" + r + "' is not one of the framework's subscribed roles"
		}
	}
	return ""
}

// without returns roles but for others. A framework may have thousands.
func without(roles, others []string) []string {
	sorted := slices.Sorted(slices.Values(others))
	return slices.DeleteFunc(slices.Clone(roles), func(r string) bool {
		_, found := slices.BinarySearch(sorted, r)
		return found
	})
}

// setSuppressed notes in which roles a framework wants offers; no role named
// means all.
func (m *Master) setSuppressed(f *framework, roles []string, suppressed bool) {
	if len(roles) == 0 {
		roles = f.roles
	}
	left := without(f.row.Suppressed, roles)
	if suppressed {
		left = append(left, roles...)
		slices.Sort(left)
	}
	m.editFramework(f).Suppressed = slices.Compact(left)
}
