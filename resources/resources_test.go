package resources_test

import (
	"fmt"
	"testing"

	"github.com/meseta-project/meseta/resources"
)

func must(text string) resources.Resources { return resources.MustParse(text) }

// volume is a persistent volume of eng's, with what more the JSON says.
func volume(id string, mb int, more string) string {
	return fmt.Sprintf(`{"name":"disk","type":"SCALAR","scalar":{"value":%d},
		"reservations":[{"type":"DYNAMIC","role":"eng","principal":"ops"}],
		"disk":{"persistence":{"id":%q,"principal":"ops"},"volume":{"container_path":"data","mode":"RW"}}%s}`,
		mb, id, more)
}

func disk(mb int, source string) string {
	return fmt.Sprintf(`{"name":"disk","type":"SCALAR","scalar":{"value":%d},"disk":{"source":%s}}`, mb, source)
}

func cpus(n float64, more string) string {
	return fmt.Sprintf(`{"name":"cpus","type":"SCALAR","scalar":{"value":%g}%s}`, n, more)
}

const (
	mount = `{"type":"MOUNT","mount":{"root":"/mnt"}}`
	path  = `{"type":"PATH","path":{"root":"/mnt"}}`
	block = `{"type":"BLOCK","id":"b1"}`
	raw   = `{"type":"RAW","profile":"fast"}`
	rawID = `{"type":"RAW","profile":"fast","id":"r1"}`
)

func TestMerge(t *testing.T) {
	shared := `,"shared":{}`
	for _, test := range []struct {
		name, a, b string
		entries    int
	}{
		{"scalars", cpus(1, ""), cpus(2, ""), 1},
		{"other name", cpus(1, ""), `{"name":"mem","type":"SCALAR","scalar":{"value":1}}`, 2},
		{"other type", cpus(1, ""), `{"name":"cpus","type":"SET","set":{"item":["a"]}}`, 2},
		{"allocated", cpus(1, ""), cpus(1, `,"allocation_info":{"role":"eng"}`), 2},
		{"reserved", cpus(1, ""), cpus(1, `,"role":"eng"`), 2},
		{"both forms", cpus(1, `,"reservations":[{"type":"STATIC","role":"eng"}]`), cpus(1, `,"role":"eng"`), 1},
		{
			"dynamic, both forms", cpus(1, `,"reservations":[{"type":"DYNAMIC","role":"eng","principal":"p"}]`),
			cpus(1, `,"role":"eng","reservation":{"principal":"p"}`), 1,
		},
		{
			"other principal", cpus(1, `,"role":"eng","reservation":{}`),
			cpus(1, `,"role":"eng","reservation":{"principal":"p"}`), 2,
		},
		{
			"labels in another order",
			cpus(1, `,"role":"eng","reservation":{"labels":{"labels":[{"key":"a"},{"key":"b","value":"c"}]}}`),
			cpus(1, `,"role":"eng","reservation":{"labels":{"labels":[{"key":"b","value":"c"},{"key":"a"}]}}`), 1,
		},
		{
			"refined", cpus(1, `,"reservations":[{"type":"STATIC","role":"a"}]`),
			cpus(1, `,"reservations":[{"type":"STATIC","role":"a"},{"type":"DYNAMIC","role":"a/b"}]`), 2,
		},
		{"revocable", cpus(1, ""), cpus(1, `,"revocable":{}`), 2},
		{"both revocable", cpus(1, `,"revocable":{}`), cpus(1, `,"revocable":{}`), 1},
		{"provider", cpus(1, ""), cpus(1, `,"provider_id":{"value":"p"}`), 2},
		{"path disks", disk(5, path), disk(6, path), 1},
		{"mount disks", disk(5, mount), disk(6, mount), 2},
		{"equal mount disks", disk(5, mount), disk(5, mount), 2},
		{"block disks", disk(5, block), disk(5, block), 2},
		{"raw without id", disk(5, raw), disk(6, raw), 1},
		{"raw with id", disk(5, rawID), disk(5, rawID), 2},
		{"volumes", volume("v", 5, ""), volume("v", 5, ""), 2},
		{"shared volumes", volume("v", 5, shared), volume("v", 5, shared), 1},
		{"other shared volumes", volume("v", 5, shared), volume("w", 5, shared), 2},
		{"shared and not", volume("v", 5, shared), volume("v", 5, ""), 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			sum := must("[" + test.a + "," + test.b + "]")
			if sum.Len() != test.entries {
				t.Errorf("%s has %d entries, want %d", sum, sum.Len(), test.entries)
			}
			a, b := must("["+test.a+"]"), must("["+test.b+"]")
			if !a.Add(b).Equal(sum) || !b.Add(a).Equal(sum) {
				t.Errorf("%s and %s are not %s", a, b, sum)
			}
			if !sum.Sub(b).Equal(a) || !sum.Contains(a) || !sum.Contains(sum) {
				t.Errorf("%s is not taken apart into %s and %s", sum, a, b)
			}
		})
	}
}

