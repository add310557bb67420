package resources

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/refusal"
)

// A Quantity is an amount of what has the name.
type Quantity struct {
	Name   string
	Amount Amount
}

// Quantities is how much there is of each name, whatever its sort: what
// guarantees, fair shares and minimal offers are about. It is an immutable
// value; the zero value is nothing. All amounts are above zero.
type Quantities struct{ v vector }

// Limits is how much there may be at most of each name. A name that is absent
// has no limit, so the zero value limits nothing. It is an immutable value.
type Limits struct{ v vector }

// A vector is sorted by name and has each once.
type vector []Quantity

// vectorOf sorts qs, which it takes over, and adds up those of one name.
func vectorOf(qs []Quantity) vector {
	slices.SortStableFunc(qs, func(a, b Quantity) int { return cmp.Compare(a.Name, b.Name) })
	out := qs[:0]
	for _, q := range qs {
		if n := len(out); n > 0 && out[n-1].Name == q.Name {
			out[n-1].Amount = out[n-1].Amount.plus(q.Amount)
		} else {
			out = append(out, q)
		}
	}
	return out
}

// find returns the place of the name. Vectors are short, so it just looks.
func (v vector) find(name string) (int, bool) {
	for i := range v {
		if v[i].Name >= name {
			return i, v[i].Name == name
		}
	}
	return len(v), false
}

func (v vector) get(name string) (Amount, bool) {
	if i, found := v.find(name); found {
		return v[i].Amount, true
	}
	return 0, false
}

func (v vector) all() iter.Seq2[string, Amount] {
	return func(yield func(string, Amount) bool) {
		for _, q := range v {
			if !yield(q.Name, q.Amount) {
				return
			}
		}
	}
}

func (v vector) String() string {
	if len(v) == 0 {
		return "{}"
	}
	texts := make([]string, 0, len(v))
	for _, q := range v {
		texts = append(texts, q.Name+":"+q.Amount.String())
	}
	return strings.Join(texts, "; ")
}

func (v vector) proto() map[string]*mesos.Value_Scalar {
	m := make(map[string]*mesos.Value_Scalar, len(v))
	for _, q := range v {
		m[q.Name] = &mesos.Value_Scalar{Value: new(q.Amount.Float64())}
	}
	return m
}

// QuantitiesOf returns the sums of qs by name. Amounts of zero and below count
// as nothing.
func QuantitiesOf(qs ...Quantity) Quantities {
	return Quantities{vectorOf(slices.DeleteFunc(slices.Clone(qs), func(q Quantity) bool {
		return q.Amount <= 0
	}))}
}

// QuantitiesFromProto returns the amounts of a map of scalars, as quota has.
func QuantitiesFromProto(m map[string]*mesos.Value_Scalar) Quantities {
	qs := make([]Quantity, 0, len(m))
	for name, scalar := range m {
		qs = append(qs, Quantity{name, FromFloat(scalar.GetValue())})
	}
	return QuantitiesOf(qs...)
}

// ParseQuantities reads "cpus:10;mem:20", the sums of equal names. Errors are
// refusal.Invalid.
func ParseQuantities(text string) (Quantities, error) {
	qs, err := parseVector(text, "quantity")
	return QuantitiesOf(qs...), err
}

// Quantities returns how much there is of each name: sums of scalars, and how
// many numbers and items. Shared resources count once, however many copies
// there are.
func (r Resources) Quantities() Quantities { return r.quantities(false) }

// ScalarQuantities is Quantities of the scalars alone.
func (r Resources) ScalarQuantities() Quantities { return r.quantities(true) }

func (r Resources) quantities(scalarsOnly bool) Quantities {
	qs := make([]Quantity, 0, min(len(r.entries), 8))
	for i := range r.entries {
		e := &r.entries[i]
		if scalarsOnly && !e.IsScalar() {
			continue
		}
		if j, found := vector(qs).find(e.kind.name); found {
			qs[j].Amount = qs[j].Amount.plus(e.Quantity())
		} else {
			qs = slices.Insert(qs, j, Quantity{e.kind.name, e.Quantity()})
		}
	}
	return Quantities{qs}
}

// ContainsQuantities reports whether r has at least as much as q of each name.
func (r Resources) ContainsQuantities(q Quantities) bool {
	for _, want := range q.v {
		var have Amount
		for i := range r.entries {
			if e := &r.entries[i]; e.kind.name == want.Name && have < want.Amount {
				have = have.plus(e.Quantity())
			}
		}
		if have < want.Amount {
			return false
		}
	}
	return true
}

// All yields the amounts by rising name.
func (q Quantities) All() iter.Seq2[string, Amount] { return q.v.all() }

// Get returns how much there is of the name, 0 if nothing.
func (q Quantities) Get(name string) Amount {
	a, _ := q.v.get(name)
	return a
}

// IsEmpty reports whether there is nothing.
func (q Quantities) IsEmpty() bool { return len(q.v) == 0 }

// Len returns how many names there are.
func (q Quantities) Len() int { return len(q.v) }

// Equal reports whether q and o are the same.
func (q Quantities) Equal(o Quantities) bool { return slices.Equal(q.v, o.v) }

// Contains reports whether there is at least as much as in o of each name.
func (q Quantities) Contains(o Quantities) bool {
	for _, want := range o.v {
		if q.Get(want.Name) < want.Amount {
			return false
		}
	}
	return true
}

