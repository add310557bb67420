package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

// A trial is what would come of a quota, going by what a master says of its
// cluster. Whether it is refused is asked of the master's own rules; what is kept
// back is what its allocator would come to if nothing else changed.
type trial struct {
	now, next  *quotapb.QuotaConfig
	account    account
	guaranteed resources.Quantities // to all roles
	capacity   resources.Quantities
	free       resources.Quantities
	lacking    resources.Quantities // of the guarantee, and so kept back from others
	kept       resources.Quantities // for all roles
	refused    *refusal.Error       // nil: it is not
	unforced   *refusal.Error       // why not, if it were not forced
}

// tryQuota tries a quota that is to take the place of the role's among those there are.
func tryQuota(next *quotapb.QuotaConfig, quotas []*quotapb.QuotaConfig, b books, listed, force bool) *trial {
	name := next.GetRole()
	t := &trial{now: quotaOf(quotas, name), next: next, account: b.roles[name], capacity: b.capacity, free: b.free}
	t.lacking = t.account.lacking(next)
	t.kept = t.lacking
	for _, q := range quotas {
		if q != t.now {
			t.kept = t.kept.Add(b.roles[q.GetRole()].lacking(q))
			t.guaranteed = t.guaranteed.Add(resources.QuantitiesFromProto(q.GetGuarantees()))
		}
	}
	t.judge(listed, force)
	return t
}

// judge asks the rules by which a master refuses quotas, in its order.
func (t *trial) judge(listed, force bool) {
	if t.refused = validate.QuotaUpdate(t.next, listed); t.refused != nil {
		return
	}
	if t.guaranteed, t.refused = validate.AddGuarantee(t.guaranteed, t.next); t.refused != nil {
		return
	}
	if t.unforced = validate.LimitsOfConsumed(t.next, t.account.consumed); t.unforced == nil {
		t.unforced = validate.Overcommit(t.guaranteed, t.capacity)
	}
	if !force {
		t.refused = t.unforced
	}
}

// lacking returns what the role needs to have what it is guaranteed, beside what
// it is offered.
func (a account) lacking(q *quotapb.QuotaConfig) resources.Quantities {
	return resources.QuantitiesFromProto(q.GetGuarantees()).Sub(a.consumed).Sub(a.offered)
}

// missing returns what is kept for all roles and is not free now.
func (t *trial) missing() resources.Quantities { return t.kept.Sub(t.free) }

// above returns what the role has and is offered above its limits.
func (t *trial) above() (consumed, offered resources.Quantities) {
	limits := resources.LimitsFromProto(t.next.GetLimits())
	beyond := func(q resources.Quantities) resources.Quantities {
		var over []resources.Quantity
		for name, amount := range q.All() {
			if limit, limited := limits.Get(name); limited {
				over = append(over, resources.Quantity{Name: name, Amount: amount - limit})
			}
		}
		return resources.QuantitiesOf(over...)
	}
	consumed = beyond(t.account.consumed)
	return consumed, beyond(t.account.consumed.Add(t.account.offered)).Sub(consumed)
}

// write says it in words or as JSON.
func (t *trial) write(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(t.answer())
	}
	t.show(out)
	return nil
}

func (t *trial) show(out io.Writer) {
	var rows [][]string
	for _, name := range resourcesOf([]*quotapb.QuotaConfig{t.now, t.next}) {
		rows = append(rows, []string{
			name, t.account.consumed.Get(name).String(), t.account.offered.Get(name).String(),
			becomes(amountOf(t.now.GetGuarantees(), name), amountOf(t.next.GetGuarantees(), name)),
			becomes(amountOf(t.now.GetLimits(), name), amountOf(t.next.GetLimits(), name)),
			t.lacking.Get(name).String(),
		})
	}
	table(out, "RESOURCE\tCONSUMED\tOFFERED\tGUARANTEE\tLIMIT\tKEPT BACK", rows)
	if t.refused != nil {
		return
	}
	fmt.Fprintln(out)
	for _, line := range t.words() {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out, "\nNothing was set. This is an estimate, by what the master says now: until the quota is set, tasks and agents\n"+
		"come and go, and what is kept back may be of no use to the role's frameworks.")
}

