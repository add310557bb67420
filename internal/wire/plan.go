package wire

import (
	"cmp"
	"slices"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/meseta-project/meseta/internal/invariant"
)

// A plan is what the codec needs to know about a message type, worked out
// once. Plans are immutable after build.
type plan struct {
	fields []*field // in declaration order, as Mesos writes them
	sorted []*field // the same by name
	byName map[string]*field
	// byNumber has the fields through which the type can contain itself.
	byNumber map[protoreflect.FieldNumber]*plan
	requires []*field // the required ones
	nested   []*field // those that hold messages with required fields, by number
	// hasRequired: the type, or one inside it, has required fields.
	// nests: the type, or one inside it, can contain itself.
	// hasEnums: the type, or one inside it, has enums.
	hasRequired, nests, hasEnums bool
	closed                       []closed // by number
}

// A field is one field of a plan.
type field struct {
	desc protoreflect.FieldDescriptor
	kind protoreflect.Kind
	name string
	key  string // `"name":`
	// fallback is what to write when the field is unset: the JSON text of an
	// explicit default, an empty list where Mesos writes one; "" is nothing.
	fallback string
	message  *plan  // kind is a message, not a map
	enum     *enum  // kind is an enum
	value    *field // a map: its values; its keys are strings
	list     bool
	required bool
}

// An enum translates numbers and names.
type enum struct {
	names   map[protoreflect.EnumNumber]string
	numbers map[string]protoreflect.EnumNumber
}

// alwaysLists names the repeated fields that Mesos writes even when they are
// empty: it renders these replies by hand, not from the message.
var alwaysLists = map[protoreflect.FullName]bool{
	"mesos.v1.master.Response.GetAgents.agents":                   true,
	"mesos.v1.master.Response.GetAgents.recovered_agents":         true,
	"mesos.v1.master.Response.GetExecutors.executors":             true,
	"mesos.v1.master.Response.GetFrameworks.frameworks":           true,
	"mesos.v1.master.Response.GetFrameworks.completed_frameworks": true,
	"mesos.v1.master.Response.GetTasks.tasks":                     true,
	"mesos.v1.master.Response.GetTasks.unreachable_tasks":         true,
	"mesos.v1.master.Response.GetTasks.completed_tasks":           true,
	"mesos.v1.agent.Response.GetExecutors.executors":              true,
	"mesos.v1.agent.Response.GetExecutors.completed_executors":    true,
	"mesos.v1.agent.Response.GetFrameworks.frameworks":            true,
	"mesos.v1.agent.Response.GetFrameworks.completed_frameworks":  true,
	"mesos.v1.agent.Response.GetTasks.pending_tasks":              true,
	"mesos.v1.agent.Response.GetTasks.queued_tasks":               true,
	"mesos.v1.agent.Response.GetTasks.launched_tasks":             true,
	"mesos.v1.agent.Response.GetTasks.terminated_tasks":           true,
	"mesos.v1.agent.Response.GetTasks.completed_tasks":            true,
}

// plans remembers the plan of each message type. It only grows, by at most
// the message types in the binary.
var plans sync.Map // protoreflect.MessageDescriptor → *plan

// planFor returns the plan of a message type.
func planFor(desc protoreflect.MessageDescriptor) *plan {
	if p, ok := plans.Load(desc); ok {
		return p.(*plan)
	}
	built := map[protoreflect.MessageDescriptor]*plan{}
	build(desc, built)
	for _, b := range built {
		b.hasRequired = reaches(b, map[*plan]bool{}, (*plan).ownRequired)
		b.hasEnums = reaches(b, map[*plan]bool{}, (*plan).ownEnum)
		b.nests = reaches(b, map[*plan]bool{}, func(q *plan) bool { return q.contains(q, map[*plan]bool{}) })
	}
	for _, b := range built {
		b.findRequired()
		b.findNesting()
		b.findClosed()
	}
	for d, b := range built {
		plans.LoadOrStore(d, b)
	}
	return built[desc]
}

