package validate_test

import (
	"testing"

	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	"github.com/meseta-project/meseta/internal/validate"
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
