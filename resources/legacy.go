package resources

import (
	"cmp"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// A LegacyField is one member of the JSON object by which Mesos's older
// endpoints show resources.
type LegacyField struct {
	Name   string
	Number Amount // of a scalar
	Text   string // of ranges, "[31000-32000]", or of a set, "{a, b}"; "" for scalars
}

// IsNumber reports whether the field is shown as a number.
func (f LegacyField) IsNumber() bool { return f.Text == "" }

// legacyNames are always shown, in the order in which Mesos does.
var legacyNames = []string{"disk", "mem", "gpus", "cpus"}

// Legacy returns the members of the JSON object by which Mesos's older
// endpoints show r, in order: disk, mem, gpus and cpus, which are there even
// if they are 0, then other scalars, ranges and sets by name. What is
// revocable is under its name with "_revocable".
func (r Resources) Legacy() []LegacyField {
	fields := make([]LegacyField, 0, len(legacyNames)+len(r.entries))
	for _, name := range legacyNames {
		fields = append(fields, LegacyField{Name: name})
	}
	var lists []Resource
	for _, e := range r.entries {
		switch e.kind.typ {
		case mesos.Value_SCALAR:
			fields = addScalar(fields, e)
		case mesos.Value_RANGES, mesos.Value_SET:
			lists = addList(lists, e)
		default:
		}
	}
	slices.SortFunc(fields[len(legacyNames):], func(a, b LegacyField) int { return cmp.Compare(a.Name, b.Name) })
	return append(fields, listFields(lists)...)
}

func legacyName(e Resource) string {
	if e.IsRevocable() {
		return e.kind.name + "_revocable"
	}
	return e.kind.name
}

func addScalar(fields []LegacyField, e Resource) []LegacyField {
	name := legacyName(e)
	i := slices.IndexFunc(fields, func(f LegacyField) bool { return f.Name == name })
	if i < 0 {
		return append(fields, LegacyField{Name: name, Number: e.amount})
	}
	fields[i].Number = fields[i].Number.plus(e.amount)
	return fields
}

// addList joins e to the one of the same name and type, whoever has it.
func addList(lists []Resource, e Resource) []Resource {
	i := slices.IndexFunc(lists, func(l Resource) bool {
		return l.kind.typ == e.kind.typ && legacyName(l) == legacyName(e)
	})
	if i < 0 {
		return append(lists, e)
	}
	lists[i].list = &list{
		ranges: lists[i].list.numbers().union(e.list.numbers()),
		set:    unite(lists[i].list.names(), e.list.names()),
	}
	return lists
}

func listFields(lists []Resource) []LegacyField {
	slices.SortStableFunc(lists, func(a, b Resource) int {
		return cmp.Or(cmp.Compare(a.kind.typ, b.kind.typ), cmp.Compare(legacyName(a), legacyName(b)))
	})
	var fields []LegacyField
	for _, l := range lists {
		text := setText(l.list.names())
		if l.kind.typ == mesos.Value_RANGES {
			text = l.list.numbers().String()
		}
		fields = append(fields, LegacyField{Name: legacyName(l), Text: text})
	}
	return fields
}