// becomes shows an amount, and what it changes to.
func becomes(now, next *resources.Amount) string {
	if a, b := orNone(now), orNone(next); a != b {
		return a + " → " + b
	}
	return orNone(next)
}

// words say what comes of a quota that is not refused.
func (t *trial) words() []string {
	name := t.next.GetRole()
	lines := []string{"The master would set this."}
	say := func(format string, q resources.Quantities, more ...any) {
		if !q.IsEmpty() {
			lines = append(lines, fmt.Sprintf(format, append([]any{q}, more...)...))
		}
	}
	if t.unforced != nil {
		lines[0] = "The master would set this, but not without --force: " + t.unforced.Message
	}
	say("All roles together are then guaranteed %s, of %s that the agents have.", t.guaranteed, t.capacity)
	say("%s of that is more than there is, and nobody can have it until more agents come.", t.guaranteed.Sub(t.capacity))
	if len(t.next.GetGuarantees()) > 0 && t.lacking.IsEmpty() {
		lines = append(lines, fmt.Sprintf("%s has its guarantee, or is offered what it lacks: nothing more is kept back for it.", name))
	}
	say("%s is kept back from other roles until %s has its guarantee.", t.lacking, name)
	if others := t.kept.Sub(t.lacking); !t.lacking.IsEmpty() {
		say("For others %s is kept back already.", others)
		say("%s of what is to be kept back is not free now: offers of it to roles that have more than they are guaranteed\n"+
			"would be taken back at once, and what tasks use is there when they end (or with the master's --reclaim).", t.missing())
	}
	consumed, offered := t.above()
	say("%s is consumed above the limit: it is not taken away, and nothing more is offered.", consumed)
	say("%s is offered above the limit: such offers would be taken back.", offered)
	return lines
}

// A trialAnswer is a trial as JSON.
type trialAnswer struct {
	Role      string             `json:"role"`
	Refused   string             `json:"refused,omitempty"`
	Forced    string             `json:"refused_without_force,omitempty"`
	Consumed  map[string]float64 `json:"consumed"`
	Offered   map[string]float64 `json:"offered"`
	Now       quotaAnswer        `json:"now"`
	Next      quotaAnswer        `json:"next"`
	KeptBack  map[string]float64 `json:"kept_back"`
	KeptInAll map[string]float64 `json:"kept_back_for_all"`
	Free      map[string]float64 `json:"free"`
	Total     map[string]float64 `json:"guaranteed_to_all"`
	Capacity  map[string]float64 `json:"capacity"`
}

type quotaAnswer struct {
	Guarantees map[string]float64 `json:"guarantees"`
	Limits     map[string]float64 `json:"limits"`
}

func (t *trial) answer() trialAnswer {
	a := trialAnswer{
		Role: t.next.GetRole(), Consumed: numbers(t.account.consumed.All()), Offered: numbers(t.account.offered.All()),
		Now:      quotaAnswer{scalars(t.now.GetGuarantees()), scalars(t.now.GetLimits())},
		Next:     quotaAnswer{scalars(t.next.GetGuarantees()), scalars(t.next.GetLimits())},
		KeptBack: numbers(t.lacking.All()), KeptInAll: numbers(t.kept.All()), Free: numbers(t.free.All()),
		Total: numbers(t.guaranteed.All()), Capacity: numbers(t.capacity.All()),
	}
	if t.refused != nil {
		a.Refused = t.refused.Message
	}
	if t.unforced != nil {
		a.Forced = t.unforced.Message
	}
	return a
}

func numbers(amounts iter.Seq2[string, resources.Amount]) map[string]float64 {
	out := map[string]float64{}
	for name, amount := range amounts {
		out[name] = amount.Float64()
	}
	return out
}

func scalars(amounts map[string]*mesos.Value_Scalar) map[string]float64 {
	out := map[string]float64{}
	for name, amount := range amounts {
		out[name] = amount.GetValue()
	}
	return out
}
