package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/resources"
)

// executeOptions are those flags of mesos-execute that concern commands.
type executeOptions struct {
	Master, Name, Command, Resources, Role string
	Principal, Secret, ContentType         string
	Shell, Checkpoint, Partition           bool
	KillAfter                              time.Duration
	environment                            *mesos.Environment
	task                                   *mesos.TaskInfo // nil: made of the others
}

// executeCommand is Mesos's mesos-execute, which goes by that name too.
func executeCommand() *cobra.Command {
	var o executeOptions
	set := flags.New("MESOS_")
	set.Group("Command")
	set.String(&o.Master, "master", "", "Address of a master, host:port.").Required()
	set.String(&o.Name, "name", "", "Name and id of the task.").Optional()
	set.String(&o.Command, "command", "", "The command to run.").Optional()
	set.Bool(&o.Shell, "shell", true, "Whether the command is for a shell, or a program.")
	set.JSON(o.readEnvironment, "env", "Environment of the command: a JSON object of strings.").Optional()
	set.JSON(o.readTask, "task", "The whole task, a TaskInfo in JSON, in place of name, command, env and resources.").Optional()
	set.String(&o.Resources, "resources", "cpus:1;mem:128", "What the command needs.")
	set.Duration(&o.KillAfter, "kill_after", 0, "How long to wait before the task is killed.").Optional()
	set.Group("Framework")
	set.String(&o.Role, "role", "*", "Role whose share is used.")
	set.Bool(&o.Checkpoint, "checkpoint", false, "Whether the task survives a restart of its agent.")
	set.Bool(&o.Partition, "partition_aware", false, "Whether the task survives a partition of its agent.")
	set.String(&o.Principal, "principal", "", "Principal to authenticate as.").Optional()
	set.Secret(&o.Secret, "secret", "The principal's secret.").Optional()
	set.Choice(&o.ContentType, "content_type", "protobuf", []string{"json", "protobuf"}, "How to encode calls.")
	cmd := &cobra.Command{
		Use:     "execute --master=HOST:PORT --name=NAME --command=COMMAND",
		Short:   "Run a command as Mesos's mesos-execute does",
		Example: "  mesos-execute --master=127.0.0.1:5050 --name=hello --command='echo hello'",
		Hidden:  true,
	}
	return daemon("INFO", cmd, set, func(ctx context.Context, log *logs) error { return o.run(ctx, cmd.OutOrStdout(), log.Logger) })
}

func (o *executeOptions) readEnvironment(data []byte) error {
	var variables map[string]string
	if err := json.Unmarshal(data, &variables); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		o.environment = withVariable(o.environment, name, variables[name])
	}
	return nil
}

func (o *executeOptions) readTask(data []byte) error {
	o.task = &mesos.TaskInfo{}
	// Its agent is not known yet, but required.
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	fields["agent_id"] = map[string]string{"value": ""}
	whole, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return wire.UnmarshalJSON(whole, o.task)
}

// run runs the task. As with Mesos, how it ends is said and not the exit
// status.
func (o *executeOptions) run(ctx context.Context, out io.Writer, log *slog.Logger) error {
	l := launch{
		access: access{principal: o.Principal, secret: o.Secret}, json: o.ContentType == "json",
		framework: o.framework(), task: o.task, instances: 1, timeout: o.KillAfter, log: log,
	}
	var needs resources.Resources
	err := l.at(o.Master, log)
	if err != nil {
		return err
	}
	switch {
	case o.task != nil:
		needs, err = resources.New(o.task.GetResources()...)
		l.taskName = o.task.GetTaskId().GetValue()
	case o.Name == "" || o.Command == "":
		return errors.New("say what to run: --name and --command, or --task")
	default:
		needs, err = resources.Parse(o.Resources, "*")
		l.taskName = o.Name
		l.task = &mesos.TaskInfo{Name: &o.Name, Command: &mesos.CommandInfo{
			Value: &o.Command, Shell: &o.Shell, Environment: o.environment,
		}}
	}
	if err != nil {
		return err
	}
	if l.want = needs.ScalarQuantities(); l.want.Len() != needs.Len() {
		return errors.New("only amounts can be asked for here, such as cpus and mem, and neither ports nor sets")
	}
	err = runInterruptible(ctx, &l, &executeReport{out: out})
	if _, failed := errors.AsType[*ExitError](err); failed {
		return nil
	}
	return err
}

func (o *executeOptions) framework() *mesos.FrameworkInfo {
	info := runFramework("mesos-execute instance", o.Role)
	info.Checkpoint = &o.Checkpoint
	if !o.Partition {
		info.Capabilities = slices.DeleteFunc(info.Capabilities, func(c *mesos.FrameworkInfo_Capability) bool {
			return c.GetType() == mesos.FrameworkInfo_Capability_PARTITION_AWARE
		})
	}
	return info
}

// executeReport says what mesos-execute says.
type executeReport struct {
	mu  sync.Mutex
	out io.Writer
}

func (r *executeReport) printf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, format, args...)
}

func (r *executeReport) subscribed(framework string) { r.printf("Subscribed with ID %s\n", framework) }

func (r *executeReport) submitted(j *job) {
	r.printf("Submitted task '%s' to agent '%s'\n", j.id, j.agent.GetValue())
}

func (r *executeReport) status(j *job, s *mesos.TaskStatus) {
	text := fmt.Sprintf("Received status update %s for task '%s'\n", s.GetState(), j.id)
	if s.Message != nil {
		text += fmt.Sprintf("  message: '%s'\n", s.GetMessage())
	}
	if s.Source != nil {
		text += fmt.Sprintf("  source: %s\n", s.GetSource())
	}
	if s.Reason != nil {
		text += fmt.Sprintf("  reason: %s\n", s.GetReason())
	}
	if s.Healthy != nil {
		text += fmt.Sprintf("  healthy?: %t\n", s.GetHealthy())
	}
	r.printf("%s", text)
}

func (r *executeReport) killing(_ int, jobs []*job) {
	for _, j := range jobs {
		r.printf("Asked to kill task '%s' on agent '%s'\n", j.id, j.agent.GetValue())
	}
}

func (r *executeReport) note(text string) { r.printf("%s\n", text) }

func (r *executeReport) output(*job) (stdout, stderr io.WriteCloser) {
	return open{io.Discard}, open{io.Discard}
}

func (r *executeReport) done(int, []*job) {}