func TestContains(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"cpus:1", "", true},
		{"", "cpus:1", false},
		{"cpus:1;mem:5", "cpus:1", true},
		{"cpus:0.3", "cpus:0.3004", true},
		{"cpus:0.3", "cpus:0.301", false},
		{"cpus:1", "cpus(eng):1", false},
		{"ports:[1-10]", "ports:[2-3,9-10]", true},
		{"ports:[1-4,6-10]", "ports:[4-6]", false},
		{"ports:[1-10]", "ports:[10-11]", false},
		{"x:{a,b,c}", "x:{c,a}", true},
		{"x:{a,b}", "x:{c}", false},
		{"[" + disk(5, path) + "]", "[" + disk(4, path) + "]", true},
		{"[" + disk(5, mount) + "]", "[" + disk(4, mount) + "]", false},
		{"[" + disk(5, block) + "]", "[" + disk(5, block) + "]", true},
		{"[" + disk(5, rawID) + "]", "[" + disk(4, rawID) + "]", false},
		{"[" + volume("v", 5, "") + "]", "[" + volume("v", 4, "") + "]", false},
		{"[" + volume("v", 5, "") + "]", "[" + volume("v", 5, "") + "," + volume("v", 5, "") + "]", false},
	} {
		if got := must(test.a).Contains(must(test.b)); got != test.want {
			t.Errorf("%q contains %q: %t, want %t", test.a, test.b, got, test.want)
		}
	}
}

func TestSub(t *testing.T) {
	for _, test := range []struct{ a, b, want string }{
		{"cpus:1", "cpus:1", ""},
		{"cpus:0.3;mem:1", "cpus:0.1", "cpus:0.2;mem:1"},
		{"cpus:1", "cpus:2;mem:1", ""},
		{"ports:[1-10]", "ports:[0-0,3-4,10-20]", "ports:[1-2,5-9]"},
		{"ports:[1-2,5-6]", "ports:[2-5]", "ports:[1-1,6-6]"},
		{"x:{a,b}", "x:{b,c}", "x:{a}"},
		{
			"ports:[0-18446744073709551615]", "ports:[18446744073709551615-18446744073709551615]",
			"ports:[0-18446744073709551614]",
		},
	} {
		if got := must(test.a).Sub(must(test.b)); !got.Equal(must(test.want)) {
			t.Errorf("%s - %s = %s, want %s", test.a, test.b, got, test.want)
		}
	}
}

func TestSharedCopies(t *testing.T) {
	one := must("[" + volume("v", 64, `,"shared":{}`) + "]")
	three := resources.Sum(one, one, one)
	for e := range three.All() {
		if e.Copies() != 3 {
			t.Errorf("%d copies, want 3", e.Copies())
		}
	}
	if got := three.Quantities().Get("disk"); got != 64*resources.Unit {
		t.Errorf("three copies are %s MB of disk, want 64", got)
	}
	if one.Contains(three) || !three.Sub(one).Contains(one.Add(one)) || !three.Sub(three).IsEmpty() {
		t.Error("copies are not counted")
	}
	if len(three.Proto()) != 1 {
		t.Errorf("%d messages, want 1", len(three.Proto()))
	}
}

