package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/resources"
)

const (
	runFailover     = time.Minute // that tasks survive a lost connection
	maxInstances    = 100_000
	tooManyFailures = 5 // that a task is started again after it was dropped
)

// runOptions are the flags of "meseta run".
type runOptions struct {
	Master                string
	CPUs, GPUs, Mem, Disk float64
	Env, URIs             []string
	Name, Role, User      string
	Timeout               time.Duration
	Instances             int
	JSON                  bool
	Principal, Secret     string
	command               []string
}

func runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARGUMENT...]",
		Short: "Run a command on the cluster, as if it ran here",
		Long: "Launches a command as a framework of its own, on any agent that has room for it, shows what it\n" +
			"writes and exits with its exit status (128 and the number of the signal if one ended it).\n" +
			"Ctrl-C ends the command as its kill policy says, a second Ctrl-C at once.\n\n" +
			"A single argument is a shell command; several are a program and its arguments.",
		Example: "  meseta run -- echo hello\n" +
			"  meseta run --cpus 2 --mem 512 -- 'make test | tail'\n" +
			"  meseta run --uri http://example.com/tool.tar.gz --env LEVEL=9 -- ./tool/run --fast\n" +
			"  meseta run -n 100 --cpus 0.1 -- sleep 1\n" +
			"  meseta run --json -- date | jq -r 'select(.event == \"output\").data'",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.command = args
			return o.run(cmd)
		},
	}
	o.define(cmd.Flags())
	return cmd
}

func (o *runOptions) define(f *pflag.FlagSet) {
	f.SetInterspersed(false)
	f.SortFlags = false
	defineMaster(f, &o.Master)
	f.Float64Var(&o.CPUs, "cpus", 1, "CPUs for the command")
	f.Float64Var(&o.Mem, "mem", 128, "memory, in `megabytes`")
	f.Float64Var(&o.Disk, "disk", 0, "disk, in `megabytes`")
	f.Float64Var(&o.GPUs, "gpus", 0, "whole GPUs")
	f.StringArrayVarP(&o.Env, "env", "e", nil, "environment variable `NAME=VALUE`; NAME alone takes the value from here (may be repeated)")
	f.StringArrayVar(&o.URIs, "uri", nil, "file to fetch into the sandbox, and to extract if it is an archive (may be repeated)")
	f.StringVar(&o.Name, "name", "", "name of the framework and its tasks (default: the command's)")
	f.StringVar(&o.Role, "role", "*", "role whose share is used")
	f.StringVar(&o.User, "user", "", "user to run as (default: the one here)")
	f.DurationVar(&o.Timeout, "timeout", 0, "end the command after this long, such as 90s or 2h, waiting for room included; exit status 124")
	f.IntVarP(&o.Instances, "instances", "n", 1, "how many times to run the command, side by side where there is room")
	f.BoolVar(&o.JSON, "json", false, "say what happens on standard output, one JSON object a line")
	defineCredential(f, &o.Principal, &o.Secret)
}

