package validate_test

import (
	"testing"

	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

func TestQuota(t *testing.T) {
	for _, test := range []struct{ quota, want string }{
		{`{}`, "'QuotaConfig.role' must be set"},
		{`{"role":"eng"}`, ""},
		{`{"role":"*"}`, ""},
		{`{"role":"/a"}`, "Invalid 'QuotaConfig.role': Role '/a' cannot start with a slash"},
		{
			`{"role":"a","guarantees":{"mem":{"value":1e13}}}`,
			"Invalid 'QuotaConfig.guarantees': {'mem': 10000000000000} is invalid: values greater than 1 exabyte" +
				" (1099511627776) are not supported",
		},
		{
			`{"role":"a","limits":{"cpus":{"value":1e13}}}`,
			"Invalid 'QuotaConfig.limits': {'cpus': 10000000000000} is invalid: values greater than 1 trillion" +
				" (1000000000000) are not supported",
		},
		{
			`{"role":"a","limits":{"cpus":{"value":"Infinity"}}}`,
			"Invalid 'QuotaConfig.limits': {'cpus': +Inf} is invalid: values greater than 1 trillion (1000000000000) are not supported",
		},
		{
			`{"role":"a","guarantees":{"cpus":{"value":-1}}}`,
			"Invalid guarantee configuration {'cpus': -1}: Negative values not supported",
		},
		{`{"role":"a","limits":{"cpus":{"value":"NaN"}}}`, "Invalid limit configuration {'cpus': NaN}: NaN not supported"},
		{
			`{"role":"a","guarantees":{"cpus":{"value":2},"mem":{"value":1}},"limits":{"cpus":{"value":1}}}`,
			"'QuotaConfig.guarantees' cpus:2; mem:1 is not contained within the 'QuotaConfig.limits' cpus:1",
		},
		{`{"role":"a","guarantees":{"cpus":{"value":1},"mem":{"value":1}},"limits":{"cpus":{"value":1}}}`, ""},
	} {
		refused(t, validate.Quota(read(t, test.quota, &quotapb.QuotaConfig{})), test.want)
	}
}

// TestQuotaUpdate: what the master refuses of a quota beside what is wrong in
// itself.
func TestQuotaUpdate(t *testing.T) {
	quota := read(t, `{"role":"a","guarantees":{"cpus":{"value":2}},"limits":{"cpus":{"value":4}}}`, &quotapb.QuotaConfig{})
	amounts := func(text string) resources.Quantities {
		q, err := resources.ParseQuantities(text)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	check := func(err *refusal.Error, want string) {
		t.Helper()
		if err == nil { // which is no nil error
			err = refusal.Invalidf("")
		}
		if err.Message != want {
			t.Errorf("refused with %q, want %q", err.Message, want)
		}
	}
	check(validate.QuotaUpdate(quota, true), "")
	check(validate.QuotaUpdate(quota, false), "Invalid QuotaConfig: 'a' is not on the roles whitelist")
	check(validate.QuotaUpdate(read(t, `{"role":"a/b"}`, &quotapb.QuotaConfig{}), true), "Updating quota on nested role 'a/b' is not supported yet")
	check(validate.LimitsOfConsumed(quota, amounts("cpus:4;mem:99")), "")
	check(validate.LimitsOfConsumed(quota, amounts("cpus:4.001")), "Invalid QuotaConfig: Role 'a' is already consuming 'cpus:4.001';"+
		" this is more than the requested limits 'cpus:4' (use 'force' flag to bypass this check)")
	total, err := validate.AddGuarantee(amounts("cpus:1;mem:8"), quota)
	check(err, "")
	check(validate.Overcommit(total, amounts("cpus:3;mem:8")), "")
	check(validate.Overcommit(total, amounts("cpus:2.999;mem:8")), "Invalid QuotaConfig: total quota guarantees 'cpus:3; mem:8' exceed"+
		" cluster capacity 'cpus:2.999; mem:8' (use 'force' flag to bypass this check)")
	_, err = validate.AddGuarantee(resources.QuantitiesOf(resources.Quantity{Name: "cpus", Amount: 1 << 62}), quota)
	check(err, "Invalid QuotaConfig: the guarantees of cpus of all roles together are too large")
}

func TestQuotaRequest(t *testing.T) {
	cpus := `{"name":"cpus","type":"SCALAR","scalar":{"value":1}}`
	of := func(resources string) string { return `{"role":"a","guarantee":[` + resources + `]}` }
	for _, test := range []struct{ quota, want string }{
		{`{}`, "QuotaInfo must specify a role"},
		{`{"role":""}`, "QuotaInfo with invalid role: Role names cannot be the empty string"},
		{of(""), "QuotaInfo with empty 'guarantee'"},
		{of(cpus), ""},
		{of(cpus + "," + cpus), "QuotaInfo contains duplicate resource name 'cpus'"},
		{of(`{"name":"p","type":"RANGES","ranges":{"range":[{"begin":1,"end":2}]}}`), "QuotaInfo must not include non-scalar resources"},
		{of(`{"name":"p","type":"SCALAR","scalar":{"value":1},"revocable":{}}`), "QuotaInfo must not contain RevocableInfo"},
		{of(`{"name":"disk","type":"SCALAR","scalar":{"value":1},"disk":{}}`), "QuotaInfo must not contain DiskInfo"},
		{
			of(`{"name":"p","type":"SCALAR","scalar":{"value":1},"reservations":[{"type":"STATIC","role":"a"}]}`),
			"QuotaInfo must not contain any ReservationInfo",
		},
		{of(`{"name":"p","type":"SCALAR","scalar":{"value":1},"role":"a"}`), "QuotaInfo must not contain any ReservationInfo"},
		{
			of(`{"name":"p","type":"SCALAR","scalar":{"value":-1}}`),
			"QuotaInfo with invalid resource: Resource 'p:-1' is invalid: Invalid scalar resource: value <= 0",
		},
	} {
		refused(t, validate.QuotaRequest(read(t, test.quota, &quotapb.QuotaRequest{})), test.want)
	}
}
