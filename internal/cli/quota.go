package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	"github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/operator"
	"github.com/meseta-project/meseta/resources"
)

func quotaCommand() *cobra.Command {
	var l look[*quotapb.QuotaStatus]
	cmd := l.command(&cobra.Command{
		Use:   "quota",
		Short: "List what roles are guaranteed and limited to, with what they have; set and unset it",
		Long: "Lists the quotas: what a top-level role, with all roles below it, has of each resource, and is offered beside\n" +
			"that, what it is guaranteed and what it may have at most.",
		Example: "  meseta quota\n  meseta quota --all      # what has no quota, too\n  meseta quota --json | jq -r '.configs[].role'\n" +
			"  meseta quota set web --guarantee 'cpus:4;mem:1024' --dry-run\n  meseta quota unset web",
	})
	all := cmd.Flags().Bool("all", false, "list roles and resources without a quota, too")
	var b books
	l.ask = func(m *operator.Master, ctx context.Context) (*quotapb.QuotaStatus, error) {
		quotas, err := m.Quota(ctx)
		if err != nil || l.json {
			return quotas, err
		}
		agents, err := m.Agents(ctx)
		b = booksOf(agents.GetAgents())
		return quotas, err
	}
	l.show = func(out io.Writer, quotas *quotapb.QuotaStatus) { showQuotas(out, quotas.GetConfigs(), b, *all) }
	cmd.AddCommand(quotaSetCommand(), quotaUnsetCommand())
	return cmd
}

// showQuotas has a line for each resource that a role has a guarantee or a limit
// of, or all that a role has.
func showQuotas(out io.Writer, configs []*quotapb.QuotaConfig, b books, all bool) {
	quotas := map[string]*quotapb.QuotaConfig{}
	for _, c := range configs {
		quotas[c.GetRole()] = c
	}
	if all {
		for name := range b.roles {
			if quotas[name] == nil {
				quotas[name] = &quotapb.QuotaConfig{Role: &name}
			}
		}
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(quotas)) {
		a, c := b.roles[name], quotas[name]
		named := []resources.Quantities{}
		if all {
			named = append(named, a.consumed, a.offered)
		}
		for _, resource := range resourcesOf([]*quotapb.QuotaConfig{c}, named...) {
			have, g, l := a.consumed.Get(resource), amountOf(c.GetGuarantees(), resource), amountOf(c.GetLimits(), resource)
			rows = append(rows, []string{
				name, resource, have.String(), a.offered.Get(resource).String(), orNone(g), orNone(l), orDash(standing(have, g, l)),
			})
		}
	}
	table(out, "ROLE\tRESOURCE\tCONSUMED\tOFFERED\tGUARANTEE\tLIMIT\tSTANDING", rows)
}

