package cli

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/internal/sorter"
	"github.com/meseta-project/meseta/resources"
)

// masterFlags are what operators set of a master, under Mesos's names.
type masterFlags struct {
	Set *flags.Set
	networkFlags
	ha             haFlags
	authentication authenticationFlags
	allocator      allocatorFlags

	WorkDir, Registry, Cluster string
	FetchTimeout, StoreTimeout time.Duration
	MaxSubscribers             int

	Whitelist   string
	RegexMemory flags.Bytes

	Domain *mesos.DomainInfo // where this master is, or nil

	Master    master.Config
	Allocator allocator.Config
}

func newMasterFlags() *masterFlags {
	f := &masterFlags{Set: flags.New("MESOS_"), Master: master.DefaultConfig(), Allocator: allocator.DefaultConfig()}
	f.network(f.Set, 5050)
	f.cluster()
	f.ha.define(f.Set)
	f.agents()
	f.allocation()
	f.frameworks()
	f.authentication.define(f.Set)
	return f
}

func (f *masterFlags) cluster() {
	f.Set.Group("Cluster and registry")
	f.Set.String(&f.Cluster, "cluster", "", "Name of the cluster, as shown to people.").Optional()
	f.Set.Path(&f.WorkDir, "work_dir", "", "Folder of the registry. It must survive restarts.").Optional()
	f.Set.Choice(&f.Registry, "registry", "bolt", []string{"bolt", "in_memory", "replicated_log"},
		"Where a master that is alone keeps the registry: bolt is a file in the work_dir, in_memory is forgotten. replicated_log, Mesos's own store, is taken for bolt. With --ha the registry is kept there.")
	f.Set.Func(func(text string) error {
		strict, err := strconv.ParseBool(text)
		if err == nil && strict {
			err = errors.New("it was given up in Mesos, and takes false alone")
		}
		return err
	}, "registry_strict", "false", "false", "Taken for Mesos's sake and not used.")
	f.Set.Duration(&f.FetchTimeout, "registry_fetch_timeout", time.Minute, "A new leader ends when reading the registry takes longer.")
	f.Set.Duration(&f.StoreTimeout, "registry_store_timeout", 20*time.Second, "The master ends when a write of the registry takes longer.")
	f.Set.Duration(&f.Master.RegistryGCInterval, "registry_gc_interval", 15*time.Minute, "How often agents that are not needed any more are dropped from the registry.")
	f.Set.Duration(&f.Master.RegistryMaxAgentAge, "registry_max_agent_age", 14*24*time.Hour, "How long unreachable and gone agents are remembered.")
	f.Set.Int(&f.Master.RegistryMaxAgentCount, "registry_max_agent_count", 102_400, "How many unreachable and gone agents are remembered.")
	f.Set.Count(&f.MaxSubscribers, "max_operator_event_stream_subscribers", 1000, "How many operators' event streams are kept; beyond, the oldest is dropped.")
}

func (f *masterFlags) agents() {
	f.Set.Group("Agents")
	f.Set.Duration(&f.Master.AgentPingTimeout, "agent_ping_timeout", 15*time.Second, "Time between two pings of an agent, and to wait for the answer.").DeprecatedAlias("slave_ping_timeout")
	f.Set.Int(&f.Master.MaxAgentPingTimeouts, "max_agent_ping_timeouts", 5, "After how many pings without an answer an agent is unreachable.").DeprecatedAlias("max_slave_ping_timeouts")
	f.Set.Duration(&f.Master.AgentReregisterTimeout, "agent_reregister_timeout", 10*time.Minute, "How long an agent has to come back after its connection broke or the leader changed, before it is unreachable. At least 10mins.").
		DeprecatedAlias("slave_reregister_timeout").Check(f.atLeastTenMinutes)
	f.Set.Func(f.removalLimit, "recovery_agent_removal_limit", "100%", "percentage", "Share of the agents that may stay away after the leader changed; beyond, the master rather ends.").DeprecatedAlias("recovery_slave_removal_limit")
	f.Set.Func(f.removalRate, "agent_removal_rate_limit", "", "rate", "How fast agents that do not answer are given up, such as 1/10mins. By default as it comes.").DeprecatedAlias("slave_removal_rate_limit")
	domainFlag(f.Set, &f.Domain, "Where this master is, as JSON: "+domainExample+". All masters of a cluster are of one region; agents of others are remote, and offered to frameworks with the capability REGION_AWARE only. Without, agents that have a domain are not let in.")
	f.Set.Bool(&f.Master.RequireAgentDomain, "require_agent_domain", false, "Ignore agents without a fault domain.")
}

