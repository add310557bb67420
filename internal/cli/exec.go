package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/operator"
)

// insideOptions are the flags of the commands that go into a task.
type insideOptions struct {
	logsOptions
	Stdin, Terminal bool
	leaves          bool // there are keys to leave by
	User            string
}

func execCommand() *cobra.Command {
	var o insideOptions
	cmd := o.define(&cobra.Command{
		Use:   "exec [-i] [-t] TASK -- COMMAND [ARGUMENT]…",
		Short: "Run a command in a running task",
		Long: "Runs a command beside a task's own, in all that isolates the task: with its folder, environment, user and\n" +
			"limits. The command ends with the connection. Its exit status is that of meseta; 128 and the number of the\n" +
			"signal if one ended it.",
		Example: "  meseta exec web.1 -- ls -l\n  meseta exec -it web.1 -- sh\n  meseta exec -i web.1 -- sh -c 'cat > page' < page",
		Args:    cobra.MinimumNArgs(2), ValidArgsFunction: o.complete,
	})
	f := cmd.Flags()
	f.BoolVarP(&o.Stdin, "stdin", "i", false, "give standard input to the command")
	f.BoolVarP(&o.Terminal, "tty", "t", false, "give the command a terminal, as large as ours")
	f.StringVar(&o.User, "user", "", "user to run as, in place of the task's")
	f.StringVar(&o.Framework, "framework", "", "framework whose task it is, by its ID or the end of it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return o.exec(cmd, args[0], args[1:])
	}
	return cmd
}

func attachCommand() *cobra.Command {
	var o insideOptions
	cmd := o.define(&cobra.Command{
		Use:   "attach [-i] TASK",
		Short: "Attach to the terminal of a running task",
		Long: "Shows what a task writes on its terminal from now on, until the task is over. The task must have been launched\n" +
			"with a terminal (tty_info). With -i what is typed goes to the task; CTRL-p CTRL-q leaves it.",
		Example: "  meseta attach game.1\n  meseta attach -i game.1",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: o.complete,
	})
	f := cmd.Flags()
	f.BoolVarP(&o.Stdin, "stdin", "i", false, "give standard input to the task")
	f.StringVar(&o.Framework, "framework", "", "framework whose task it is, by its ID or the end of it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return o.attach(cmd, args[0])
	}
	return cmd
}

// complete offers the tasks that run.
func (o *insideOptions) complete(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	m, err := o.open()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	tasks, err := m.Tasks(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, t := range tasks.GetTasks() {
		if t.GetState() == mesos.TaskState_TASK_RUNNING {
			names = append(names, t.GetTaskId().GetValue())
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// find returns a running task, its agent and its container.
func (o *insideOptions) find(ctx context.Context, id string) (*operator.Agent, *mesos.ContainerID, error) {
	m, err := o.open()
	if err != nil {
		return nil, nil, err
	}
	state, err := m.State(ctx)
	if err != nil {
		return nil, nil, o.because(err)
	}
	return o.findIn(state, id)
}

func (o *insideOptions) findIn(state *masterpb.Response_GetState, id string) (*operator.Agent, *mesos.ContainerID, error) {
	task, err := findTask(state.GetGetTasks(), id, o.Framework)
	if err != nil {
		return nil, nil, err
	}
	container := containerOf(task)
	if terminal(task.GetState()) || container == nil {
		return nil, nil, fmt.Errorf("task %s does not run: it is %s", id, task.GetState())
	}
	agent, err := o.agentOf(state.GetGetAgents(), task)
	return agent, container, err
}

// containerOf returns a task's container, as its last status that names one says.
func containerOf(t *mesos.Task) (id *mesos.ContainerID) {
	for _, s := range t.GetStatuses() {
		if named := s.GetContainerStatus().GetContainerId(); named != nil {
			id = named
		}
	}
	return id
}

func (o *insideOptions) exec(cmd *cobra.Command, id string, argv []string) error {
	ctx := cmd.Context()
	agent, task, err := o.find(ctx, id)
	if err != nil {
		return err
	}
	name, shell := "session-"+strings.ToLower(rand.Text()), false
	session := &mesos.ContainerID{Value: &name, Parent: task}
	command := &mesos.CommandInfo{Shell: &shell, Value: &argv[0], Arguments: argv}
	if o.User != "" {
		command.User = &o.User
	}
	var container *mesos.ContainerInfo
	if o.Terminal {
		container = &mesos.ContainerInfo{Type: mesos.ContainerInfo_MESOS.Enum(), TtyInfo: &mesos.TTYInfo{}}
	}
	output, err := agent.Session(ctx, session, command, container)
	if err != nil {
		return err
	}
	defer output.Close()
	if err := o.talk(cmd, agent, session, output); err != nil {
		return interrupted(ctx, err)
	}
	status, known, err := agent.WaitContainer(ctx, session)
	if err != nil {
		return interrupted(ctx, err)
	}
	if err := agent.RemoveContainer(ctx, session); err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "meseta: the agent keeps what is left of the command:", err)
	}
	return exitOf(syscall.WaitStatus(status), known)
}

// exitOf is how a command ends us.
func exitOf(status syscall.WaitStatus, known bool) error {
	switch {
	case !known:
		return errors.New("nobody knows how the command has ended")
	case status.Signaled():
		return &ExitError{128 + int(status.Signal())}
	case status.ExitStatus() != 0:
		return &ExitError{status.ExitStatus()}
	}
	return nil
}

// interrupted returns the exit status of a command that was ended by ^C, which ends
// the session with it.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &ExitError{128 + int(syscall.SIGINT)}
	}
	return err
}

