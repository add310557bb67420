package allocator

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/resources"
)

// constrain returns offer constraints of one group for a role.
func constrain(cs ...*schedulerpb.AttributeConstraint) *schedulerpb.OfferConstraints {
	return &schedulerpb.OfferConstraints{RoleConstraints: map[string]*schedulerpb.OfferConstraints_RoleConstraints{
		"r": {Groups: []*schedulerpb.OfferConstraints_RoleConstraints_Group{{AttributeConstraints: cs}}},
	}}
}

// TestPredicates evaluates every predicate on every sort of value.
func TestPredicates(t *testing.T) {
	scalar, name, linux := 4.0, "os", "linux"
	agents := map[string]*mesos.AgentInfo{
		"linux":  {Attributes: []*mesos.Attribute{{Name: &name, Type: mesos.Value_TEXT.Enum(), Text: &mesos.Value_Text{Value: &linux}}}},
		"scalar": {Attributes: []*mesos.Attribute{{Name: &name, Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: &scalar}}}},
		"none":   {},
	}
	for _, tc := range []struct{ constraint, meet string }{
		{"os?", "linux scalar"},
		{"os!?", "none"},
		{"os:linux", "linux scalar"},
		{"os:lin", "scalar"},
		{"os!linux", "scalar none"},
		{"os!lin", "linux scalar none"},
		{"os~lin.x", "linux scalar"},
		{"os~lin", "scalar"},
		{"os~x|linux", "linux scalar"},
		{"os!~lin.*", "scalar none"},
		{"os!~lin", "linux scalar none"},
		{"REGION?", ""},
		{"ZONE!?", "linux scalar none"},
		{"HOSTNAME:", "linux scalar none"},
	} {
		c, err := CompileConstraints(constrain(attributeConstraint(tc.constraint)), DefaultRegexLimits())
		if err != nil {
			t.Errorf("%s: %v", tc.constraint, err)
			continue
		}
		for agent, info := range agents {
			want := strings.Contains(tc.meet, agent)
			if got := c.unmet("r", info) == ""; got != want {
				t.Errorf("%s is %t of %s", tc.constraint, got, agent)
			}
			if c.unmet("another", info) != "" {
				t.Errorf("%s counts in a role it is not for", tc.constraint)
			}
		}
	}
}

// TestManyConstraints: agents are visited the fewer at a time the more constraints
// there are to look at.
func TestManyConstraints(t *testing.T) {
	const agents, budget = 50, 50
	for _, many := range []bool{false, true} {
		cs := []*schedulerpb.AttributeConstraint{attributeConstraint("os!~win.*")}
		if many {
			cs = slices.Repeat(cs, 1000)
		}
		c, err := CompileConstraints(constrain(cs...), DefaultRegexLimits())
		if err != nil {
			t.Fatal(err)
		}
		a := New(DefaultConfig(), rand.New(rand.NewPCG(1, 2)))
		a.AddFramework(Framework{ID: "f", Info: &mesos.FrameworkInfo{Role: new("r")}, Constraints: c, Active: true})
		for i := range agents {
			a.AddAgent(Agent{ID: ids.AgentIDFor("m", uint64(i)), Info: &mesos.AgentInfo{}, Total: resources.MustParse("cpus:1;mem:64")}, nil)
		}
		runs, offers := 0, 0
		for more := true; more; runs++ {
			var made []Offer
			made, more = a.Run(time.Unix(1, 0), budget)
			offers += len(made)
		}
		if offers != agents || many != (runs > agents/2) {
			t.Errorf("%d offers in %d runs, many constraints: %t", offers, runs, many)
		}
	}
}

// TestConstraintsRefused gives what is wrong with constraints.
func TestConstraintsRefused(t *testing.T) {
	regex := func(expr string) *schedulerpb.OfferConstraints { return constrain(attributeConstraint("os~" + expr)) }
	for _, tc := range []struct {
		constraints *schedulerpb.OfferConstraints
		want        string
	}{
		{constrain(), "empty 'RoleConstraints::Group'"},
		{&schedulerpb.OfferConstraints{RoleConstraints: map[string]*schedulerpb.OfferConstraints_RoleConstraints{"r": {}}}, "empty 'RoleConstraints::groups'"},
		{constrain(&schedulerpb.AttributeConstraint{}), "must be set"},
		{constrain(&schedulerpb.AttributeConstraint{Selector: attributeConstraint("os?").Selector}), "Unknown predicate type"},
		{constrain(attributeConstraint("UNKNOWN?")), "Unknown pseudoattribute type"},
		{regex("("), "missing closing"},
		{regex("a)(b"), "unexpected )"},
		{regex(`(a)\1`), "invalid escape"},
		{regex("((((a{30}){30}){30}){30})"), "Failed to construct regex"},
		{regex("[0-9a-f]{60}[0-9a-f]{60}"), "too large"},
		{regex(strings.Repeat("a", 5000)), "pattern too large"},
		{regex("a{0,1001}"), "invalid repeat count"},
	} {
		_, err := CompileConstraints(tc.constraints, DefaultRegexLimits())
		if refusal.ReasonOf(err) != refusal.Invalid || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want %q", tc.constraints, err, tc.want)
		}
	}
	if _, err := CompileConstraints(regex("[ab]{90}"), RegexLimits{MaxMemory: 1 << 20, MaxProgram: 50}); err == nil || !strings.Contains(err.Error(), "too complex") {
		t.Errorf("a large program: %v", err)
	}
	if _, err := CompileConstraints(regex("[ab]{900}"), RegexLimits{MaxMemory: 1 << 20, MaxProgram: 1000}); err != nil {
		t.Errorf("a large program where it may be: %v", err)
	}
	most := slices.Repeat([]*schedulerpb.AttributeConstraint{attributeConstraint("os?")}, MaxConstraints)
	if _, err := CompileConstraints(constrain(most...), DefaultRegexLimits()); err != nil {
		t.Errorf("as many as there may be: %v", err)
	}
	if _, err := CompileConstraints(constrain(append(most, most[0])...), DefaultRegexLimits()); err == nil || !strings.Contains(err.Error(), "There are 4097 constraints") {
		t.Errorf("one more: %v", err)
	}
	if c, err := CompileConstraints(nil, DefaultRegexLimits()); c != nil || err != nil {
		t.Errorf("none: %v, %v", c, err)
	}
}

// FuzzRegex shows that no expression makes compiling fail in another way than
// with a refusal.
func FuzzRegex(f *testing.F) {
	for _, seed := range []string{"", "a|b", "(?i)x", `\pL+`, "(a*)*", "x{1000}", `\Q(\E`, "[[:word:]]"} {
		f.Add(seed, "text")
	}
	f.Fuzz(func(t *testing.T, expr, text string) {
		re, err := compileRegex(expr, DefaultRegexLimits())
		if err != nil {
			if refusal.ReasonOf(err) != refusal.Invalid {
				t.Fatalf("%q: %v", expr, err)
			}
			return
		}
		re.MatchString(text)
	})
}