func (f *masterFlags) allocation() {
	f.Set.Group("Allocation")
	f.Set.Duration(&f.Allocator.Interval, "allocation_interval", time.Second, "Time between two rounds of offers to all.").
		Check(f.aboveZero("allocation_interval", &f.Allocator.Interval))
	f.Set.Func(f.minAllocatable, "min_allocatable_resources", "cpus:0.01|mem:32", "resources", "An offer has at least one of these, which are separated by |.")
	f.allocator.define(f.Set)
	order := map[string]sorter.Order{"drf": sorter.DRF, "random": sorter.Random}
	choose := func(dst *sorter.Order) func(string) error {
		return func(text string) error {
			o, ok := order[text]
			if !ok {
				return errors.New("is neither drf nor random")
			}
			*dst = o
			return nil
		}
	}
	f.Set.Func(choose(&f.Allocator.RoleOrder), "role_sorter", "drf", "order", "How roles take turns: drf or random.").DeprecatedAlias("user_sorter")
	f.Set.Func(choose(&f.Allocator.FrameworkOrder), "framework_sorter", "drf", "order", "How the frameworks of a role take turns: drf or random.")
	f.Set.Func(func(text string) error {
		f.Allocator.ExcludedFromFairShare = strings.Split(text, ",")
		return nil
	}, "fair_sharing_excluded_resource_names", "", "names", "Resources that do not count for shares, separated by commas.")
	f.Set.Func(func(text string) error {
		hide, err := strconv.ParseBool(text)
		f.Allocator.ShowGPUs = !hide
		return err
	}, "filter_gpu_resources", "true", "true|false", "Hide agents with GPUs from frameworks without GPU_RESOURCES.")
	f.Set.Func(f.weights, "weights", "", "role=weight,…", "Weights of roles, used while the registry has none. Prefer the operator API.").Check(f.weightsOfRoles)
	f.Set.Func(f.roles, "roles", "", "roles", "The only roles that frameworks may have beside *, separated by commas. By default any.")
	f.Set.Duration(&f.Master.OfferTimeout, "offer_timeout", 0, "How long an offer may stay unanswered before it is rescinded. By default for ever.").Optional().
		Check(f.aboveZero("offer_timeout", &f.Master.OfferTimeout))
	f.Set.Float(&f.Allocator.RecoveryFactor, "allocator_agent_recovery_factor", f.Allocator.RecoveryFactor, "Part of the agents that a new leader waits for before it offers anything, where there are quotas.").
		Check(fraction(&f.Allocator.RecoveryFactor))
	f.Set.Duration(&f.Allocator.RecoveryTimeout, "allocator_recovery_timeout", f.Allocator.RecoveryTimeout, "How long it waits for them at most.")
	f.Set.Count(&f.Allocator.Patience, "max_declines_in_a_row", f.Allocator.Patience, "How many offers in a row a framework may decline in a role before others are served before it, while its refusals last and for a minute at most. 0 is any number, as in Mesos. Meseta's own.")
	f.Set.Func(f.offerBudget, "max_offers_per_framework", "", "number", "How many unanswered offers a framework may hold: it gets no more until it answers some. By default any number, as in Mesos.")
	f.Set.Bool(&f.Master.Reclaim, "reclaim", false, "Take resources back for roles that are below their guarantees: rescind offers, then end tasks of those furthest above theirs. Meseta's own.")
	f.Set.Duration(&f.Master.ReclaimAfter, "reclaim_after", f.Master.ReclaimAfter, "How long a role is below its guarantee, and wants offers, before resources are taken back for it. Meseta's own.").
		Check(f.aboveZero("reclaim_after", &f.Master.ReclaimAfter))
	f.Set.Duration(&f.Master.ReclaimGracePeriod, "reclaim_grace_period", f.Master.ReclaimGracePeriod, "How long tasks that are ended for others have to end, if they have no kill policy of their own. Meseta's own.")
	f.Set.Func(f.reclaimRoles, "reclaim_roles", "", "roles", "The top-level roles for which resources are taken back, separated by commas. By default all with guarantees. Meseta's own.").
		Check(f.reclaimed)
	f.Set.Path(&f.Whitelist, "whitelist", "", "File with the hosts, one a line, whose agents alone are offered. It is read again every 5secs. By default all are.").Optional()
	f.Set.Bytes(&f.RegexMemory, "offer_constraints_re2_max_mem", flags.Bytes(f.Master.RegexLimits.MaxMemory), "How much memory a regular expression in offer constraints may take.")
	f.Set.Int(&f.Master.RegexLimits.MaxProgram, "offer_constraints_re2_max_program_size", f.Master.RegexLimits.MaxProgram, "How many instructions a regular expression in offer constraints may have.")
}

// core returns what the master's core is configured with.
func (f *masterFlags) core() master.Config {
	cfg := f.Master
	cfg.RegexLimits.MaxMemory = int(f.RegexMemory)
	return cfg
}

// whitelist returns the file with the agent whitelist, "" for none, which was
// once called "*".
func (f *masterFlags) whitelist() string {
	if f.Whitelist == "*" {
		return ""
	}
	return f.Whitelist
}

