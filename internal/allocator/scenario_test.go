package allocator

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/sorter"
	"github.com/meseta-project/meseta/resources"
)

// A world is an allocator together with what a master would remember: the
// offers that are outstanding.
type world struct {
	*Allocator
	t      *testing.T
	now    time.Time
	offers map[offerKey]resources.Resources
	out    strings.Builder
}

type offerKey struct {
	framework ids.FrameworkID
	role      string
	agent     ids.AgentID
}

func newWorld(t *testing.T, cfg Config) *world {
	return &world{
		Allocator: New(cfg, rand.New(rand.NewPCG(7, 7))),
		t:         t,
		now:       time.Unix(1_000_000, 0),
		offers:    map[offerKey]resources.Resources{},
	}
}

// TestScenarios runs testdata/scenarios: each file is a history, a line of which is a
// command. "run" prints the offers made, in order.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		w := newWorld(t, DefaultConfig())
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			w.out.Reset()
			for line := range strings.Lines(d.Input) {
				w.do(d, strings.Fields(line))
				verify(t, w.Allocator)
			}
			if d.Cmd != "do" {
				d.Fatalf(t, "unknown directive %s", d.Cmd)
			}
			return w.out.String()
		})
	})
}

// do carries out one command, of the form "name argument… key=value…".
func (w *world) do(d *datadriven.TestData, words []string) {
	if len(words) == 0 || strings.HasPrefix(words[0], "#") {
		return
	}
	c := command{name: words[0], options: map[string]string{}}
	for _, word := range words[1:] {
		if k, v, ok := strings.Cut(word, "="); ok {
			c.options[k] = v
		} else {
			c.args = append(c.args, word)
		}
	}
	do := commands()[c.name]
	if do == nil {
		d.Fatalf(w.t, "unknown command %q", c.name)
	}
	do(w, c)
}

// A command is a line of a scenario.
type command struct {
	name    string
	args    []string
	options map[string]string
}

func (c command) framework() ids.FrameworkID { return ids.FrameworkID(c.args[0]) }
func (c command) agent(i int) ids.AgentID    { return ids.AgentID(c.args[i]) }

func (c command) list(key string) []string {
	if v, ok := c.options[key]; ok && v != "" {
		return strings.Split(v, ",")
	}
	return nil
}

func (c command) filters() *mesos.Filters {
	v, ok := c.options["refuse"]
	if !ok {
		return &mesos.Filters{}
	}
	if v == "none" {
		return nil
	}
	seconds, err := strconv.ParseFloat(v, 64)
	if err != nil {
		panic(err)
	}
	return &mesos.Filters{RefuseSeconds: &seconds}
}

// commands returns what each command does.
func commands() map[string]func(*world, command) {
	return map[string]func(*world, command){
		"config":    (*world).config,
		"framework": (*world).addFramework,
		"update":    (*world).update,
		"agent":     (*world).addAgent,
		"total":     (*world).total,
		"run":       (*world).run,
		"wait":      (*world).wait,
		"decline":   (*world).decline,
		"launch":    (*world).launch,
		"finish":    (*world).finish,
		"shares":    (*world).shares,
		"wake":      (*world).wake,
		"play":      (*world).play,
		"quota":     (*world).quota,
		"consumed":  func(w *world, c command) { fmt.Fprintf(&w.out, "%s\n", w.Consumed(c.args[0])) },
		"reserve":   (*world).reserve,
		"hoard":     (*world).hoard,
		"maintain":  (*world).maintain,
		"explain": func(w *world, c command) {
			q := Query{Role: c.options["role"], Agent: ids.AgentID(c.options["agent"])}
			if len(c.args) > 0 {
				q.Framework = c.framework()
			}
			in := w.Inquire(q)
			for !w.Explore(w.now, in, 1) {
			}
			for _, e := range in.Explanations {
				fmt.Fprintln(&w.out, e)
			}
		},
		"answer": func(w *world, c command) {
			w.AnswerInverse(w.now, c.framework(), c.agent(1), c.filters())
		},
		"holdoff":    func(w *world, c command) { w.HoldOff(w.now, int(float(c.args[0]))) },
		"revive":     func(w *world, c command) { w.Revive(c.framework(), c.args[1:]) },
		"suppress":   func(w *world, c command) { w.Suppress(c.framework(), c.args[1:]) },
		"activate":   func(w *world, c command) { w.ActivateFramework(c.framework()) },
		"deactivate": (*world).deactivate,
		"remove":     (*world).remove,
		"weight":     func(w *world, c command) { w.SetWeight(c.args[0], float(c.args[1])) },
		"whitelist":  (*world).listHosts,
		"drain":      func(w *world, c command) { w.DeactivateAgent(c.agent(0)) },
		"undrain":    func(w *world, c command) { w.ActivateAgent(c.agent(0)) },
		"lose":       (*world).lose,
	}
}