// build makes the plan of desc and of every message type inside it.
func build(desc protoreflect.MessageDescriptor, built map[protoreflect.MessageDescriptor]*plan) *plan {
	if p := built[desc]; p != nil {
		return p
	}
	fields := desc.Fields()
	p := &plan{fields: make([]*field, fields.Len()), byName: make(map[string]*field, fields.Len())}
	built[desc] = p
	for i := range p.fields {
		f := buildField(fields.Get(i), built)
		p.fields[i], p.byName[f.name] = f, f
	}
	p.sorted = slices.SortedFunc(slices.Values(p.fields), func(a, b *field) int { return cmp.Compare(a.name, b.name) })
	return p
}

func buildField(desc protoreflect.FieldDescriptor, built map[protoreflect.MessageDescriptor]*plan) *field {
	f := &field{
		desc:     desc,
		kind:     desc.Kind(),
		name:     string(desc.Name()),
		key:      `"` + string(desc.Name()) + `":`,
		list:     desc.IsList(),
		required: desc.Cardinality() == protoreflect.Required,
	}
	switch {
	case desc.IsMap():
		invariant.Check(desc.MapKey().Kind() == protoreflect.StringKind, "map keys must be strings", "field", desc.FullName())
		f.value = buildField(desc.MapValue(), built)
	case f.kind == protoreflect.MessageKind:
		f.message = build(desc.Message(), built)
	case f.kind == protoreflect.EnumKind:
		f.enum = buildEnum(desc.Enum())
	}
	f.fallback = fallback(f)
	return f
}

// fallback returns what is written for f when it is unset.
func fallback(f *field) string {
	if f.list && alwaysLists[f.desc.FullName()] {
		return "[]"
	}
	if !f.desc.HasDefault() || deprecated(f.desc) {
		return ""
	}
	var e encoder
	e.scalar(f, f.desc.Default())
	return string(e.b)
}

func deprecated(desc protoreflect.FieldDescriptor) bool {
	options, ok := desc.Options().(*descriptorpb.FieldOptions)
	return ok && options.GetDeprecated()
}

func buildEnum(desc protoreflect.EnumDescriptor) *enum {
	values := desc.Values()
	e := &enum{
		names:   make(map[protoreflect.EnumNumber]string, values.Len()),
		numbers: make(map[string]protoreflect.EnumNumber, values.Len()),
	}
	for i := range values.Len() {
		v := values.Get(i)
		e.numbers[string(v.Name())] = v.Number()
		if _, known := e.names[v.Number()]; !known {
			e.names[v.Number()] = string(v.Name())
		}
	}
	return e
}

// inner returns the plan of the messages that f holds, or nil.
func (f *field) inner() *plan {
	if f.value != nil {
		return f.value.message
	}
	return f.message
}

func (p *plan) ownRequired() bool {
	for _, f := range p.fields {
		if f.required {
			return true
		}
	}
	return false
}

// contains tells whether a message of type p can hold one of type q.
func (p *plan) contains(q *plan, seen map[*plan]bool) bool {
	for _, f := range p.fields {
		in := f.inner()
		if in == nil || seen[in] {
			continue
		}
		if seen[in] = true; in == q || in.contains(q, seen) {
			return true
		}
	}
	return false
}

// reaches tells whether is holds for p or a message type inside it.
func reaches(p *plan, seen map[*plan]bool, is func(*plan) bool) bool {
	if is(p) {
		return true
	}
	seen[p] = true
	for _, f := range p.fields {
		if in := f.inner(); in != nil && !seen[in] && reaches(in, seen, is) {
			return true
		}
	}
	return false
}

// findNesting fills in byNumber, once nests is known. A map's entry is not a
// plan of its own: maps to messages that nest are not supported.
func (p *plan) findNesting() {
	for _, f := range p.fields {
		if f.message != nil && f.message.nests {
			if p.byNumber == nil {
				p.byNumber = map[protoreflect.FieldNumber]*plan{}
			}
			p.byNumber[f.desc.Number()] = f.message
		}
	}
}
