package resources_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/resources"
)

// model is the dumbest thing that behaves like Resources: how many units there
// are of each thing that can be told from others.
type model map[string]int64

func modelOf(rs resources.Resources) model {
	m := model{}
	for r := range rs.All() {
		of := fmt.Sprint(r.AllocationRole(), "|", r.Name(), r.Type(), r.Reservations(), r.IsRevocable(), r.IsShared(),
			r.ProviderID(), r.Disk().GetSource(), r.PersistenceID())
		switch {
		case r.IsShared() || r.IsPersistentVolume() || r.IsDisk(mesos.Resource_DiskInfo_Source_MOUNT):
			m[of+r.Amount().String()] += int64(r.Copies())
		case r.IsScalar():
			m[of] += int64(r.Amount())
		}
		for _, g := range r.Ranges() {
			for n := g.Begin; n <= g.End; n++ {
				m[fmt.Sprint(of, n)] = 1
			}
		}
		for _, item := range r.Set() {
			m[of+item] = 1
		}
	}
	return m
}

func (m model) plus(o model, of func(key string) int64) model {
	sum := maps.Clone(m)
	for k, n := range o {
		sum[k] = min(sum[k]+n, of(k))
	}
	return sum
}

func (m model) minus(o model) model {
	left := model{}
	for k, n := range m {
		if n > o[k] {
			left[k] = n - o[k]
		}
	}
	return left
}

func (m model) contains(o model) bool {
	for k, n := range o {
		if m[k] < n {
			return false
		}
	}
	return true
}

// drawn returns a function that draws one of the values.
func drawn[T any](t *rapid.T, label string, values ...T) T {
	return rapid.SampledFrom(values).Draw(t, label)
}

func drawReservations(t *rapid.T) []*mesos.Resource_ReservationInfo {
	static := &mesos.Resource_ReservationInfo{Type: mesos.Resource_ReservationInfo_STATIC.Enum(), Role: new("a")}
	dynamic := &mesos.Resource_ReservationInfo{
		Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: new("b"), Principal: new("p"),
		Labels: &mesos.Labels{Labels: []*mesos.Label{{Key: new("k"), Value: new("v")}}},
	}
	refined := &mesos.Resource_ReservationInfo{Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: new("a/c")}
	return drawn(t, "reservations", nil, nil,
		[]*mesos.Resource_ReservationInfo{static},
		[]*mesos.Resource_ReservationInfo{dynamic},
		[]*mesos.Resource_ReservationInfo{static, refined})
}

func drawDisk(t *rapid.T, r *mesos.Resource) {
	mount := mesos.Resource_DiskInfo_Source_MOUNT.Enum()
	path := mesos.Resource_DiskInfo_Source_PATH.Enum()
	persistence := &mesos.Resource_DiskInfo_Persistence{Id: new(drawn(t, "id", "v1", "v2"))}
	r.Disk = drawn(t, "disk", nil,
		&mesos.Resource_DiskInfo{Source: &mesos.Resource_DiskInfo_Source{Type: path}},
		&mesos.Resource_DiskInfo{Source: &mesos.Resource_DiskInfo_Source{Type: mount}},
		&mesos.Resource_DiskInfo{Persistence: persistence})
	if r.GetDisk().GetPersistence() != nil && rapid.Bool().Draw(t, "shared") {
		r.Shared = &mesos.Resource_SharedInfo{}
	}
}

func drawRanges(t *rapid.T) *mesos.Value_Ranges {
	all := &mesos.Value_Ranges{}
	at := uint64(0)
	for range rapid.IntRange(0, 3).Draw(t, "ranges") {
		begin := at + rapid.Uint64Range(0, 4).Draw(t, "gap")
		at = begin + rapid.Uint64Range(0, 4).Draw(t, "length")
		all.Range = append(all.Range, &mesos.Value_Range{Begin: &begin, End: new(at)})
		at++
	}
	return all
}