// listHosts sets the whitelist; no hosts are all.
func (w *world) listHosts(c command) {
	if len(c.args) == 0 {
		w.SetWhitelist(nil)
		return
	}
	hosts := map[string]bool{}
	for _, host := range c.args {
		hosts[host] = true
	}
	w.SetWhitelist(hosts)
}

func float(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return f
}

// config starts anew.
func (w *world) config(c command) {
	cfg := DefaultConfig()
	if v, ok := c.options["min"]; ok {
		cfg.MinAllocatable = nil
		for q := range strings.SplitSeq(v, "|") {
			parsed, err := resources.ParseQuantities(q)
			if err != nil {
				panic(err)
			}
			cfg.MinAllocatable = append(cfg.MinAllocatable, parsed)
		}
	}
	if v, ok := c.options["patience"]; ok {
		cfg.Patience = int(float(v))
	}
	cfg.ShowGPUs = c.options["gpus"] == "shown"
	cfg.ExcludedFromFairShare = c.list("excluded")
	if v, ok := c.options["region"]; ok {
		cfg.Domain = domain(v)
	}
	if c.options["order"] == "random" {
		cfg.RoleOrder, cfg.FrameworkOrder = sorter.Random, sorter.Random
	}
	if c.options["frameworks"] == "random" {
		cfg.FrameworkOrder = sorter.Random
	}
	*w = *newWorld(w.t, cfg)
}

func domain(region string) *mesos.DomainInfo {
	zone := "z"
	return &mesos.DomainInfo{FaultDomain: &mesos.DomainInfo_FaultDomain{
		Region: &mesos.DomainInfo_FaultDomain_RegionInfo{Name: &region},
		Zone:   &mesos.DomainInfo_FaultDomain_ZoneInfo{Name: &zone},
	}}
}

// describe reads a framework: name roles=a,b caps=GPU_RESOURCES suppressed=a
// min=role:cpus:1 .
func (c command) describe() Framework {
	info := &mesos.FrameworkInfo{Roles: c.list("roles")}
	caps := append([]string{"MULTI_ROLE", "SHARED_RESOURCES", "RESERVATION_REFINEMENT"}, c.list("caps")...)
	if role, ok := c.options["role"]; ok {
		info.Role, caps = &role, c.list("caps")
	}
	for _, name := range caps {
		typ := mesos.FrameworkInfo_Capability_Type(mesos.FrameworkInfo_Capability_Type_value[name])
		info.Capabilities = append(info.Capabilities, &mesos.FrameworkInfo_Capability{Type: &typ})
	}
	if v, ok := c.options["min"]; ok {
		role, text, _ := strings.Cut(v, ":")
		least := &mesos.OfferFilters_MinAllocatableResources{}
		if text != "" {
			q, err := resources.ParseQuantities(text)
			if err != nil {
				panic(err)
			}
			least.Quantities = append(least.Quantities, &mesos.OfferFilters_ResourceQuantities{Quantities: q.Proto()})
		}
		info.OfferFilters = map[string]*mesos.OfferFilters{role: {MinAllocatableResources: least}}
	}
	return Framework{ID: c.framework(), Info: info, Constraints: c.constraints(), Suppressed: c.list("suppressed"), Active: c.options["active"] != "no"}
}

func (w *world) addFramework(c command) { w.AddFramework(c.describe()) }
func (w *world) update(c command)       { w.UpdateFramework(c.describe()) }

