package allocator

import (
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/refusal"
)

// RegexLimits bound the regular expressions in offer constraints, so that
// nobody can make the master work through monsters.
type RegexLimits struct {
	MaxMemory  int // bytes of a compiled one (--offer_constraints_re2_max_mem)
	MaxProgram int // its instructions (--offer_constraints_re2_max_program_size)
}

// DefaultRegexLimits returns Mesos's defaults.
func DefaultRegexLimits() RegexLimits { return RegexLimits{MaxMemory: 4096, MaxProgram: 100} }

// Constraints are offer constraints ready to be applied. They are immutable.
type Constraints struct {
	roles map[string][]group
}

// A group holds if all its constraints do.
type group []constraint

// A constraint is a condition on one attribute of an agent.
type constraint struct {
	of    func(*mesos.AgentInfo) value
	holds func(value) bool
	text  string // for explanations
}

// A value is what an agent has for an attribute.
type value struct {
	there bool
	text  *string // nil: of another type
}

func text(s string) value { return value{true, &s} }

// MaxConstraints is how many constraints on attributes a framework may have, in all
// of its roles: compiling one takes up to a tenth of a millisecond, and so may to
// apply ten of them to one agent.
const MaxConstraints = 4096

// CompileConstraints checks offer constraints and makes them ready. Nil
// compiles to nil, which every agent meets. It fails with a [refusal.Invalid]
// for more than [MaxConstraints], empty groups, unknown selectors and predicates,
// and expressions that are wrong or beyond the limits.
func CompileConstraints(oc *schedulerpb.OfferConstraints, limits RegexLimits) (*Constraints, error) {
	if oc == nil {
		return nil, nil
	}
	if n := sizeOf(oc); n > MaxConstraints {
		return nil, refusal.Invalidf("There are %d constraints on attributes, more than %d", n, MaxConstraints)
	}
	c := &Constraints{roles: map[string][]group{}}
	for _, role := range sortedKeys(oc.GetRoleConstraints()) {
		rc := oc.GetRoleConstraints()[role]
		if len(rc.GetGroups()) == 0 {
			return nil, refusal.Invalidf("'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role %s", role)
		}
		for _, g := range rc.GetGroups() {
			compiled, err := compileGroup(role, g, limits)
			if err != nil {
				return nil, err
			}
			c.roles[role] = append(c.roles[role], compiled)
		}
	}
	return c, nil
}

// sizeOf returns how many constraints there are.
func sizeOf(oc *schedulerpb.OfferConstraints) (n int) {
	for _, rc := range oc.GetRoleConstraints() {
		for _, g := range rc.GetGroups() {
			n += len(g.GetAttributeConstraints())
		}
	}
	return n
}

// Roles returns the roles that there are constraints for, sorted.
func (c *Constraints) Roles() []string {
	if c == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(c.roles))
}

func compileGroup(role string, g *schedulerpb.OfferConstraints_RoleConstraints_Group, limits RegexLimits) (group, error) {
	if len(g.GetAttributeConstraints()) == 0 {
		return nil, refusal.Invalidf("'OfferConstraints::RoleConstraints::groups' for role %s contains an empty 'RoleConstraints::Group'", role)
	}
	var compiled group
	for _, ac := range g.GetAttributeConstraints() {
		of, name, err := compileSelector(ac.GetSelector())
		if err != nil {
			return nil, refusal.Invalidf("A role %s has an invalid 'AttributeConstraint': %v", role, err)
		}
		holds, what, err := compilePredicate(ac.GetPredicate(), limits)
		if err != nil {
			return nil, refusal.Invalidf("A role %s has an invalid 'AttributeConstraint': %v", role, err)
		}
		compiled = append(compiled, constraint{of, holds, name + " " + what})
	}
	return compiled, nil
}

// compileSelector returns how to get the value of an agent, and its name.
func compileSelector(s *schedulerpb.AttributeConstraint_Selector) (func(*mesos.AgentInfo) value, string, error) {
	switch by := s.GetSelector().(type) {
	case *schedulerpb.AttributeConstraint_Selector_AttributeName:
		return func(info *mesos.AgentInfo) value { return attribute(info, by.AttributeName) }, "attribute " + by.AttributeName, nil
	case *schedulerpb.AttributeConstraint_Selector_PseudoattributeType_:
		switch by.PseudoattributeType {
		case schedulerpb.AttributeConstraint_Selector_HOSTNAME:
			return func(info *mesos.AgentInfo) value { return text(info.GetHostname()) }, "hostname", nil
		case schedulerpb.AttributeConstraint_Selector_REGION:
			return region, "region", nil
		case schedulerpb.AttributeConstraint_Selector_ZONE:
			return zone, "zone", nil
		default:
			return nil, "", refusal.Invalidf("Unknown pseudoattribute type")
		}
	default:
		return nil, "", refusal.Invalidf("Exactly one of 'AttributeConstraint::Selector::name' or 'AttributeConstraint::Selector::pseudoattribute_type' must be set")
	}
}