// resourcesOf returns the resources that quotas and quantities name.
func resourcesOf(configs []*quotapb.QuotaConfig, quantities ...resources.Quantities) []string {
	names := map[string]bool{}
	for _, c := range configs {
		for _, amounts := range []map[string]*mesos.Value_Scalar{c.GetGuarantees(), c.GetLimits()} {
			for name := range amounts {
				names[name] = true
			}
		}
	}
	for _, q := range quantities {
		for name := range q.All() {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// amountOf returns how much a map of scalars has of a name, nil if nothing is said.
func amountOf(amounts map[string]*mesos.Value_Scalar, name string) *resources.Amount {
	if amounts[name] == nil {
		return nil
	}
	return new(resources.FromFloat(amounts[name].GetValue()))
}

func orNone(a *resources.Amount) string {
	if a == nil {
		return "-"
	}
	return a.String()
}

// standing says where a role is between its guarantee and its limit.
func standing(have resources.Amount, guarantee, limit *resources.Amount) string {
	switch {
	case limit != nil && have > *limit:
		return fmt.Sprintf("%s above its limit", have-*limit)
	case guarantee != nil && have < *guarantee:
		return fmt.Sprintf("%s below its guarantee", *guarantee-have)
	case limit != nil && have == *limit:
		return "at its limit"
	case guarantee != nil && have > *guarantee:
		return fmt.Sprintf("%s above its guarantee", have-*guarantee)
	case guarantee != nil:
		return "at its guarantee"
	default:
		return ""
	}
}

// books are what a cluster has of what quotas count, and who has it.
type books struct {
	capacity resources.Quantities // what can be guaranteed
	free     resources.Quantities // neither reserved nor used nor offered
	roles    map[string]account   // by top-level role
}

// An account is what a top-level role has, with all roles below it.
type account struct {
	consumed resources.Quantities // reserved, used or not, and used beside that
	offered  resources.Quantities // beside what is reserved
}

// booksOf sums up what a master says of its agents, as the master itself does.
func booksOf(agents []*masterpb.Response_GetAgents_Agent) books {
	b := books{roles: map[string]account{}}
	for _, agent := range agents {
		total := resources.Trusted(agent.GetTotalResources())
		used, offered := countedIn(agent.GetAllocatedResources()), countedIn(agent.GetOfferedResources())
		b.capacity = b.capacity.Add(total.NonRevocable().ScalarQuantities())
		left := total.Unreserved().NonRevocable().ScalarQuantities()
		b.free = b.free.Add(left.Sub(used.ScalarQuantities()).Sub(offered.ScalarQuantities()))
		b.enter(total.Reserved().ByReservation(), nil)
		b.enter(used.ByAllocation(), offered.ByAllocation())
	}
	return b
}

// countedIn returns the resources that use up quota when they are given to somebody;
// what is reserved does so always.
func countedIn(rs []*mesos.Resource) resources.Resources {
	return resources.Trusted(rs).Unreserved().NonRevocable()
}

// enter adds what roles consume and are offered.
func (b *books) enter(consumed, offered map[string]resources.Resources) {
	for name, part := range consumed {
		a := b.roles[role.Top(name)]
		a.consumed = a.consumed.Add(part.ScalarQuantities())
		b.roles[role.Top(name)] = a
	}
	for name, part := range offered {
		a := b.roles[role.Top(name)]
		a.offered = a.offered.Add(part.ScalarQuantities())
		b.roles[role.Top(name)] = a
	}
}

// quotaOptions are the flags of "meseta quota set".
type quotaOptions struct {
	lookOptions
	guarantee, limit    string
	force, dryRun, json bool
}

func quotaSetCommand() *cobra.Command {
	var o quotaOptions
	cmd := o.define(&cobra.Command{
		Use:   "set ROLE [flags]",
		Short: "Set what a role is guaranteed, and what it may have at most",
		Long: "Sets the guarantees or the limits, or both, of a top-level role with all roles below it. Each flag replaces all that\n" +
			"the role had of its kind, and '' takes that away; what no flag is given for stays as it is.\n" +
			"With --dry-run nothing is set: it says what the master would do, as far as that can be told from what it says now.",
		Example: "  meseta quota set web --guarantee 'cpus:4;mem:1024' --limit 'cpus:8' --dry-run\n" +
			"  meseta quota set web --guarantee 'cpus:4;mem:1024' --limit 'cpus:8'\n" +
			"  meseta quota set web --limit ''      # no limit any more",
		Args: cobra.ExactArgs(1),
	})
	f := cmd.Flags()
	f.StringVar(&o.guarantee, "guarantee", "", "`amounts` that the role can count on, such as 'cpus:4;mem:1024'")
	f.StringVar(&o.limit, "limit", "", "`amounts` that the role may have at most, such as 'cpus:8'; what is not named has no limit")
	f.BoolVar(&o.force, "force", false, "set it though the cluster has not so much, or the role has more than the limit")
	f.BoolVar(&o.dryRun, "dry-run", false, "set nothing, and say what would come of it; the exit status is 1 if the master would refuse it")
	f.BoolVar(&o.json, "json", false, "with --dry-run: say it as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.json && !o.dryRun {
			return errors.New("--json is for what --dry-run says: give both")
		}
		change, err := o.change(f.Changed("guarantee"), f.Changed("limit"))
		if err != nil {
			return err
		}
		m, err := o.open()
		if err != nil {
			return err
		}
		return o.run(cmd.Context(), m, args[0], change, cmd.OutOrStdout())
	}
	return cmd
}

// change returns what the flags make of a quota.
func (o *quotaOptions) change(guarantee, limit bool) (func(*quotapb.QuotaConfig), error) {
	if !guarantee && !limit {
		return nil, errors.New("say what the role is to have: --guarantee 'cpus:4;mem:1024', --limit 'cpus:8', or both;\n" +
			"'meseta quota unset ROLE' takes both away")
	}
	guarantees, err := resources.ParseQuantities(o.guarantee)
	if err != nil {
		return nil, fmt.Errorf("--guarantee: %w%s", err, howAmountsAre)
	}
	limits, err := resources.ParseLimits(o.limit)
	if err != nil {
		return nil, fmt.Errorf("--limit: %w%s", err, howAmountsAre)
	}
	return func(q *quotapb.QuotaConfig) {
		if guarantee {
			q.Guarantees = guarantees.Proto()
		}
		if limit {
			q.Limits = limits.Proto()
		}
	}, nil
}

const howAmountsAre = "\nAmounts are written as 'cpus:4;mem:1024', in quotes; mem and disk are in megabytes"

// run sets the quota, or says what would come of it.
func (o *quotaOptions) run(ctx context.Context, m *operator.Master, name string, change func(*quotapb.QuotaConfig), out io.Writer) error {
	quotas, err := m.Quota(ctx)
	if err != nil {
		return o.because(err)
	}
	now := quotaOf(quotas.GetConfigs(), name)
	next := &quotapb.QuotaConfig{Role: &name, Guarantees: now.GetGuarantees(), Limits: now.GetLimits()}
	change(next)
	if !o.dryRun {
		return o.because(m.UpdateQuota(ctx, o.force, next))
	}
	agents, err := m.Agents(ctx)
	if err != nil {
		return o.because(err)
	}
	flags, err := m.Flags(ctx)
	if err != nil {
		return o.because(err)
	}
	t := tryQuota(next, quotas.GetConfigs(), booksOf(agents.GetAgents()), isListed(flags, name), o.force)
	if err := t.write(out, o.json); err != nil || t.refused == nil {
		return err
	}
	return fmt.Errorf("as things are, the master would refuse this: %w%s", t.refused, whereToLook(t.refused.Message))
}

// quotaOf returns the quota of a role, nil if it has none.
func quotaOf(configs []*quotapb.QuotaConfig, name string) *quotapb.QuotaConfig {
	if i := slices.IndexFunc(configs, func(c *quotapb.QuotaConfig) bool { return c.GetRole() == name }); i >= 0 {
		return configs[i]
	}
	return nil
}

// isListed reports whether a master with these flags lets frameworks have a role.
func isListed(flags []*mesos.Flag, name string) bool {
	for _, f := range flags {
		if f.GetName() == "roles" && f.GetValue() != "" && name != role.Default {
			return slices.Contains(strings.Split(f.GetValue(), ","), name)
		}
	}
	return true
}

func quotaUnsetCommand() *cobra.Command {
	var o lookOptions
	cmd := o.define(&cobra.Command{
		Use:     "unset ROLE...",
		Short:   "Take the guarantees and limits of roles away, of all that are named or of none",
		Example: "  meseta quota unset web\n  meseta quota unset web batch",
		Args:    cobra.MinimumNArgs(1),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		m, err := o.open()
		if err != nil {
			return err
		}
		quotas, err := m.Quota(cmd.Context())
		if err != nil {
			return o.because(err)
		}
		var none []*quotapb.QuotaConfig
		for _, name := range args {
			if quotaOf(quotas.GetConfigs(), name) == nil {
				return fmt.Errorf("role %s has no quota, and nothing was changed\n'meseta quota' lists those that have", name)
			}
			none = append(none, &quotapb.QuotaConfig{Role: &name})
		}
		// Without force, none could be taken away while the others are more than the cluster has.
		return o.because(m.UpdateQuota(cmd.Context(), true, none...))
	}
	return cmd
}
