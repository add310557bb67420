package validate

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/secret"
	"github.com/meseta-project/meseta/resources"
)

// ExecutorInfo refuses an executor that lacks what its type needs, with an ID
// that cannot name a folder, or with an invalid command or container.
func ExecutorInfo(e *mesos.ExecutorInfo) error {
	return first(
		func() error { return executorType(e) },
		func() error { return ids.Validate(ids.ExecutorID(e.GetExecutorId().GetValue())) },
		func() error {
			if e.GetShutdownGracePeriod().GetNanoseconds() < 0 {
				return refusal.Invalidf("ExecutorInfo's 'shutdown_grace_period' must be non-negative")
			}
			return nil
		},
		func() error { return within("Executor's `CommandInfo` is invalid", CommandInfo(e.GetCommand())) },
		func() error { return within("Executor's `ContainerInfo` is invalid", ContainerInfo(e.GetContainer())) },
	)
}

func executorType(e *mesos.ExecutorInfo) error {
	container := e.GetContainer()
	switch typ := e.GetType(); {
	case typ == mesos.ExecutorInfo_DEFAULT && e.Command != nil:
		return refusal.Invalidf("'ExecutorInfo.command' must not be set for 'DEFAULT' executor")
	case typ == mesos.ExecutorInfo_DEFAULT && container != nil && container.GetType() != mesos.ContainerInfo_MESOS:
		return refusal.Invalidf("'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor")
	case typ == mesos.ExecutorInfo_DEFAULT && container.GetMesos().GetImage() != nil:
		return refusal.Invalidf("'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor")
	case typ == mesos.ExecutorInfo_CUSTOM && e.Command == nil:
		return refusal.Invalidf("'ExecutorInfo.command' must be set for 'CUSTOM' executor")
	}
	return nil
}

// executorOn is what is asked of any executor that a framework wants on an
// agent.
func executorOn(e *mesos.ExecutorInfo, f *Framework, a *Agent) error {
	return first(
		func() error { return ExecutorInfo(e) },
		func() error { return executorFramework(e, f) },
		func() error { return executorResources(e) },
		func() error { return sameExecutor(e, a) },
	)
}

func executorFramework(e *mesos.ExecutorInfo, f *Framework) error {
	if e.FrameworkId == nil {
		return refusal.Invalidf("'ExecutorInfo.framework_id' must be set")
	}
	if id := e.FrameworkId.GetValue(); id != string(f.ID) {
		return refusal.Invalidf("ExecutorInfo has an invalid FrameworkID (Actual: %s vs Expected: %s)", id, f.ID)
	}
	return nil
}

func executorResources(e *mesos.ExecutorInfo) error {
	if err := Resources(e.GetResources()); err != nil {
		return within("Executor uses invalid resources", err)
	}
	rs := resources.Trusted(e.GetResources())
	if err := uniquePersistence(rs); err != nil {
		return within("Executor uses duplicate persistence ID", err)
	}
	if err := oneAllocation(rs); err != nil {
		return within("Invalid executor resources", err)
	}
	return within("Executor mixes revocable and non-revocable resources", oneRevocability(rs))
}

// sameExecutor refuses an executor that differs from the one with its ID that
// the framework already has on the agent.
func sameExecutor(e *mesos.ExecutorInfo, a *Agent) error {
	there := existing(a, e)
	if there == nil || sameExecutors(there, e) {
		return nil
	}
	const line = "------------------------------------------------------------\n"
	return refusal.Invalidf("ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n"+
		line+"Existing ExecutorInfo:\n%s\n"+line+"ExecutorInfo:\n%s\n"+line,
		prototext.MarshalOptions{Multiline: true}.Format(there), prototext.MarshalOptions{Multiline: true}.Format(e))
}

// existing returns the executor with e's ID on the agent, or nil.
func existing(a *Agent, e *mesos.ExecutorInfo) *mesos.ExecutorInfo {
	return a.Executor(ids.ExecutorID(e.GetExecutorId().GetValue()))
}

// sameExecutors reports whether a and b are the same executor. Not all of
// their fields matter, and not the order of variables and URIs, which many
// frameworks draw from hash maps.
//
// What is on the books has no secrets in it.
func sameExecutors(a, b *mesos.ExecutorInfo) bool {
	a, b = secret.WithoutInExecutor(a), secret.WithoutInExecutor(b)
	return a == b ||
		(a.Type == nil) == (b.Type == nil) && a.GetType() == b.GetType() &&
			a.GetExecutorId().GetValue() == b.GetExecutorId().GetValue() &&
			string(a.GetData()) == string(b.GetData()) &&
			resources.Trusted(a.GetResources()).Equal(resources.Trusted(b.GetResources())) &&
			sameCommands(a.GetCommand(), b.GetCommand()) &&
			a.GetFrameworkId().GetValue() == b.GetFrameworkId().GetValue() &&
			a.GetName() == b.GetName() &&
			a.GetSource() == b.GetSource() &&
			proto.Equal(orEmpty(a.GetContainer()), orEmpty(b.GetContainer())) &&
			proto.Equal(orEmpty(a.GetDiscovery()), orEmpty(b.GetDiscovery()))
}

func sameCommands(a, b *mesos.CommandInfo) bool {
	return proto.Equal(sortedCommand(a), sortedCommand(b))
}

// sortedCommand returns a copy of c with variables and URIs in order.
func sortedCommand(c *mesos.CommandInfo) *mesos.CommandInfo {
	sorted := orEmpty(c).CloneVT()
	slices.SortFunc(sorted.Uris, func(a, b *mesos.CommandInfo_URI) int {
		return cmp.Or(strings.Compare(a.GetValue(), b.GetValue()), strings.Compare(a.GetOutputFile(), b.GetOutputFile()))
	})
	sorted.Environment = orEmpty(sorted.Environment)
	slices.SortFunc(sorted.Environment.Variables, func(a, b *mesos.Environment_Variable) int {
		return cmp.Or(strings.Compare(a.GetName(), b.GetName()), strings.Compare(a.GetValue(), b.GetValue()))
	})
	return sorted
}

// orEmpty returns m, or an empty message if there is none.
func orEmpty[T any](m *T) *T {
	if m == nil {
		return new(T)
	}
	return m
}