func (o *insideOptions) attach(cmd *cobra.Command, id string) error {
	ctx := cmd.Context()
	agent, task, err := o.find(ctx, id)
	if err != nil {
		return err
	}
	output, err := agent.AttachOutput(ctx, task)
	if refused, answered := errors.AsType[*operator.StatusError](err); answered && strings.Contains(refused.Message, "I/O switchboard") {
		return fmt.Errorf("task %s has no terminal to attach to\nSee what it writes with 'meseta logs -f %s', or run a command in it with 'meseta exec'", id, id)
	}
	if err != nil {
		return err
	}
	defer output.Close()
	o.Terminal, o.leaves = o.Stdin, o.Stdin
	return interrupted(ctx, o.talk(cmd, agent, task, output))
}

// talk copies output and input until the container has ended, or the user has left.
func (o *insideOptions) talk(cmd *cobra.Command, agent *operator.Agent, id *mesos.ContainerID, output *operator.ContainerOutput) error {
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	ours := terminalOf(cmd.InOrStdin())
	if o.Terminal && o.Stdin && ours != nil {
		if err := ours.raw(); err != nil {
			return err
		}
		defer ours.restore()
	}
	said := make(chan error, 1)
	go func() { said <- output.Copy(cmd.OutOrStdout(), cmd.ErrOrStderr()) }()
	left := make(chan struct{})
	if o.Stdin || o.Terminal {
		input := agent.AttachInput(ctx, id)
		if o.Terminal && ours != nil {
			go ours.follow(ctx, input.Resize)
		}
		if o.Stdin {
			go o.give(cmd.InOrStdin(), input, left)
		}
	}
	select {
	case err := <-said:
		return err
	case <-left:
		return nil
	}
}

// Keys that leave a task, one after the other: CTRL-p, CTRL-q.
const leaveFirst, leaveThen = 0x10, 0x11

// give copies what is typed to the container; left is closed when the keys are
// typed by which one leaves a terminal.
func (o *insideOptions) give(from io.Reader, to *operator.ContainerInput, left chan<- struct{}) {
	buffer := make([]byte, 16<<10)
	keys := leaver{on: o.leaves}
	for {
		n, err := from.Read(buffer)
		data, leave := keys.filter(buffer[:n])
		if len(data) > 0 {
			if _, err := to.Write(data); err != nil {
				return
			}
		}
		if leave {
			close(left)
			return
		}
		if err != nil {
			break
		}
	}
	if _, err := to.Write(nil); err == nil && !o.Terminal {
		_ = to.Close() // all was said
	}
}

// leaver looks for the keys that leave a terminal.
type leaver struct {
	on    bool
	first bool // the first of the keys was typed
}

// filter returns what goes on to the task, and whether the user leaves it.
func (l *leaver) filter(typed []byte) (data []byte, leave bool) {
	if !l.on {
		return typed, false
	}
	for _, key := range typed {
		switch {
		case l.first && key == leaveThen:
			return data, true
		case l.first:
			data = append(data, leaveFirst)
		}
		if l.first = key == leaveFirst; !l.first {
			data = append(data, key)
		}
	}
	return data, false
}