// described reads an agent: name resources caps=… host=… region=… attr=name:text.
func (c command) described() Agent {
	host := cmp.Or(c.options["host"], c.args[0])
	a := Agent{ID: c.agent(0), Info: &mesos.AgentInfo{Hostname: &host}, Total: resources.MustParse(c.args[1])}
	caps := c.list("caps")
	if _, ok := c.options["caps"]; !ok {
		caps = []string{"MULTI_ROLE", "HIERARCHICAL_ROLE"}
	}
	for _, name := range caps {
		a.Capabilities = append(a.Capabilities, mesos.AgentInfo_Capability_Type(mesos.AgentInfo_Capability_Type_value[name]))
	}
	if v, ok := c.options["region"]; ok {
		a.Info.Domain = domain(v)
	}
	for _, v := range c.list("attr") {
		name, text, _ := strings.Cut(v, ":")
		a.Info.Attributes = append(a.Info.Attributes, &mesos.Attribute{
			Name: &name, Type: mesos.Value_TEXT.Enum(), Text: &mesos.Value_Text{Value: &text},
		})
	}
	return a
}

func (w *world) addAgent(c command) {
	used := map[ids.FrameworkID]resources.Resources{}
	for _, v := range c.list("used") {
		name, rest, _ := strings.Cut(v, "@")
		role, text, _ := strings.Cut(rest, "@")
		used[ids.FrameworkID(name)] = resources.MustParse(text).AllocatedTo(role)
	}
	w.AddAgent(c.described(), used)
}

func (w *world) total(c command) { w.UpdateAgent(c.described()) }

// run does all there is to do at once and prints the offers.
func (w *world) run(c command) {
	budget := 1000
	if v, ok := c.options["budget"]; ok {
		budget, _ = strconv.Atoi(v)
	}
	for more := true; more; {
		var offers []Offer
		offers, more = w.Run(w.now, budget)
		for _, o := range offers {
			fmt.Fprintf(&w.out, "%s -> %s", o.Agent, o.Framework)
			if o.Role != "*" {
				fmt.Fprintf(&w.out, " (%s)", o.Role)
			}
			fmt.Fprintf(&w.out, ": %s\n", o.Resources.Unallocated())
			k := offerKey{o.Framework, o.Role, o.Agent}
			w.offers[k] = w.offers[k].Add(o.Resources)
		}
		for _, o := range w.InverseOffers() {
			fmt.Fprintf(&w.out, "%s, leave %s\n", o.Framework, o.Agent)
		}
		if c.options["slices"] != "" {
			fmt.Fprintf(&w.out, "(%d offers)\n", len(offers))
		}
	}
}

// wait lets time pass and then runs.
func (w *world) wait(c command) {
	by, err := time.ParseDuration(c.args[0])
	if err != nil {
		panic(err)
	}
	w.now = w.now.Add(by)
	w.run(c)
}

// taken returns the offers to a framework of an agent and forgets them.
func (w *world) taken(c command) []resources.Resources {
	var all []resources.Resources
	for _, k := range slices.SortedFunc(mapsKeys(w.offers), func(a, b offerKey) int { return cmp.Compare(a.role, b.role) }) {
		if k.framework == c.framework() && (len(c.args) < 2 || k.agent == c.agent(1)) {
			all = append(all, w.offers[k])
			delete(w.offers, k)
		}
	}
	if len(all) == 0 {
		fmt.Fprintf(&w.out, "no such offer\n")
	}
	return all
}

func mapsKeys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (w *world) decline(c command) {
	for _, rs := range w.taken(c) {
		w.Recover(w.now, c.framework(), c.agent(1), rs, c.filters())
	}
}

// launch uses a part of an offer and gives the rest back.
func (w *world) launch(c command) {
	for _, rs := range w.taken(c) {
		role := allocatedTo(rs)
		used := resources.MustParse(c.args[2]).AllocatedTo(role)
		if !rs.Contains(used) {
			fmt.Fprintf(&w.out, "%s is not in the offer\n", used)
		}
		w.Accepted(c.framework(), role)
		w.Recover(w.now, c.framework(), c.agent(1), rs.Sub(used), c.filters())
	}
}

// finish ends tasks: framework agent resources role=r .
func (w *world) finish(c command) {
	rs := resources.MustParse(c.args[2]).AllocatedTo(cmp.Or(c.options["role"], "*"))
	w.Recover(w.now, c.framework(), c.agent(1), rs, nil)
}