func (f *masterFlags) offerBudget(text string) error {
	n, err := strconv.Atoi(text)
	if err == nil && n < 1 {
		err = errors.New("must be at least 1")
	}
	f.Allocator.OfferBudget = n
	return err
}

// fraction refuses what is not from 0 to 1.
func fraction(part *float64) func() error {
	return func() error {
		if *part < 0 || *part > 1 {
			return errors.New("must be from 0 to 1")
		}
		return nil
	}
}

// aboveZero refuses a flag that is set to no time at all.
func (f *masterFlags) aboveZero(flag string, d *time.Duration) func() error {
	return func() error {
		if f.Set.Loaded(flag) && *d <= 0 {
			return errors.New("must be more than 0")
		}
		return nil
	}
}

func (f *masterFlags) roles(text string) error {
	f.Master.Roles = nil
	for name := range strings.SplitSeq(text, ",") {
		if err := role.Validate(name); err != nil {
			return err
		}
		f.Master.Roles = append(f.Master.Roles, name)
	}
	return nil
}

// reclaimRoles takes roles that quotas may be set for.
func (f *masterFlags) reclaimRoles(text string) error {
	f.Master.ReclaimRoles = nil
	for name := range strings.SplitSeq(text, ",") {
		if err := role.Validate(name); err != nil {
			return err
		}
		if strings.Contains(name, "/") {
			return fmt.Errorf("%q is not a top-level role; name the role that has the quota", name)
		}
		f.Master.ReclaimRoles = append(f.Master.ReclaimRoles, name)
	}
	return nil
}

// reclaimed refuses to name roles for what is not done at all.
func (f *masterFlags) reclaimed() error {
	if f.Set.Loaded("reclaim_roles") && !f.Master.Reclaim {
		return errors.New("nothing is taken back for anybody without --reclaim")
	}
	return nil
}

// weightsOfRoles refuses weights of roles that nobody may have.
func (f *masterFlags) weightsOfRoles() error {
	for name := range f.Master.Weights {
		if len(f.Master.Roles) > 0 && name != "*" && !slices.Contains(f.Master.Roles, name) {
			return fmt.Errorf("has role %s, which --roles lacks", name)
		}
	}
	return nil
}

func (f *masterFlags) frameworks() {
	f.Set.Group("Frameworks")
	f.Set.Bool(&f.Master.RootSubmissions, "root_submissions", true, "Let frameworks run as root.")
	f.Set.Int(&f.Master.MaxCompletedFrameworks, "max_completed_frameworks", 50, "How many frameworks that are over are remembered.")
	f.Set.Int(&f.Master.MaxCompletedTasksPerFramework, "max_completed_tasks_per_framework", 1000, "How many tasks that are over are remembered of each framework.")
	f.Set.Int(&f.Master.MaxUnreachableTasksPerFramework, "max_unreachable_tasks_per_framework", 1000, "How many unreachable tasks are remembered of each framework.")
}

func (f *masterFlags) atLeastTenMinutes() error {
	if f.Master.AgentReregisterTimeout < 10*time.Minute {
		return errors.New("must be at least 10mins")
	}
	return nil
}

func (f *masterFlags) removalLimit(text string) error {
	percent, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !strings.HasSuffix(text, "%") || percent < 0 || percent > 100 {
		return fmt.Errorf("%q is not a percentage from 0%% to 100%%", text)
	}
	f.Master.RecoveryAgentRemovalLimit = percent / 100
	return nil
}

func (f *masterFlags) removalRate(text string) error {
	events, per, found := strings.Cut(text, "/")
	n, err := strconv.Atoi(events)
	if !found || err != nil || n <= 0 {
		return fmt.Errorf("%q is not a rate such as 1/10mins", text)
	}
	d, err := flags.ParseDuration(per)
	f.Master.AgentRemovalRate = master.Rate{Events: n, Per: d}
	return err
}

func (f *masterFlags) minAllocatable(text string) error {
	f.Allocator.MinAllocatable = nil
	for one := range strings.SplitSeq(text, "|") {
		q, err := resources.ParseQuantities(one)
		if err != nil {
			return err
		}
		f.Allocator.MinAllocatable = append(f.Allocator.MinAllocatable, q)
	}
	return nil
}

func (f *masterFlags) weights(text string) error {
	f.Master.Weights = map[string]float64{}
	for pair := range strings.SplitSeq(text, ",") {
		name, weight, err := parseWeight(pair)
		if err != nil {
			return err
		}
		f.Master.Weights[name] = weight
	}
	return nil
}

// parseWeight reads a role with its weight.
func parseWeight(pair string) (name string, weight float64, err error) {
	name, text, _ := strings.Cut(pair, "=")
	weight, err = strconv.ParseFloat(text, 64)
	if err != nil || !(weight > 0) || math.IsInf(weight, 0) {
		return "", 0, fmt.Errorf("%q is not a weight such as role=2.5", pair)
	}
	return name, weight, role.Validate(name)
}