// attribute returns the first attribute with the name.
func attribute(info *mesos.AgentInfo, name string) value {
	for _, a := range info.GetAttributes() {
		if a.GetName() != name {
			continue
		}
		if a.GetType() == mesos.Value_TEXT {
			return text(a.GetText().GetValue())
		}
		return value{there: true}
	}
	return value{}
}

func region(info *mesos.AgentInfo) value {
	if d := info.GetDomain().GetFaultDomain(); d != nil {
		return text(d.GetRegion().GetName())
	}
	return value{}
}

func zone(info *mesos.AgentInfo) value {
	if d := info.GetDomain().GetFaultDomain(); d != nil {
		return text(d.GetZone().GetName())
	}
	return value{}
}

// compilePredicate returns what must be true of a value, and that in words.
// Predicates on text are true of values of other types, and the negative ones
// of what is not there.
func compilePredicate(p *schedulerpb.AttributeConstraint_Predicate, limits RegexLimits) (func(value) bool, string, error) {
	switch is := p.GetPredicate().(type) {
	case *schedulerpb.AttributeConstraint_Predicate_Exists_:
		return func(v value) bool { return v.there }, "exists", nil
	case *schedulerpb.AttributeConstraint_Predicate_NotExists_:
		return func(v value) bool { return !v.there }, "does not exist", nil
	case *schedulerpb.AttributeConstraint_Predicate_TextEquals_:
		want := is.TextEquals.GetValue()
		return positive(func(s string) bool { return s == want }), "is '" + want + "'", nil
	case *schedulerpb.AttributeConstraint_Predicate_TextNotEquals_:
		want := is.TextNotEquals.GetValue()
		return negative(func(s string) bool { return s == want }), "is not '" + want + "'", nil
	case *schedulerpb.AttributeConstraint_Predicate_TextMatches_:
		re, err := compileRegex(is.TextMatches.GetRegex(), limits)
		if err != nil {
			return nil, "", err
		}
		return positive(re.MatchString), "matches '" + is.TextMatches.GetRegex() + "'", nil
	case *schedulerpb.AttributeConstraint_Predicate_TextNotMatches_:
		re, err := compileRegex(is.TextNotMatches.GetRegex(), limits)
		if err != nil {
			return nil, "", err
		}
		return negative(re.MatchString), "does not match '" + is.TextNotMatches.GetRegex() + "'", nil
	default:
		return nil, "", refusal.Invalidf("Unknown predicate type")
	}
}

func positive(is func(string) bool) func(value) bool {
	return func(v value) bool { return v.there && (v.text == nil || is(*v.text)) }
}

func negative(is func(string) bool) func(value) bool {
	return func(v value) bool { return !v.there || v.text == nil || !is(*v.text) }
}

// instructionSize is about what an instruction of a compiled expression takes,
// in bytes.
const instructionSize = 40

// compileRegex compiles an expression, of RE2's syntax, that must match all of
// a text.
func compileRegex(expr string, limits RegexLimits) (*regexp.Regexp, error) {
	if len(expr) > limits.MaxMemory {
		return nil, refusal.Invalidf("Failed to construct regex from pattern: pattern too large")
	}
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, refusal.Invalidf("Failed to construct regex from pattern '%s': %v", expr, err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, refusal.Invalidf("Failed to construct regex from pattern '%s': %v", expr, err)
	}
	size := len(program.Inst)
	if size*instructionSize > limits.MaxMemory {
		return nil, refusal.Invalidf("Failed to construct regex from pattern '%s': pattern too large - compile failed", expr)
	}
	if size > limits.MaxProgram {
		return nil, refusal.Invalidf("Regex '%s' is too complex: program size of %d is larger than maximum of %d allowed", expr, size, limits.MaxProgram)
	}
	// The text is that of the parsed expression, which is closed in itself.
	re, err := regexp.Compile(`\A(?:` + parsed.String() + `)\z`)
	if err != nil {
		return nil, refusal.Invalidf("Failed to construct regex from pattern '%s': %v", expr, err)
	}
	return re, nil
}

// count returns how many constraints there are for a role.
func (c *Constraints) count(role string) (n int) {
	if c == nil {
		return 0
	}
	for _, g := range c.roles[role] {
		n += len(g)
	}
	return n
}

// Exclude reports whether an agent does not meet the constraints of a role.
func (c *Constraints) Exclude(role string, info *mesos.AgentInfo) bool {
	return c.unmet(role, info) != ""
}

// unmet returns a constraint that an agent does not meet for a role, in words,
// or "" if it may be offered: no group holds, and this is the first of the
// first group that does not.
func (c *Constraints) unmet(role string, info *mesos.AgentInfo) string {
	if c == nil || len(c.roles[role]) == 0 {
		return ""
	}
	first := ""
	for _, g := range c.roles[role] {
		failed := slices.IndexFunc(g, func(c constraint) bool { return !c.holds(c.of(info)) })
		if failed < 0 {
			return ""
		}
		if first == "" {
			first = g[failed].text
		}
	}
	return first
}