func (w *world) deactivate(c command) {
	w.DeactivateFramework(c.framework())
	w.forget(func(k offerKey) bool { return k.framework == c.framework() })
}

func (w *world) remove(c command) {
	w.forget(func(k offerKey) bool { return k.framework == c.framework() })
	w.RemoveFramework(c.framework())
}

func (w *world) lose(c command) {
	w.forget(func(k offerKey) bool { return k.agent == c.agent(0) })
	w.RemoveAgent(c.agent(0))
}

// forget recovers offers, as the master does with those it rescinds.
func (w *world) forget(of func(offerKey) bool) {
	for k, rs := range w.offers {
		if of(k) {
			delete(w.offers, k)
			w.Recover(w.now, k.framework, k.agent, rs, nil)
		}
	}
}

func (w *world) shares(command) {
	for _, name := range sortedKeys(w.roles) {
		r := w.roles[name]
		fmt.Fprintf(&w.out, "%s %.3f:", name, w.order.ShareOf(name))
		var lines []string
		for _, s := range w.slots.of {
			if s.sub != nil && s.sub.role == r {
				lines = append(lines, fmt.Sprintf(" %s %.3f", s.sub.framework.id, r.frameworks.Share(s.sub.client)))
			}
		}
		slices.Sort(lines)
		fmt.Fprintf(&w.out, "%s\n", strings.Join(lines, ""))
	}
}

func (w *world) wake(command) {
	switch at := w.Wake(w.now); {
	case at.IsZero():
		fmt.Fprintf(&w.out, "never\n")
	default:
		fmt.Fprintf(&w.out, "in %s\n", at.Sub(w.now))
	}
}

// play lets frameworks, each with tasks of one size, launch one task of each
// offer that it fits in, return the rest without a filter, and decline what it
// does not fit in, until nobody gets an
// offer: framework:resources… framework.max=tasks… .
func (w *world) play(c command) {
	tasks, runs := map[ids.FrameworkID]resources.Resources{}, map[ids.FrameworkID]int{}
	for _, arg := range c.args {
		name, text, _ := strings.Cut(arg, ":")
		tasks[ids.FrameworkID(name)] = resources.MustParse(text)
	}
	for {
		offers, more := w.Run(w.now, 1)
		for _, o := range offers {
			task := tasks[o.Framework].AllocatedTo(o.Role)
			most, bounded := c.options[string(o.Framework)+".max"]
			if !o.Resources.Contains(task) || bounded && float(most) <= float64(runs[o.Framework]) {
				w.Recover(w.now, o.Framework, o.Agent, o.Resources, &mesos.Filters{})
				continue
			}
			w.Recover(w.now, o.Framework, o.Agent, o.Resources.Sub(task), nil)
			runs[o.Framework]++
			if _, quiet := c.options["quiet"]; !quiet {
				fmt.Fprintf(&w.out, "%s ", o.Framework)
			}
		}
		if len(offers) == 0 && !more {
			break
		}
	}
	w.out.WriteByte('\n')
	for _, id := range sortedKeys(runs) {
		fmt.Fprintf(&w.out, "%s runs %d\n", id, runs[id])
	}
	w.shares(c)
}

// quota sets a quota: role guarantee=cpus:1;mem:2 limit=cpus:3 .
func (w *world) quota(c command) {
	guarantees, err := resources.ParseQuantities(c.options["guarantee"])
	if err != nil {
		panic(err)
	}
	limits, err := resources.ParseLimits(c.options["limit"])
	if err != nil {
		panic(err)
	}
	w.SetQuota(c.args[0], Quota{Guarantees: guarantees, Limits: limits})
}

// reserve reserves a part: of an offer, or of what is available on an agent if
// the framework is "operator": framework agent resources role .
func (w *world) reserve(c command) {
	part := resources.MustParse(c.args[2])
	typ := mesos.Resource_ReservationInfo_DYNAMIC
	reserved, err := part.PushReservation(&mesos.Resource_ReservationInfo{Role: &c.args[3], Type: &typ})
	if err != nil {
		panic(err)
	}
	if c.args[0] == "operator" {
		err := w.UpdateAvailable(c.agent(1), []resources.Conversion{{Consumed: part, Converted: reserved}})
		if err != nil {
			fmt.Fprintf(&w.out, "%v\n", err)
		}
		return
	}
	for _, rs := range w.taken(c) {
		conversion := resources.Conversion{Consumed: part.AllocatedTo(c.args[3]), Converted: reserved.AllocatedTo(c.args[3])}
		w.UpdateAllocation(c.framework(), c.agent(1), rs, []resources.Conversion{conversion})
		after, err := rs.Apply(conversion)
		if err != nil {
			panic(err)
		}
		w.Recover(w.now, c.framework(), c.agent(1), after, nil)
	}
}

