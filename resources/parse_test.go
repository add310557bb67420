package resources_test

import (
	"slices"
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/resources"
)

func TestParse(t *testing.T) {
	for _, test := range []struct{ text, role, want string }{
		{"", "*", "{}"},
		{"cpus:4", "*", "cpus:4"},
		{" cpus : 4 ; mem : 1 024 ", "*", "cpus:4; mem:1024"},
		{"cpus:1;cpus:2", "*", "cpus:3"},
		{"cpus:1", "eng", "cpus(reservations: [(STATIC,eng)]):1"},
		{"cpus(*):1;mem:2", "eng", "cpus:1; mem(reservations: [(STATIC,eng)]):2"},
		{"cpus( eng ):0.25", "*", "cpus(reservations: [(STATIC,eng)]):0.25"},
		{"cpus:0x10;mem:1e3", "*", "cpus:16; mem:1000"},
		{"cpus:0", "*", "{}"},
		{"ports:[31000-32000]", "*", "ports:[31000-32000]"},
		{"ports:[ 3-4, 1-2 ]", "*", "ports:[1-4]"},
		{"ports:[1-5,3-8]", "*", "ports:[1-8]"},
		{"ports:[]", "*", "{}"},
		{"ports:[0x1-0xff]", "*", "ports:[1-255]"},
		{"disks:{sdb,sda}", "*", "disks:{sda, sdb}"},
		{"cpus:4;\nmem:5;;", "*", "cpus:4; mem:5"},
		{`[{"name":"cpus","type":"SCALAR","scalar":{"value":4}}]`, "eng", "cpus(reservations: [(STATIC,eng)]):4"},
		{`[{"name":"cpus","type":"SCALAR","scalar":{"value":"4"},"role":"*","unheard":1}]`, "eng", "cpus:4"},
		{` [ ] `, "*", "{}"},
		{`[{"name":"disk","type":"SCALAR","scalar":{"value":4},
			"disk":{"source":{"type":"MOUNT","mount":{"root":"/mnt/d"}}}}]`, "*", "disk[MOUNT:/mnt/d]:4"},
	} {
		got, err := resources.Parse(test.text, test.role)
		if err != nil || got.String() != test.want {
			t.Errorf("Parse(%q, %q) = %s, %v, want %s", test.text, test.role, got, err, test.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"cpus", "Bad value for resources, missing or extra ':' in cpus"},
		{"cpus:1:2", "Bad value for resources, missing or extra ':' in cpus:1:2"},
		{"cpus(eng:1", "Bad value for resources, mismatched parentheses in cpus(eng:1"},
		{"cpus)eng(:1", "Bad value for resources, mismatched parentheses in cpus)eng(:1"},
		{"cpus: ", "Failed to parse resource cpus value   error Expecting non-empty string"},
		{"cpus:abc", "Bad type for resource cpus value abc type TEXT"},
		{"cpus:-1", "Bad type for resource cpus value -1 type TEXT"},
		{"cpus:inf", "Bad type for resource cpus value inf type TEXT"},
		{"cpus:1e999", "Bad type for resource cpus value 1e999 type TEXT"},
		{"cpus:4.94066e-324", "Failed to parse resource cpus value 4.94066e-324 error Subnormal values not supported"},
		{"cpus:0.0001", "Invalid scalar resource: value <= 0"},
		{"cpus:1e20", "Invalid scalar resource: value out of range"},
		{"ports:[1-2", "Failed to parse resource ports value [1-2 error Mismatched brackets"},
		{"ports:]1-2[", "Failed to parse resource ports value ]1-2[ error Mismatched brackets"},
		{"ports:[1-2,3]", `Failed to parse resource ports value [1-2,3] error Expecting one or more "ranges"`},
		{"ports:[a-b]", "Failed to parse resource ports value [a-b] error Expecting non-negative integers in 'a'"},
		{"ports:1[2-3]", "Failed to parse resource ports value 1[2-3] error Unexpected '[' found"},
		{"disks:a{b}", "Failed to parse resource disks value a{b} error Unexpected '{' found"},
		{"ports:[2-1]", "Invalid ranges resource: begin > end"},
		{"disks:{a,a}", "Invalid set resource: duplicated elements"},
		{":1", "Bad value for resources, missing or extra ':' in :1"},
		{"(eng):1", "Empty resource name"},
		{"cpus(/a):1", "Role '/a' cannot start with a slash"},
		{"cpus():1", "Role names cannot be the empty string"},
		{"cpus:1;cpus:[1-2]", "Resources with the same name ('cpus') but different types are not allowed"},
		{"[" + volume("v", 5, "") + "]", "Persistent volumes cannot be specified at the command line"},
		{"[" + cpus(1, `,"revocable":{}`) + "]", "Revocable resources cannot be specified at the command line; do" +
			" not include a 'revocable' key in the resources JSON"},
		{
			"[" + cpus(1, `,"role":"eng","reservation":{}`) + "]",
			"Dynamic reservations cannot be specified at the command line; do" +
				" not include a reservation with DYNAMIC type in the resources JSON",
		},
	} {
		_, err := resources.Parse(test.text, "*")
		if err == nil || err.Error() != test.want || refusal.ReasonOf(err) != refusal.Invalid {
			t.Errorf("Parse(%q) is refused with %v, want %s", test.text, err, test.want)
		}
	}
	for _, text := range []string{`[{]`, `[1]`, `[{"name":"cpus"}]`, `[{"name":5,"type":"SCALAR"}]`} {
		_, err := resources.Parse(text, "*")
		if err == nil || !strings.HasPrefix(err.Error(), "Some JSON resources were not formatted properly: ") {
			t.Errorf("Parse(%q) is refused with %v", text, err)
		}
	}
}

func TestParseAttributes(t *testing.T) {
	all, err := resources.ParseAttributes("rack:r 1;level:10;range:[1-5];host:a:b;neg:-1\nlast:x")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range all {
		got = append(got, a.GetName()+" "+a.GetType().String())
	}
	want := []string{"rack TEXT", "level SCALAR", "range RANGES", "host TEXT", "neg TEXT", "last TEXT"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if all[0].GetText().GetValue() != "r1" || all[1].GetScalar().GetValue() != 10 || all[3].GetText().GetValue() != "a:b" {
		t.Errorf("got %v", all)
	}
	for _, test := range []struct{ text, want string }{
		{"rack", "Invalid attribute key:value pair 'rack'"},
		{":r1", "Invalid attribute key:value pair ':r1'"},
		{"rack:", "Invalid attribute key:value pair 'rack:'"},
		{"rack:{a}", "Bad type for attribute rack text {a} type SET"},
		{"rack:[1", "Failed to parse attribute rack text [1 error Mismatched brackets"},
	} {
		if _, err := resources.ParseAttributes(test.text); err == nil || err.Error() != test.want {
			t.Errorf("ParseAttributes(%q) is refused with %v, want %s", test.text, err, test.want)
		}
	}
}

func TestParseVectors(t *testing.T) {
	q, err := resources.ParseQuantities(" mem : 5 ;cpus:1;cpus:0.5;disk:0")
	if err != nil || q.String() != "cpus:1.5; mem:5" {
		t.Errorf("quantities are %s, %v", q, err)
	}
	l, err := resources.ParseLimits("mem:5;cpus:0")
	if err != nil || l.String() != "cpus:0; mem:5" {
		t.Errorf("limits are %s, %v", l, err)
	}
	for _, test := range []struct{ text, want string }{
		{"cpus", "Failed to parse 'cpus': missing or extra ':'"},
		{"cpus:x", "Failed to parse 'x' to quantity: only scalar values are allowed"},
		{"cpus:[1", "Failed to parse '[1' to quantity: Mismatched brackets"},
	} {
		if _, err := resources.ParseQuantities(test.text); err == nil || err.Error() != test.want {
			t.Errorf("ParseQuantities(%q) is refused with %v, want %s", test.text, err, test.want)
		}
	}
	if _, err := resources.ParseLimits("cpus:1;cpus:2"); err == nil {
		t.Error("two limits of one name are not refused")
	}
}

func TestMustParsePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it did not")
		}
	}()
	resources.MustParse("cpus")
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"cpus:4;mem(eng):1024;ports:[31000-32000,1-2];disks:{a,b}", "cpus:0x1f;gpus:1e3", "a(b:c)d", "ports:[1-",
		`[{"name":"cpus","type":"SCALAR","scalar":{"value":4},"reservations":[{"type":"DYNAMIC","role":"a/b"}]}]`,
		"[" + volume("v", 5, `,"shared":{}`) + "]", "x:[18446744073709551615-18446744073709551615]", "cpus:1e308",
	} {
		f.Add(seed, "*")
	}
	f.Add("cpus:1", "eng/dev")
	f.Fuzz(func(t *testing.T, text, role string) {
		got, err := resources.Parse(text, role)
		if err != nil {
			if refusal.ReasonOf(err) != refusal.Invalid {
				t.Errorf("%v is not a refusal.Invalid", err)
			}
			return
		}
		again, err := resources.New(got.Endpoint()...)
		if err != nil || !again.Equal(got) {
			t.Errorf("%s became %s (%v)", got, again, err)
		}
		if !got.Contains(got) || !got.Sub(got).IsEmpty() || !got.Add(got).Contains(got) {
			t.Errorf("%s breaks the laws", got)
		}
	})
}

func FuzzParseAttributes(f *testing.F) {
	f.Add("rack:r1;level:10;range:[1-5]\nhost:a:b")
	f.Add("a:{b}")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := resources.ParseAttributes(text)
		if err != nil && refusal.ReasonOf(err) != refusal.Invalid {
			t.Errorf("%v is not a refusal.Invalid", err)
		}
		for _, a := range all {
			if a.GetName() == "" || a.GetType() == mesos.Value_SET {
				t.Errorf("got %v", a)
			}
		}
	})
}

func FuzzParseQuantities(f *testing.F) {
	f.Add("cpus:1;mem:2.5")
	f.Add("cpus:[1-2]")
	f.Fuzz(func(t *testing.T, text string) {
		q, err := resources.ParseQuantities(text)
		if err != nil {
			return
		}
		for name, amount := range q.All() {
			if amount <= 0 {
				t.Errorf("%s of %q", amount, name)
			}
		}
		if _, err := resources.ParseLimits(text); err == nil && q.Len() > 0 && !q.Contains(q) {
			t.Errorf("%s does not contain itself", q)
		}
	})
}
