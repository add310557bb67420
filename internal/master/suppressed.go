package master

import (
	"slices"

	"github.com/meseta-project/meseta/internal/role"
)

// notItsRoles says which of the roles that a call names a framework may not
// name, and why, or nothing.
func (f *framework) notItsRoles(roles []string) string {
	for _, r := range roles {
		if err := role.Validate(r); err != nil {
			return err.Error()
		}
		if !slices.Contains(f.roles, r) {
			return "role '" + r + "' is not one of the framework's subscribed roles"
		}
	}
	return ""
}

// setSuppressed notes in which roles a framework wants offers; no role named
// means all.
func (m *Master) setSuppressed(f *framework, roles []string, suppressed bool) {
	if len(roles) == 0 {
		roles = f.roles
	}
	left := slices.DeleteFunc(slices.Clone(f.row.Suppressed), func(r string) bool {
		return slices.Contains(roles, r)
	})
	if suppressed {
		left = append(left, roles...)
		slices.Sort(left)
	}
	m.editFramework(f).Suppressed = slices.Compact(left)
}
