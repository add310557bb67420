package resources_test

import (
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/resources"
)

// unchecked reads a Resource that need not be valid.
func unchecked(t testing.TB, text string) *mesos.Resource {
	t.Helper()
	m := &mesos.Resource{}
	if err := (protojson.UnmarshalOptions{AllowPartial: true}).Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestValidate(t *testing.T) {
	reserved := func(stack string) string { return cpus(1, `,"reservations":[`+stack+`]`) }
	for _, test := range []struct{ text, want string }{
		{cpus(1, ""), ""},
		{cpus(0, ""), ""},
		{cpus(1, `,"name":""`), "Empty resource name"},
		{`{"name":"cpus"}`, "Invalid resource type"},
		{`{"name":"cpus","type":"TEXT"}`, "Unsupported resource type"},
		{`{"name":"cpus","type":"SCALAR"}`, "Invalid scalar resource"},
		{cpus(1, `,"set":{}`), "Invalid scalar resource"},
		{cpus(-1, ""), "Invalid scalar resource: value <= 0"},
		{cpus(0.0004, ""), "Invalid scalar resource: value <= 0"},
		{`{"name":"cpus","type":"SCALAR","scalar":{"value":"NaN"}}`, "Invalid scalar resource: value out of range"},
		{`{"name":"cpus","type":"SCALAR","scalar":{"value":"Infinity"}}`, "Invalid scalar resource: value out of range"},
		{`{"name":"ports","type":"RANGES"}`, "Invalid ranges resource"},
		{
			`{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":2,"end":1}]}}`,
			"Invalid ranges resource: begin > end",
		},
		{
			`{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":5,"end":6},{"begin":1,"end":9}]}}`,
			"Invalid ranges resource: overlapping ranges",
		},
		{`{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":3,"end":4},{"begin":1,"end":2}]}}`, ""},
		{`{"name":"x","type":"SET","scalar":{"value":1}}`, "Invalid set resource"},
		{`{"name":"x","type":"SET","set":{"item":["a","b","a"]}}`, "Invalid set resource: duplicated elements"},
		{cpus(1, `,"disk":{}`), "DiskInfo should not be set for cpus resource"},
		{disk(1, `{"type":"UNKNOWN"}`), "Unsupported 'DiskInfo.Source.Type' in 'UNKNOWN'"},
		{disk(1, `{"type":"RAW","mount":{}}`), "Mount should not be set for RAW disk source"},
		{disk(1, `{"type":"BLOCK","path":{}}`), "Path should not be set for BLOCK disk source"},
		{cpus(1, `,"role":"a/"`), "Role 'a/' cannot end with a slash"},
		{
			cpus(1, `,"role":"a","reservation":{"type":"STATIC"}`),
			"'Resource.ReservationInfo.type' must not be set for the 'Resource.reservation' field",
		},
		{
			cpus(1, `,"role":"a","reservation":{"role":"a"}`),
			"'Resource.ReservationInfo.role' must not be set for the 'Resource.reservation' field",
		},
		{cpus(1, `,"reservation":{}`), `Invalid reservation: role "*" cannot be dynamically reserved`},
		{reserved(`{"role":"a"}`), "Invalid reservation: 'Resource.ReservationInfo.type' field must be set."},
		{reserved(`{"type":"STATIC"}`), "Invalid reservation: 'Resource.ReservationInfo.role' field must be set."},
		{reserved(`{"type":"STATIC","role":"-a"}`), "Role component '-a' is invalid because it starts with a dash"},
		{reserved(`{"type":"STATIC","role":"*"}`), `Invalid reservation: role "*" cannot be reserved`},
		{reserved(`{"type":"UNKNOWN","role":"a"}`), "Unsupported 'Resource.ReservationInfo.Type'"},
		{
			reserved(`{"type":"STATIC","role":"a"},{"type":"STATIC","role":"a/b"}`),
			"Invalid refined reservation: A refined reservation cannot be STATIC",
		},
		{
			reserved(`{"type":"STATIC","role":"a"},{"type":"DYNAMIC","role":"ab"}`),
			"Invalid refined reservation: role 'ab' is not a refinement of 'a'",
		},
		{reserved(`{"type":"STATIC","role":"a"},{"type":"DYNAMIC","role":"a/b"}`), ""},
		{
			cpus(1, `,"role":"b","reservations":[{"type":"STATIC","role":"a"}]`),
			"Invalid resource format: 'Resource.role' field with 'b' does not match the role" +
				" 'a' in 'Resource.reservations'",
		},
		{
			cpus(1, `,"role":"a","reservation":{},"reservations":[{"type":"STATIC","role":"a"}]`),
			"Invalid resource format: 'Resource.reservation' must not be set if the single reservation in" +
				" 'Resource.reservations' is STATIC",
		},
		{
			cpus(1, `,"role":"a","reservations":[{"type":"DYNAMIC","role":"a"}]`),
			"Invalid resource format: 'Resource.role' and 'Resource.reservation' must either be both set or both not" +
				" set if the single reservation in 'Resource.reservations' is DYNAMIC",
		},
		{
			cpus(1, `,"role":"a","reservation":{"principal":"p"},"reservations":[{"type":"DYNAMIC","role":"a"}]`),
			"Invalid resource format: 'Resource.reservation.principal' field with 'p' does not match the principal" +
				" '' in 'Resource.reservations'",
		},
		{
			cpus(1, `,"role":"a","reservation":{"labels":{"labels":[{"key":"k","value":"v"}]}},
			"reservations":[{"type":"DYNAMIC","role":"a"}]`),
			"Invalid resource format: 'Resource.reservation.labels' field with '{k: v}' does not match the labels" +
				" '{}' in 'Resource.reservations'",
		},
		{cpus(1, `,"role":"a","reservation":{"principal":"p"},
			"reservations":[{"type":"DYNAMIC","role":"a","principal":"p"}]`), ""},
		{
			cpus(1, `,"role":"a","reservations":[{"type":"STATIC","role":"a"},{"type":"DYNAMIC","role":"a/b"}]`),
			"Invalid resource format: 'Resource.role' must not be set if there is more than one reservation in" +
				" 'Resource.reservations'",
		},
		{
			cpus(1, `,"reservation":{},"reservations":[{"type":"STATIC","role":"a"},{"type":"DYNAMIC","role":"a/b"}]`),
			"Invalid resource format: 'Resource.reservation' must not be set if there is more than one reservation in" +
				" 'Resource.reservations'",
		},
		{cpus(1, `,"shared":{}`), "Resource cpus cannot be shared"},
		{`{"name":"disk","type":"SCALAR","scalar":{"value":1},"shared":{}}`, "Only persistent volumes can be shared"},
	} {
		text := dropFirstName(test.text)
		err := resources.Validate(unchecked(t, text))
		if got := errorText(err); got != test.want {
			t.Errorf("%s is refused with %q, want %q", text, got, test.want)
		}
	}
}

// dropFirstName lets a later member of a JSON object override an earlier one.
func dropFirstName(text string) string {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &members) != nil {
		return text
	}
	plain, _ := json.Marshal(members)
	return string(plain)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestNewNamesTheInvalid(t *testing.T) {
	_, err := resources.New(unchecked(t, cpus(1, "")), unchecked(t, cpus(-2, `,"allocation_info":{"role":"eng"}`)))
	want := "Resource 'cpus(allocated: eng):-2' is invalid: Invalid scalar resource: value <= 0"
	if errorText(err) != want {
		t.Errorf("refused with %v, want %s", err, want)
	}
}

// Trusted is given messages from disks and other versions: whatever they hold,
// it must not panic.
func FuzzTrusted(f *testing.F) {
	for _, r := range must(agentText + ";x:{a,b}").Endpoint() {
		seed, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	for _, text := range []string{volume("v", 5, `,"shared":{}`), disk(5, mount), disk(5, rawID), cpus(1, `,"revocable":{}`)} {
		seed, err := proto.Marshal(unchecked(f, text))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := &mesos.Resource{}
		if (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(data, m) != nil {
			return
		}
		rs := resources.Trusted([]*mesos.Resource{m, m})
		_, _, _ = resources.Text(m), rs.String(), rs.Legacy()
		if !rs.Contains(rs) || !rs.Sub(rs).IsEmpty() {
			t.Errorf("%s is not contained in itself", rs)
		}
		rs.Endpoint()
		if resources.Validate(m) != nil {
			return
		}
		if again, err := resources.New(resources.Trusted([]*mesos.Resource{m}).Proto()...); err != nil ||
			!again.Equal(resources.Trusted([]*mesos.Resource{m})) {
			t.Errorf("%s became %s (%v)", resources.Text(m), again, err)
		}
	})
}