// run runs the command to its end.
func (o *runOptions) run(cmd *cobra.Command) error {
	want, err := o.quantities()
	if err != nil {
		return err
	}
	task, err := o.task()
	if err != nil {
		return err
	}
	l := launch{
		access:    access{principal: o.Principal},
		framework: o.framework(), task: task, want: want, instances: o.Instances, timeout: o.Timeout, output: true,
	}
	if err := l.at(o.Master, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	if err := l.readSecret(o.Secret); err != nil {
		return err
	}
	report := o.reporter(cmd.OutOrStdout(), cmd.ErrOrStderr())
	return runInterruptible(cmd.Context(), &l, report)
}

// runInterruptible runs l; signals are for the tasks first.
func runInterruptible(ctx context.Context, l *launch, report reporter) error {
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	status, err := l.run(ctx, report, presses(ctx, signals))
	if err == nil && status != 0 {
		err = &ExitError{status}
	}
	return err
}

// onePress is the time in which a second signal is not a second wish: programs
// such as timeout(1) signal the process and then its group.
const onePress = 200 * time.Millisecond

// presses passes on signals, but not those that follow another at once.
func presses(ctx context.Context, signals <-chan os.Signal) <-chan os.Signal {
	passed := make(chan os.Signal)
	go func() {
		for last := (time.Time{}); ; last = time.Now() {
			select {
			case s := <-signals:
				if time.Since(last) < onePress {
					continue
				}
				select {
				case passed <- s:
				case <-ctx.Done():
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return passed
}

func (o *runOptions) reporter(stdout, stderr io.Writer) reporter {
	if o.JSON {
		return newJSONReport(stdout)
	}
	return newTextReport(stdout, stderr, o.Instances)
}

// quantities returns what a task needs.
func (o *runOptions) quantities() (resources.Quantities, error) {
	var list []resources.Quantity
	for _, q := range []struct {
		name  string
		value float64
	}{{"cpus", o.CPUs}, {"mem", o.Mem}, {"disk", o.Disk}, {"gpus", o.GPUs}} {
		if q.value < 0 {
			return resources.Quantities{}, fmt.Errorf("--%s is negative", q.name)
		}
		if amount := resources.FromFloat(q.value); amount > 0 {
			list = append(list, resources.Quantity{Name: q.name, Amount: amount})
		}
	}
	switch {
	case len(list) == 0:
		return resources.Quantities{}, errors.New("a command needs resources: set --cpus or --mem")
	case o.Instances < 1 || o.Instances > maxInstances:
		return resources.Quantities{}, fmt.Errorf("-n must be between 1 and %d", maxInstances)
	}
	return resources.QuantitiesOf(list...), nil
}

// title is the framework's name.
func (o *runOptions) title() string {
	if o.Name != "" {
		return o.Name
	}
	program, _, _ := strings.Cut(o.command[0], " ")
	return path.Base(program)
}

func (o *runOptions) framework() *mesos.FrameworkInfo {
	info := runFramework(o.title(), o.Role)
	if o.User != "" {
		info.User = &o.User
	}
	if o.GPUs > 0 {
		info.Capabilities = append(info.Capabilities, capability(mesos.FrameworkInfo_Capability_GPU_RESOURCES))
	}
	return info
}

// runFramework describes a framework that lives as long as its command.
func runFramework(name, role string) *mesos.FrameworkInfo {
	return &mesos.FrameworkInfo{
		Name: &name, Roles: []string{role}, Checkpoint: new(true), FailoverTimeout: new(runFailover.Seconds()),
		Capabilities: []*mesos.FrameworkInfo_Capability{
			capability(mesos.FrameworkInfo_Capability_MULTI_ROLE),
			capability(mesos.FrameworkInfo_Capability_PARTITION_AWARE),
			capability(mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT),
			capability(mesos.FrameworkInfo_Capability_TASK_KILLING_STATE),
		},
	}
}

func capability(kind mesos.FrameworkInfo_Capability_Type) *mesos.FrameworkInfo_Capability {
	return &mesos.FrameworkInfo_Capability{Type: kind.Enum()}
}

// task returns the task to launch, without id, agent and resources.
func (o *runOptions) task() (*mesos.TaskInfo, error) {
	command := &mesos.CommandInfo{Value: &o.command[0]}
	if len(o.command) > 1 {
		command.Shell, command.Arguments = new(false), o.command
	}
	for _, text := range o.Env {
		name, value, given := strings.Cut(text, "=")
		if !given {
			value, given = os.LookupEnv(name)
		}
		if !given || name == "" {
			return nil, fmt.Errorf("--env %q: want NAME=VALUE, or the NAME of a variable that is set here", text)
		}
		command.Environment = withVariable(command.GetEnvironment(), name, value)
	}
	for i := range o.URIs {
		command.Uris = append(command.Uris, &mesos.CommandInfo_URI{Value: &o.URIs[i]})
	}
	name := o.title()
	return &mesos.TaskInfo{Name: &name, Command: command}, nil
}

func withVariable(e *mesos.Environment, name, value string) *mesos.Environment {
	if e == nil {
		e = &mesos.Environment{}
	}
	e.Variables = append(e.Variables, &mesos.Environment_Variable{Name: &name, Value: &value})
	return e
}