func drawResource(t *rapid.T) *mesos.Resource {
	r := &mesos.Resource{
		Name:         new(drawn(t, "name", "cpus", "mem", "disk", "ports", "x")),
		Reservations: drawReservations(t),
	}
	switch r.GetName() {
	case "ports":
		r.Type, r.Ranges = mesos.Value_RANGES.Enum(), drawRanges(t)
	case "x":
		items := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 3, rapid.ID)
		r.Type, r.Set = mesos.Value_SET.Enum(), &mesos.Value_Set{Item: items.Draw(t, "items")}
	case "disk":
		drawDisk(t, r)
		fallthrough
	default:
		v := float64(rapid.IntRange(0, 5000).Draw(t, "thousandths")) / 1000
		r.Type, r.Scalar = mesos.Value_SCALAR.Enum(), &mesos.Value_Scalar{Value: &v}
	}
	if r.Shared == nil && r.Disk == nil && rapid.Bool().Draw(t, "revocable") {
		r.Revocable = &mesos.Resource_RevocableInfo{}
	}
	if role := drawn(t, "allocation", "", "", "eng"); role != "" {
		r.AllocationInfo = &mesos.Resource_AllocationInfo{Role: &role}
	}
	return r
}

func draw(t *rapid.T, label string) resources.Resources {
	rs, err := resources.New(rapid.SliceOfN(rapid.Custom(drawResource), 0, 6).Draw(t, label)...)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// most is how many units there can be of a number or item: one, since those
// are sets, and any number of all else.
func most(a, b resources.Resources) func(string) int64 {
	lists := modelOf(a.Add(b).NonScalars())
	return func(key string) int64 {
		if _, listed := lists[key]; listed {
			return 1
		}
		return 1 << 60
	}
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		ma, mb := modelOf(a), modelOf(b)
		sum, left := a.Add(b), a.Sub(b)
		if got, want := modelOf(sum), ma.plus(mb, most(a, b)); !maps.Equal(got, want) {
			t.Fatalf("%s + %s = %s", a, b, sum)
		}
		if got, want := modelOf(left), ma.minus(mb); !maps.Equal(got, want) {
			t.Fatalf("%s - %s = %s", a, b, left)
		}
		if got, want := a.Contains(b), ma.contains(mb); got != want {
			t.Fatalf("%s contains %s: %t", a, b, got)
		}
		if got, want := a.Equal(b), maps.Equal(ma, mb); got != want {
			t.Fatalf("%s equals %s: %t", a, b, got)
		}
	})
}

func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := draw(t, "a"), draw(t, "b"), draw(t, "c")
		before := fmt.Sprint(a, b, c)
		if !a.Add(b).Equal(b.Add(a)) {
			t.Fatalf("%s and %s do not commute", a, b)
		}
		if !a.Add(b).Add(c).Equal(a.Add(b.Add(c))) {
			t.Fatalf("%s, %s and %s do not associate", a, b, c)
		}
		if !a.Add(b).Contains(a) {
			t.Fatalf("%s + %s does not contain the first", a, b)
		}
		if a.Contains(b) && !a.Sub(b).Add(b).Equal(a) {
			t.Fatalf("%s - %s + the same is %s", a, b, a.Sub(b).Add(b))
		}
		if sc, sd := a.Scalars(), b.Scalars(); !sc.Add(sd).Sub(sd).Equal(sc) {
			t.Fatalf("%s + %s - the same is %s", sc, sd, sc.Add(sd).Sub(sd))
		}
		if fmt.Sprint(a, b, c) != before {
			t.Fatal("an operation changed its operand")
		}
	})
}

func TestFormsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := draw(t, "a")
		same := func(form string, rs []*mesos.Resource, err error) {
			if err != nil {
				t.Fatal(err)
			}
			if b, err := resources.New(rs...); err != nil || b.Len() != a.Len() || b.String() != a.String() {
				t.Fatalf("%s: %s became %s (%v)", form, a, b, err)
			}
		}
		same("stack", a.Proto(), nil)
		same("endpoint", a.Endpoint(), nil)
		if older, err := a.PreRefinement(); err == nil {
			same("older", older, nil)
		} else if !slices.ContainsFunc(slices.Collect(a.All()), resources.Resource.IsRefined) {
			t.Fatal(err)
		}
		var parts []json.RawMessage
		for _, r := range a.Proto() {
			part, err := protojson.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, part)
		}
		text, err := json.Marshal(append([]json.RawMessage{}, parts...))
		if err != nil {
			t.Fatal(err)
		}
		same("JSON", resources.MustParse(string(text)).Proto(), nil)
	})
}

func TestShrink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := draw(t, "a")
		target := resources.QuantitiesOf(
			resources.Quantity{Name: "cpus", Amount: resources.Amount(rapid.IntRange(0, 9000).Draw(t, "cpus"))},
			resources.Quantity{Name: "disk", Amount: resources.Amount(rapid.IntRange(0, 9000).Draw(t, "disk"))})
		got := a.NonShared().ShrinkTo(target, nil)
		if !a.Contains(got) || !target.Contains(got.Quantities()) {
			t.Fatalf("%s shrunk to %s is %s", a, target, got)
		}
		if want := a.NonShared().ScalarQuantities().Get("cpus"); got.Scalar("cpus") != min(want, target.Get("cpus")) {
			t.Fatalf("%s shrunk to %s is %s", a, target, got)
		}
		limits := resources.LimitsOf(resources.Quantity{Name: "cpus", Amount: target.Get("cpus")})
		within := a.ShrinkWithin(limits, nil)
		if !a.Contains(within) || !limits.Admits(within.Quantities()) {
			t.Fatalf("%s shrunk within %s is %s", a, limits, within)
		}
		others := func(r resources.Resource) bool { return r.Name() != "cpus" }
		if !within.Filter(others).Equal(a.Filter(others)) {
			t.Fatalf("%s shrunk within %s is %s", a, limits, within)
		}
	})
}

func TestQuantitiesAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		q, p := a.ScalarQuantities(), b.ScalarQuantities()
		for _, name := range []string{"cpus", "mem", "disk", "x"} {
			m, n := q.Get(name), p.Get(name)
			for what, got := range map[string][2]resources.Amount{
				"add": {q.Add(p).Get(name), m + n},
				"sub": {q.Sub(p).Get(name), max(0, m-n)},
				"min": {q.Min(p).Get(name), min(m, n)},
				"max": {q.Max(p).Get(name), max(m, n)},
			} {
				if got[0] != got[1] {
					t.Fatalf("%s of %s and %s: %s %s, want %s", what, q, p, got[0], name, got[1])
				}
			}
		}
		if q.Contains(p) != q.Max(p).Equal(q) {
			t.Fatalf("%s contains %s: %t", q, p, q.Contains(p))
		}
		if got := a.ContainsQuantities(p); got != a.Quantities().Contains(p) {
			t.Fatalf("%s contains %s: %t", a, p, got)
		}
		again, err := resources.ParseQuantities(q.String())
		if !q.IsEmpty() && (err != nil || !again.Equal(q)) {
			t.Fatalf("%s became %s (%v)", q, again, err)
		}
		if !resources.QuantitiesFromProto(q.Proto()).Equal(q) {
			t.Fatalf("%s became %s", q, resources.QuantitiesFromProto(q.Proto()))
		}
	})
}

// What the messages hold is shared, so nothing may write to it.
func TestOperandsOfNewAreLeftAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.SliceOfN(rapid.Custom(drawResource), 0, 6).Draw(t, "ms")
		before := make([]proto.Message, len(ms))
		for i, m := range ms {
			before[i] = proto.Clone(m)
		}
		a, err := resources.New(ms...)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := a.ToUnreserved().PushReservation(&mesos.Resource_ReservationInfo{
			Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: new("z"),
		}); err == nil {
			b.Endpoint()
			b.PreRefinement()
		}
		for i, m := range ms {
			if !proto.Equal(before[i], m) {
				t.Fatalf("%s became %s", before[i], m)
			}
		}
	})
}