// A task may mount a volume elsewhere than where it was created.
func TestMountingMakesNoDifference(t *testing.T) {
	a := must("[" + volume("v", 64, "") + "]")
	m := a.Proto()[0]
	m.Disk = m.Disk.CloneVT()
	m.Disk.Volume.ContainerPath = new("elsewhere")
	b, err := resources.New(m)
	if err != nil || !a.Equal(b) || !a.Contains(b) || !a.Sub(b).IsEmpty() {
		t.Errorf("%s is not %s (%v)", b, a, err)
	}
}

func TestCanonicalOrder(t *testing.T) {
	text := "zeta:1;ports:[1-2];disk:1;alpha:1;mem:1;gpus:1;cpus(eng):1;cpus:1"
	want := "cpus:1; cpus(reservations: [(STATIC,eng)]):1; gpus:1; mem:1; disk:1; ports:[1-2]; alpha:1; zeta:1"
	if got := must(text).String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFilters(t *testing.T) {
	all := must("[" + cpus(1, "") + "," + cpus(2, `,"role":"a"`) + "," +
		cpus(3, `,"reservations":[{"type":"STATIC","role":"a"},{"type":"DYNAMIC","role":"a/b"}]`) + "," +
		cpus(4, `,"revocable":{}`) + "," + volume("v", 5, `,"shared":{}`) + "," + cpus(6, `,"role":"c"`) + "," +
		`{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":1,"end":2}]}}` + "]")
	for _, test := range []struct {
		name string
		got  resources.Resources
		want string
	}{
		{"unreserved", all.Unreserved(), "cpus:1; cpus{REV}:4; ports:[1-2]"},
		{"reserved to a", all.ReservedTo("a"), "cpus(reservations: [(STATIC,a)]):2"},
		{
			"reserved under a", all.ReservedUnder("a"),
			"cpus(reservations: [(STATIC,a)]):2; cpus(reservations: [(STATIC,a),(DYNAMIC,a/b)]):3",
		},
		{
			"allocatable to a/b", all.AllocatableTo("a/b").Scalars().NonRevocable(),
			"cpus:1; cpus(reservations: [(STATIC,a)]):2; cpus(reservations: [(STATIC,a),(DYNAMIC,a/b)]):3",
		},
		{"allocatable to a", all.AllocatableTo("a").NonScalars(), "ports:[1-2]"},
		{"revocable", all.Revocable(), "cpus{REV}:4"},
		{"shared", all.Shared(), "disk(reservations: [(DYNAMIC,eng,ops)])[v:data]<SHARED>:5"},
		{"volumes", all.PersistentVolumes(), "disk(reservations: [(DYNAMIC,eng,ops)])[v:data]<SHARED>:5"},
		{"checkpointed", all.NeedingCheckpoint().Named("cpus"), "cpus(reservations: [(STATIC,a),(DYNAMIC,a/b)]):3"},
		{"unreserved form", all.ToUnreserved().Named("cpus"), "cpus:12; cpus{REV}:4"},
	} {
		if test.got.String() != test.want {
			t.Errorf("%s: %s, want %s", test.name, test.got, test.want)
		}
	}
	if got := all.Scalar("cpus"); got != 16*resources.Unit {
		t.Errorf("%s cpus, want 16", got)
	}
}

func TestAllocation(t *testing.T) {
	r := must("cpus:1;cpus(eng):2")
	both := r.AllocatedTo("eng").Add(r.AllocatedTo("ops"))
	if both.Len() != 4 || both.Contains(r) {
		t.Errorf("%s is allocated and not", both)
	}
	parts := both.ByAllocation()
	if len(parts) != 2 || !parts["eng"].Equal(r.AllocatedTo("eng")) || !parts["ops"].Unallocated().Equal(r) {
		t.Errorf("parts are %v", parts)
	}
	if got := both.AllocatedTo("x"); got.Len() != 2 || got.Scalar("cpus") != 6*resources.Unit {
		t.Errorf("all to one is %s", got)
	}
	if !both.Unallocated().Equal(r.Add(r)) {
		t.Errorf("unallocated is %s", both.Unallocated())
	}
}
