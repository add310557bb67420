package validate_test

import (
	"fmt"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/validate"
)

const multiRole = `"capabilities":[{"type":"MULTI_ROLE"}]`

func TestFrameworkInfo(t *testing.T) {
	filter := func(quantities string) string {
		return `{"offer_filters":{"eng":{"min_allocatable_resources":{"quantities":[{"quantities":` + quantities + `}]}}}}`
	}
	for _, test := range []struct{ info, want string }{
		{`{}`, ""},
		{`{"role":"eng/dev"}`, ""},
		{`{"roles":["eng"]}`, "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"},
		{`{"role":"a b"}`, "'FrameworkInfo.role' is not a valid role: Role component 'a b' is invalid because it" +
			" contains backspace or whitespace"},
		{
			`{"role":"*",` + multiRole + `}`,
			"'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
		},
		{`{` + multiRole + `}`, ""},
		{`{"roles":["b","a","b","a","c"],` + multiRole + `}`, "'FrameworkInfo.roles' contains duplicate items: { a, b }"},
		{
			`{"roles":["/bad"],` + multiRole + `}`,
			"'FrameworkInfo.roles' contains invalid role: Role '/bad' cannot start with a slash",
		},
		{`{"id":{"value":""}}`, ""},
		{`{"id":{"value":"a/b"}}`, "'a/b' contains invalid characters"},
		{filter(`{"cpus":{"value":1}}`), ""},
		{filter(`{}`), "Resource quantities must contain at least one quantity"},
		{filter(`{"cpus":{"value":-1}}`), "Invalid resource quantity for 'cpus': Negative values not supported"},
		{filter(`{"cpus":{"value":"Infinity"}}`), "Invalid resource quantity for 'cpus': Infinite values not supported"},
		{filter(`{"cpus":{"value":"NaN"}}`), "Invalid resource quantity for 'cpus': NaN not supported"},
		{filter(`{"cpus":{"value":1e-310}}`), "Invalid resource quantity for 'cpus': Subnormal values not supported"},
		{`{"failover_timeout":1e9}`, ""},
		{`{"failover_timeout":1e10}`, "The framework failover_timeout (1e+10) is invalid"},
		{`{"failover_timeout":"NaN"}`, "The framework failover_timeout (NaN) is invalid"},
	} {
		t.Run(test.info, func(t *testing.T) {
			refused(t, validate.FrameworkInfo(read(t, test.info, &mesos.FrameworkInfo{})), test.want)
		})
	}
}

func TestManyRoles(t *testing.T) {
	info := &mesos.FrameworkInfo{Capabilities: []*mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE.Enum()}}}
	for i := range validate.MaxRoles {
		info.Roles = append(info.Roles, fmt.Sprint("r", i))
	}
	refused(t, validate.FrameworkInfo(info), "")
	info.Roles = append(info.Roles, "one/more")
	refused(t, validate.FrameworkInfo(info), "'FrameworkInfo.roles' contains 1001 items, more than 1000")
}

func TestFrameworkUpdate(t *testing.T) {
	old := read(t, `{"user":"u","name":"n","principal":"p"}`, &mesos.FrameworkInfo{})
	for _, test := range []struct{ info, want string }{
		{`{"user":"u","name":"m","principal":"p","checkpoint":false}`, ""},
		{`{"user":"u","name":"n"}`, "Changing framework's principal is not allowed."},
		{`{"user":"u","name":"n","principal":"q"}`, "Changing framework's principal is not allowed."},
		{
			`{"user":"v","name":"n","principal":"p"}`,
			"Updating 'FrameworkInfo.user' is unsupported; attempted to update from 'u' to 'v'",
		},
		{
			`{"user":"u","name":"n","principal":"p","checkpoint":true}`,
			"Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update from 'false' to 'true'",
		},
	} {
		refused(t, validate.FrameworkUpdate(old, read(t, test.info, &mesos.FrameworkInfo{})), test.want)
	}
}

func TestSuppressedRoles(t *testing.T) {
	refused(t, validate.SuppressedRoles([]string{"a", "b"}, []string{"b"}), "")
	refused(t, validate.SuppressedRoles([]string{"a"}, []string{"c", "a", "b", "c"}),
		"Suppressed roles { b, c } are not contained in the set of roles")
}

// TestOfferConstraints: of constraints only their roles are looked at. How large an
// expression may be, the flags of a master say (--offer_constraints_re2_…).
func TestOfferConstraints(t *testing.T) {
	for _, test := range []struct{ constraints, want string }{
		{`{}`, ""},
		{`{"role_constraints":{"eng":{"groups":[{"attribute_constraints":[
			{"selector":{"attribute_name":"a"},"predicate":{"text_matches":{"regex":"a{200}"}}}]}]}}}`, ""},
		{`{"role_constraints":{"ops":{}}}`, "Offer constraints specify `role_constraints` for a role 'ops'" +
			" not contained in the set of roles"},
	} {
		c := read(t, test.constraints, &schedulerpb.OfferConstraints{})
		refused(t, validate.OfferConstraints([]string{"eng"}, c), test.want)
	}
}

func TestWeights(t *testing.T) {
	const failed = "Failed to validate update weights request JSON"
	for _, test := range []struct{ weight, want string }{
		{`{"role":" eng ","weight":0.5}`, ""},
		{`{"role":"r","weight":0}`, failed + " for role 'r': Invalid weight '0': Weights must be positive"},
		{`{"role":"r","weight":-1.5}`, failed + " for role 'r': Invalid weight '-1.5': Weights must be positive"},
		{`{"role":"r","weight":"NaN"}`, failed + " for role 'r': Invalid weight 'NaN': Weights must be positive"},
		{`{"role":"r","weight":"Infinity"}`, failed + " for role 'r': Invalid weight '+Inf': Weights must be finite"},
		{`{"role":"/r","weight":1}`, failed + ": Invalid role '/r': Role '/r' cannot start with a slash"},
	} {
		refused(t, validate.Weights([]*mesos.WeightInfo{read(t, test.weight, &mesos.WeightInfo{})}), test.want)
	}
}