// hoard forgets offers without giving them back.
func (w *world) hoard(c command) { w.taken(c) }

// maintain announces an agent's unavailability, or takes it back with "off".
func (w *world) maintain(c command) {
	u := &mesos.Unavailability{}
	if len(c.args) > 1 {
		u = nil
	}
	w.SetUnavailability(c.agent(0), u)
}

// constraints reads what a framework wants of attributes, in its first role:
// one group after the other, of constraints joined by '+', as in
// constraints=rack=1+gpu?,host~re .
func (c command) constraints() *Constraints {
	if c.options["constraints"] == "" {
		return nil
	}
	rc := &schedulerpb.OfferConstraints_RoleConstraints{}
	for _, g := range c.list("constraints") {
		group := &schedulerpb.OfferConstraints_RoleConstraints_Group{}
		for one := range strings.SplitSeq(g, "+") {
			group.AttributeConstraints = append(group.AttributeConstraints, attributeConstraint(one))
		}
		rc.Groups = append(rc.Groups, group)
	}
	compiled, err := CompileConstraints(&schedulerpb.OfferConstraints{
		RoleConstraints: map[string]*schedulerpb.OfferConstraints_RoleConstraints{c.list("roles")[0]: rc},
	}, DefaultRegexLimits())
	if err != nil {
		panic(err)
	}
	return compiled
}

// attributeConstraint reads name:value, name!value, name~regex, name!~regex,
// name? or name!? ; HOSTNAME, REGION and ZONE are the pseudo attributes.
func attributeConstraint(text string) *schedulerpb.AttributeConstraint {
	at := strings.IndexAny(text, ":!~?")
	name, op := text[:at], text[at:]
	c := &schedulerpb.AttributeConstraint{Selector: &schedulerpb.AttributeConstraint_Selector{}, Predicate: &schedulerpb.AttributeConstraint_Predicate{}}
	if pseudo, ok := schedulerpb.AttributeConstraint_Selector_PseudoattributeType_value[name]; ok {
		c.Selector.Selector = &schedulerpb.AttributeConstraint_Selector_PseudoattributeType_{PseudoattributeType: schedulerpb.AttributeConstraint_Selector_PseudoattributeType(pseudo)}
	} else {
		c.Selector.Selector = &schedulerpb.AttributeConstraint_Selector_AttributeName{AttributeName: name}
	}
	p := c.Predicate
	switch value := strings.TrimLeft(op, ":!~?"); strings.TrimSuffix(op, value) {
	case "?":
		p.Predicate = &schedulerpb.AttributeConstraint_Predicate_Exists_{Exists: &schedulerpb.AttributeConstraint_Predicate_Exists{}}
	case "!?":
		p.Predicate = &schedulerpb.AttributeConstraint_Predicate_NotExists_{NotExists: &schedulerpb.AttributeConstraint_Predicate_NotExists{}}
	case ":":
		p.Predicate = &schedulerpb.AttributeConstraint_Predicate_TextEquals_{TextEquals: &schedulerpb.AttributeConstraint_Predicate_TextEquals{Value: &value}}
	case "!":
		p.Predicate = &schedulerpb.AttributeConstraint_Predicate_TextNotEquals_{TextNotEquals: &schedulerpb.AttributeConstraint_Predicate_TextNotEquals{Value: &value}}
	case "~":
		p.Predicate = &schedulerpb.AttributeConstraint_Predicate_TextMatches_{TextMatches: &schedulerpb.AttributeConstraint_Predicate_TextMatches{Regex: &value}}
	case "!~":
		p.Predicate = &schedulerpb.AttributeConstraint_Predicate_TextNotMatches_{TextNotMatches: &schedulerpb.AttributeConstraint_Predicate_TextNotMatches{Regex: &value}}
	}
	return c
}