// Add returns q and o together.
func (q Quantities) Add(o Quantities) Quantities {
	if len(o.v) == 0 {
		return q
	}
	return Quantities{zip(q.v, o.v, Amount.plus)}
}

// Sub returns what is left of q without o. No amount falls below zero.
func (q Quantities) Sub(o Quantities) Quantities {
	if len(o.v) == 0 {
		return q
	}
	return Quantities{zip(q.v, o.v, func(a, b Amount) Amount { return a - b })}
}

// Min returns the lesser amount of each name.
func (q Quantities) Min(o Quantities) Quantities {
	return Quantities{zip(q.v, o.v, func(a, b Amount) Amount { return min(a, b) })}
}

// Max returns the greater amount of each name.
func (q Quantities) Max(o Quantities) Quantities {
	return Quantities{zip(q.v, o.v, func(a, b Amount) Amount { return max(a, b) })}
}

// zip returns op of the amounts of each name where it is above zero; what one
// side has not counts as 0.
func zip(a, b vector, op func(a, b Amount) Amount) vector {
	out := make(vector, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		var q Quantity
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Name < b[0].Name:
			q, a = Quantity{a[0].Name, op(a[0].Amount, 0)}, a[1:]
		case len(a) == 0 || b[0].Name < a[0].Name:
			q, b = Quantity{b[0].Name, op(0, b[0].Amount)}, b[1:]
		default:
			q = Quantity{a[0].Name, op(a[0].Amount, b[0].Amount)}
			a, b = a[1:], b[1:]
		}
		if q.Amount > 0 {
			out = append(out, q)
		}
	}
	return out
}

// Proto returns the amounts as a map of scalars.
func (q Quantities) Proto() map[string]*mesos.Value_Scalar { return q.v.proto() }

// String returns q as Mesos prints it: "cpus:10; mem:20", "{}" if empty.
func (q Quantities) String() string { return q.v.String() }

// LimitsOf returns the limits; of several with one name the last holds.
func LimitsOf(qs ...Quantity) Limits {
	v := make(vector, 0, len(qs))
	for _, q := range qs {
		if i, found := v.find(q.Name); found {
			v[i] = q
		} else {
			v = slices.Insert(v, i, q)
		}
	}
	return Limits{v}
}

// LimitsFromProto returns the limits of a map of scalars, as quota has.
func LimitsFromProto(m map[string]*mesos.Value_Scalar) Limits {
	qs := make([]Quantity, 0, len(m))
	for name, scalar := range m {
		qs = append(qs, Quantity{name, FromFloat(scalar.GetValue())})
	}
	return LimitsOf(qs...)
}

// ParseLimits reads "cpus:10;mem:0"; each name may stand once. Errors are
// refusal.Invalid.
func ParseLimits(text string) (Limits, error) {
	qs, err := parseVector(text, "limit")
	if err != nil {
		return Limits{}, err
	}
	limits := LimitsOf(qs...)
	if len(limits.v) < len(qs) {
		return Limits{}, refusal.Invalidf("Failed to parse '%s' to limit: duplicate names are not allowed", text)
	}
	return limits, nil
}

// All yields the limits by rising name.
func (l Limits) All() iter.Seq2[string, Amount] { return l.v.all() }

// Get returns the limit of the name, if there is one.
func (l Limits) Get(name string) (limit Amount, limited bool) { return l.v.get(name) }

// IsEmpty reports whether nothing is limited.
func (l Limits) IsEmpty() bool { return len(l.v) == 0 }

// Equal reports whether l and o are the same.
func (l Limits) Equal(o Limits) bool { return slices.Equal(l.v, o.v) }

// Contains reports whether o is at least as strict as l for each name.
func (l Limits) Contains(o Limits) bool {
	for _, q := range l.v {
		if limit, limited := o.Get(q.Name); !limited || limit > q.Amount {
			return false
		}
	}
	return true
}

// Admits reports whether q is within the limits.
func (l Limits) Admits(q Quantities) bool {
	for _, have := range q.v {
		if limit, limited := l.Get(have.Name); limited && have.Amount > limit {
			return false
		}
	}
	return true
}

// Sub returns what may still be had beside q. No limit falls below zero.
func (l Limits) Sub(q Quantities) Limits {
	out := slices.Clone(l.v)
	for i := range out {
		out[i].Amount = max(0, out[i].Amount-q.Get(out[i].Name))
	}
	return Limits{out}
}

// Proto returns the limits as a map of scalars.
func (l Limits) Proto() map[string]*mesos.Value_Scalar { return l.v.proto() }

// String returns l as Mesos prints it: "cpus:10; mem:0", "{}" if empty.
func (l Limits) String() string { return l.v.String() }

func parseVector(text, what string) ([]Quantity, error) {
	var qs []Quantity
	for token := range fields(text, ";") {
		pair := tokens(token, ":")
		if len(pair) != 2 {
			return nil, refusal.Invalidf("Failed to parse '%s': missing or extra ':'", token)
		}
		v, err := parseValue(pair[1])
		if err != nil {
			return nil, refusal.Invalidf("Failed to parse '%s' to %s: %s", pair[1], what, err)
		}
		if v.GetType() != mesos.Value_SCALAR {
			return nil, refusal.Invalidf("Failed to parse '%s' to %s: only scalar values are allowed", pair[1], what)
		}
		qs = append(qs, Quantity{trim(pair[0]), FromFloat(v.GetScalar().GetValue())})
	}
	return qs, nil
}
