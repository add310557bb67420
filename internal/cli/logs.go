package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/operator"
)

// logsOptions are the flags of "meseta logs".
type logsOptions struct {
	lookOptions
	Framework      string
	Stderr, Follow bool
}

func logsCommand() *cobra.Command {
	var o logsOptions
	cmd := o.define(&cobra.Command{
		Use:   "logs TASK",
		Short: "Show what a task has written",
		Long: "Shows the standard output of a task, as long as its agent keeps its sandbox. Of several tasks with\n" +
			"the same ID the one that runs is taken, else the last.",
		Example: "  meseta logs web.1\n  meseta logs -f --stderr web.1",
		Args:    cobra.ExactArgs(1),
	})
	f := cmd.Flags()
	f.StringVar(&o.Framework, "framework", "", "framework whose task it is, by its ID or the end of it")
	f.BoolVar(&o.Stderr, "stderr", false, "show standard error instead")
	f.BoolVarP(&o.Follow, "follow", "f", false, "go on with what is written, until the task is over")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return o.run(cmd.Context(), args[0], cmd.OutOrStdout())
	}
	return cmd
}

func (o *logsOptions) run(ctx context.Context, id string, out io.Writer) error {
	m, err := o.open()
	if err != nil {
		return err
	}
	state, err := m.State(ctx)
	if err != nil {
		return o.because(err)
	}
	task, err := findTask(state.GetGetTasks(), id, o.Framework)
	if err != nil {
		return err
	}
	agent, err := o.agentOf(state.GetGetAgents(), task)
	if err != nil {
		return err
	}
	return o.copy(ctx, m, agent, task, out)
}

// findTask returns the task that id names.
func findTask(tasks *masterpb.Response_GetTasks, id, framework string) (*mesos.Task, error) {
	named := func(t *mesos.Task) bool {
		return t.GetTaskId().GetValue() == id && strings.HasSuffix(t.GetFrameworkId().GetValue(), framework)
	}
	running := slices.Concat(tasks.GetTasks(), tasks.GetUnreachableTasks())
	if i := slices.IndexFunc(running, named); i >= 0 {
		return running[i], nil
	}
	over := slices.DeleteFunc(slices.Clone(tasks.GetCompletedTasks()), func(t *mesos.Task) bool { return !named(t) })
	if len(over) == 0 {
		return nil, fmt.Errorf("there is no task %s, or it is long over\nSee 'meseta tasks --all'", id)
	}
	return over[len(over)-1], nil
}

// agentOf returns the agent that a task is or was on.
func (o *lookOptions) agentOf(agents *masterpb.Response_GetAgents, t *mesos.Task) (*operator.Agent, error) {
	for _, a := range agents.GetAgents() {
		if a.GetAgentInfo().GetId().GetValue() == t.GetAgentId().GetValue() {
			cfg := o.config()
			cfg.Addresses, cfg.Leader = []string{agentAddress(a)}, nil
			return operator.NewAgent(cfg)
		}
	}
	return nil, fmt.Errorf("agent %s, which task %s was on, is not in the cluster", t.GetAgentId().GetValue(), t.GetTaskId().GetValue())
}

// copy copies the task's output.
func (o *logsOptions) copy(ctx context.Context, m *operator.Master, agent *operator.Agent, t *mesos.Task, out io.Writer) error {
	executor := t.GetExecutorId().GetValue()
	if executor == "" {
		executor = t.GetTaskId().GetValue()
	}
	file := operator.Sandbox(t.GetFrameworkId().GetValue(), executor) + "/stdout"
	if o.Stderr {
		file = strings.TrimSuffix(file, "stdout") + "stderr"
	}
	over := make(chan struct{})
	if o.Follow {
		go func() {
			defer close(over)
			waitForEnd(ctx, m, t)
		}()
	} else {
		close(over)
	}
	err := operator.Follow(ctx, agent, file, out, over)
	if refused, answered := errors.AsType[*operator.StatusError](err); answered && refused.Status == 404 {
		return fmt.Errorf("the agent has no output of task %s any more: its sandbox was collected", t.GetTaskId().GetValue())
	}
	return err
}

// waitForEnd returns when a task is over, as the master sees it.
func waitForEnd(ctx context.Context, m *operator.Master, t *mesos.Task) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		tasks, err := m.Tasks(ctx)
		if err == nil && !slices.ContainsFunc(tasks.GetTasks(), func(now *mesos.Task) bool {
			return now.GetTaskId().GetValue() == t.GetTaskId().GetValue() &&
				now.GetFrameworkId().GetValue() == t.GetFrameworkId().GetValue() && !terminal(now.GetState())
		}) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func teardownCommand() *cobra.Command {
	var o lookOptions
	cmd := o.define(&cobra.Command{
		Use:     "teardown FRAMEWORK",
		Short:   "End a framework, with all of its tasks",
		Example: "  meseta teardown 7d0f6f0e-2c5d-4a3f-9f57-0a2d5b3f7a55-0003",
		Args:    cobra.ExactArgs(1),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		m, err := o.open()
		if err != nil {
			return err
		}
		return o.because(m.Teardown(cmd.Context(), &mesos.FrameworkID{Value: &args[0]}))
	}
	return cmd
}
