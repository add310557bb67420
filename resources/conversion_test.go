package resources_test

import (
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"pgregory.net/rapid"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/resources"
)

func operation(t testing.TB, text string) *mesos.Offer_Operation {
	t.Helper()
	op := &mesos.Offer_Operation{}
	if err := protojson.Unmarshal([]byte(text), op); err != nil {
		t.Fatal(err)
	}
	return op
}

const (
	stack   = `"reservations":[{"type":"DYNAMIC","role":"eng","principal":"ops"}]`
	reserve = `{"type":"RESERVE","reserve":{"resources":[{"name":"disk","type":"SCALAR","scalar":{"value":64},` +
		stack + `}]}}`
	unreserve = `{"type":"UNRESERVE","unreserve":{"resources":[{"name":"disk","type":"SCALAR","scalar":{"value":64},` +
		stack + `}]}}`
)

func create(volumes string) string { return `{"type":"CREATE","create":{"volumes":[` + volumes + `]}}` }

func destroy(volumes string) string {
	return `{"type":"DESTROY","destroy":{"volumes":[` + volumes + `]}}`
}

func TestApply(t *testing.T) {
	reserved := "[" + `{"name":"disk","type":"SCALAR","scalar":{"value":64},` + stack + "}]"
	shared := volume("v", 64, `,"shared":{}`)
	for _, test := range []struct{ name, before, op, after, err string }{
		{
			"reserve", "disk:100;cpus:1", reserve,
			"cpus:1; disk:36; disk(reservations: [(DYNAMIC,eng,ops)]):64", "",
		},
		{"reserve too much", "disk:10", reserve, "", "disk:10 does not contain disk:64"},
		{
			"refine", "[" + cpus(2, `,"reservations":[{"type":"STATIC","role":"eng"}]`) + "]",
			`{"type":"RESERVE","reserve":{"resources":[` +
				cpus(1, `,"reservations":[{"type":"STATIC","role":"eng"},{"type":"DYNAMIC","role":"eng/a"}]`) + `]}}`,
			"cpus(reservations: [(STATIC,eng)]):1; cpus(reservations: [(STATIC,eng),(DYNAMIC,eng/a)]):1", "",
		},
		{
			"reserve anew", "[" + cpus(2, `,"role":"eng","reservation":{}`) + "]",
			`{"type":"RESERVE","reserve":{"source":[` + cpus(1, `,"role":"eng","reservation":{}`) +
				`],"resources":[` + cpus(1, `,"reservations":[{"type":"DYNAMIC","role":"ops"}]`) + `]}}`,
			"cpus(reservations: [(DYNAMIC,eng)]):1; cpus(reservations: [(DYNAMIC,ops)]):1", "",
		},
		{"unreserve", reserved, unreserve, "disk:64", ""},
		{"create", reserved, create(volume("v", 64, "")), "disk(reservations: [(DYNAMIC,eng,ops)])[v:data]:64", ""},
		{
			"create less", reserved, create(volume("v", 60, "")),
			"disk(reservations: [(DYNAMIC,eng,ops)]):4; disk(reservations: [(DYNAMIC,eng,ops)])[v:data]:60", "",
		},
		{
			"destroy", "[" + volume("v", 64, "") + "]", destroy(volume("v", 64, "")),
			"disk(reservations: [(DYNAMIC,eng,ops)]):64", "",
		},
		{
			"destroy part", "[" + volume("v", 64, "") + "]", destroy(volume("v", 60, "")), "",
			"disk(reservations: [(DYNAMIC,eng,ops)])[v:data]:64 does not contain" +
				" disk(reservations: [(DYNAMIC,eng,ops)])[v:data]:60",
		},
		{"destroy shared", "[" + shared + "]", destroy(shared), "disk(reservations: [(DYNAMIC,eng,ops)]):64", ""},
		{
			"destroy a copy", "[" + shared + "," + shared + "]", destroy(shared), "",
			"Persistent volume disk(reservations: [(DYNAMIC,eng,ops)])[v:data]<SHARED>:64 cannot be removed due to" +
				" additional shared copies",
		},
		{
			"grow", "[" + volume("v", 60, "") + `,{"name":"disk","type":"SCALAR","scalar":{"value":10},` + stack + "}]",
			`{"type":"GROW_VOLUME","grow_volume":{"volume":` + volume("v", 60, "") +
				`,"addition":{"name":"disk","type":"SCALAR","scalar":{"value":4},` + stack + "}}}",
			"disk(reservations: [(DYNAMIC,eng,ops)]):6; disk(reservations: [(DYNAMIC,eng,ops)])[v:data]:64", "",
		},
		{
			"shrink", "[" + volume("v", 60, "") + "]",
			`{"type":"SHRINK_VOLUME","shrink_volume":{"volume":` + volume("v", 60, "") + `,"subtract":{"value":20}}}`,
			"disk(reservations: [(DYNAMIC,eng,ops)]):20; disk(reservations: [(DYNAMIC,eng,ops)])[v:data]:40", "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := must(test.before)
			conversions, err := resources.Conversions(operation(t, test.op))
			if err != nil {
				t.Fatal(err)
			}
			after, err := before.Apply(conversions...)
			if test.err != "" {
				if errorText(err) != test.err {
					t.Fatalf("refused with %v, want %s", err, test.err)
				}
				return
			}
			if err != nil || after.String() != test.after {
				t.Fatalf("%s became %s (%v), want %s", before, after, err, test.after)
			}
			if !after.Quantities().Equal(before.Quantities()) {
				t.Errorf("%s became %s, which is not as much", before.Quantities(), after.Quantities())
			}
		})
	}
}

