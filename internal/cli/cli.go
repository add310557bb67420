// Package cli is the commands of the meseta binary. Each is a thin layer: it
// reads flags, puts the parts together, and runs them.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/meseta-project/meseta/internal/fetcher"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/version"
)

// fetchCommand is the hidden command that fetches files as another user.
const fetchCommand = "fetch"

// ExitError ends the program with a status and no further words.
type ExitError struct{ Status int }

// Error says the status.
func (e *ExitError) Error() string { return fmt.Sprintf("exit status %d", e.Status) }

// Main runs the command that args, with the program's name first, asks for, and
// returns the exit status. Under the name of one of Mesos's programs it is that
// program.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := Root()
	root.SetArgs(alias(filepath.Base(args[0]), args[1:]))
	err := root.ExecuteContext(ctx)
	if exit, ok := errors.AsType[*ExitError](err); ok {
		return exit.Status
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "meseta:", err)
		return 1
	}
	return 0
}

// alias turns the name of a program of Mesos's into the command that it is.
func alias(program string, args []string) []string {
	switch program {
	case "mesos-master":
		return append([]string{"master"}, args...)
	case "mesos-agent", "mesos-slave":
		return append([]string{"agent"}, args...)
	case "mesos-execute":
		return append([]string{"execute"}, args...)
	}
	return args
}

// Root returns the command tree.
func Root() *cobra.Command {
	root := &cobra.Command{
		Use:   "meseta",
		Short: "A cluster manager that speaks Apache Mesos",
		Long: "Meseta offers a cluster's resources to frameworks, fairly, and runs what they launch.\n" +
			"It speaks the protocols of Apache Mesos.",
		SilenceUsage: true, SilenceErrors: true,
		Version: fmt.Sprintf("%s (Mesos API %s)", version.Meseta(), version.Mesos),
	}
	root.AddCommand(devCommand(), runCommand(), masterCommand(), agentCommand(), executeCommand(), helperCommand(),
		statusCommand(), agentsCommand(), frameworksCommand(), tasksCommand(), logsCommand(), execCommand(), attachCommand(), teardownCommand(), drainCommand(), deactivateCommand(), reactivateCommand(), explainCommand(), quotaCommand(), weightsCommand())
	return root
}

func masterCommand() *cobra.Command {
	f := newMasterFlags()
	return daemon("INFO", &cobra.Command{
		Use:   "master --work_dir=DIR",
		Short: "Run a master",
		Example: "  meseta master --work_dir=/var/lib/meseta\n" +
			"  meseta master --registry=in_memory --ip=127.0.0.1\n" +
			"  meseta master --work_dir=/var/lib/meseta --zk=zk://10.0.0.1,10.0.0.2,10.0.0.3/mesos\n" +
			"  meseta master --work_dir=/var/lib/meseta --peers=10.0.0.1:5060,10.0.0.2:5060,10.0.0.3:5060",
	}, f.Set, func(ctx context.Context, log *logs) error {
		m, err := f.open(log)
		if err != nil {
			return err
		}
		return m.run(ctx)
	})
}

func agentCommand() *cobra.Command {
	f := newAgentFlags()
	return daemon("INFO", &cobra.Command{
		Use:   "agent --master=HOST:PORT --work_dir=DIR",
		Short: "Run an agent",
		Example: "  meseta agent --master=10.0.0.1:5050 --work_dir=/var/lib/meseta\n" +
			"  meseta agent --master=127.0.0.1:5050 --work_dir=/tmp/a1 --port=0 --resources='cpus:4;mem:2048'",
	}, f.Set, func(ctx context.Context, log *logs) error {
		a, err := f.open(log)
		if err != nil {
			return err
		}
		leave := make(chan os.Signal, 1)
		signal.Notify(leave, syscall.SIGUSR1)
		go func() {
			<-leave
			a.Unregister("The agent was told to leave by a signal")
		}()
		return a.run(ctx)
	})
}

// daemon completes a command that reads flags as Mesos does and then runs until
// it is told to stop.
func daemon(level string, cmd *cobra.Command, set *flags.Set, run func(context.Context, *logs) error) *cobra.Command {
	logging := newLogFlags(set, level)
	set.AddTo(cmd.Flags())
	cmd.Args = cobra.NoArgs
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return set.Explain(err) })
	cmd.SetUsageFunc(func(cmd *cobra.Command) error { return writeUsage(cmd.OutOrStderr(), cmd, set) })
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := set.Complete(os.Environ()); err != nil {
			return err
		}
		log, err := logging.open(cmd.Name(), cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		for _, w := range set.Warnings {
			log.Warn("deprecated flag", slog.String("advice", w))
		}
		return errors.Join(run(cmd.Context(), log), log.close())
	}
	return cmd
}

// writeUsage says how a daemon is called. There are a hundred flags: in groups, each
// with its default before what it does.
func writeUsage(w io.Writer, cmd *cobra.Command, set *flags.Set) error {
	if _, err := fmt.Fprintf(w, "Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(), cmd.Example); err != nil {
		return err
	}
	return set.Usage(w)
}

// helperCommand is what the agent starts to fetch files as another user.
func helperCommand() *cobra.Command {
	return &cobra.Command{
		Use: fetchCommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if status := fetcher.Main(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()); status != 0 {
				return &ExitError{status}
			}
			return nil
		},
	}
}