func TestConversionsRefuse(t *testing.T) {
	provided := `,"provider_id":{"value":"p"}`
	for _, test := range []struct{ op, want string }{
		{`{}`, "Unknown operation"},
		{`{"type":"LAUNCH"}`, "Operation not supported"},
		{`{"type":"UNRESERVE","unreserve":{"resources":[` + cpus(1, "") + `]}}`, "Resource cpus:1 is not reserved"},
		{`{"type":"RESERVE","reserve":{"resources":[` + cpus(1, "") + `]}}`, "Resource cpus:1 is not reserved"},
		{
			`{"type":"SHRINK_VOLUME","shrink_volume":{"volume":` + volume("v", 60, provided) + `,"subtract":{"value":20}}}`,
			"Operation not supported for resource provider",
		},
		{
			`{"type":"GROW_VOLUME","grow_volume":{"volume":` + volume("v", 60, provided) + `,"addition":` + cpus(1, "") + `}}`,
			"Operation not supported for resource provider",
		},
	} {
		op := &mesos.Offer_Operation{}
		if err := (protojson.UnmarshalOptions{AllowPartial: true}).Unmarshal([]byte(test.op), op); err != nil {
			t.Fatal(err)
		}
		if _, err := resources.Conversions(op); errorText(err) != test.want {
			t.Errorf("%s is refused with %v, want %s", test.op, err, test.want)
		}
	}
}

// What is reserved and made a volume can be unmade, and is as it was.
func TestConversionsAreUndone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := draw(t, "a").Unallocated().NonRevocable()
		info := &mesos.Resource_ReservationInfo{
			Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: new("a/c/d"), Principal: new("p"),
		}
		var reservable resources.Resources
		for r := range a.All() {
			if !r.IsReserved() || r.Role() == "a" || r.Role() == "a/c" {
				reservable = reservable.Add(resources.Of(r))
			}
		}
		reserved, err := reservable.PushReservation(info)
		if err != nil {
			t.Fatal(err)
		}
		popped, err := reserved.PopReservation()
		if err != nil || !popped.Equal(reservable) {
			t.Fatalf("%s became %s (%v)", reservable, popped, err)
		}
		after, err := a.Apply(resources.Conversion{Consumed: reservable, Converted: reserved})
		if err != nil || !after.Quantities().Equal(a.Quantities()) {
			t.Fatalf("%s became %s (%v)", a, after, err)
		}
		back, err := after.Apply(resources.Conversion{Consumed: reserved, Converted: popped})
		if err != nil || !back.Equal(a) {
			t.Fatalf("%s became %s (%v)", a, back, err)
		}
	})
}

func TestPushReservationRefuses(t *testing.T) {
	info := &mesos.Resource_ReservationInfo{Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: new("ops")}
	if _, err := must("cpus(eng):1").PushReservation(info); errorText(err) !=
		"Invalid refined reservation: role 'ops' is not a refinement of 'eng'" {
		t.Errorf("refused with %v", err)
	}
	info.Role = new("*")
	if _, err := must("cpus:1").PushReservation(info); err == nil {
		t.Error("a reservation for * is not refused")
	}
}

func TestWithCheckpointed(t *testing.T) {
	configured := must("cpus:4;disk:100;disk(eng):50")
	onStatic := `{"name":"disk","type":"SCALAR","scalar":{"value":20},
		"reservations":[{"type":"STATIC","role":"eng"}],
		"disk":{"persistence":{"id":"w"},"volume":{"container_path":"d","mode":"RW"}}}`
	made := must("[" + volume("v", 64, "") + "," + onStatic + "," +
		cpus(1, `,"reservations":[{"type":"DYNAMIC","role":"eng"},{"type":"DYNAMIC","role":"eng/a"}]`) + "]")
	got, err := configured.WithCheckpointed(made)
	want := "cpus:3; cpus(reservations: [(DYNAMIC,eng),(DYNAMIC,eng/a)]):1; disk:36;" +
		" disk(reservations: [(STATIC,eng)]):30; disk(reservations: [(STATIC,eng)])[w:d]:20;" +
		" disk(reservations: [(DYNAMIC,eng,ops)])[v:data]:64"
	if err != nil || got.String() != want {
		t.Errorf("got %s (%v)\nwant %s", got, err, want)
	}
	_, err = must("cpus:4").WithCheckpointed(must("[" + volume("v", 64, "") + "]"))
	if errorText(err) != "Incompatible agent resources: cpus:4 does not contain disk:64" {
		t.Errorf("refused with %v", err)
	}
	if _, err := configured.WithCheckpointed(must("cpus(eng):1")); errorText(err) !=
		"Unexpected checkpointed resources cpus(reservations: [(STATIC,eng)]):1" {
		t.Errorf("refused with %v", err)
	}
}

func TestMessagesAreConverted(t *testing.T) {
	accept := operation(t, `{"type":"LAUNCH","launch":{"task_infos":[{"name":"t","task_id":{"value":"t"},
		"agent_id":{"value":"a"},"resources":[`+cpus(1, `,"role":"eng"`)+`],
		"executor":{"executor_id":{"value":"e"},"resources":[`+cpus(1, `,"role":"eng","reservation":{}`)+`]}}]}}`)
	task := accept.Launch.TaskInfos[0]
	resources.UpgradeMessage(accept)
	if r := task.Resources[0]; r.Role != nil || len(r.Reservations) != 1 {
		t.Errorf("the task's became %v", r)
	}
	if r := task.Executor.Resources[0]; r.Reservation != nil || !resources.TrustedOne(r).IsDynamicallyReserved() {
		t.Errorf("the executor's became %v", r)
	}
	if err := resources.DowngradeMessage(accept); err != nil {
		t.Fatal(err)
	}
	if r := task.Resources[0]; r.GetRole() != "eng" || len(r.Reservations) != 0 {
		t.Errorf("the task's became %v", r)
	}
	resources.UpgradeMessage(accept)
	resources.EndpointMessage(accept)
	if r := task.Resources[0]; r.GetRole() != "eng" || len(r.Reservations) != 1 {
		t.Errorf("the task's became %v", r)
	}
	resources.UpgradeMessage(accept)
	task.Resources[0].Reservations = append(task.Resources[0].Reservations, &mesos.Resource_ReservationInfo{
		Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: new("eng/a"),
	})
	if err := resources.DowngradeMessage(accept); errorText(err) !=
		"Cannot downgrade resources containing refined reservations" {
		t.Errorf("refused with %v", err)
	}
}
