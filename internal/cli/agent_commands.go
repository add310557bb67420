package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/operator"
)

// onAgent completes a command that does something with one agent.
func onAgent(cmd *cobra.Command, do func(context.Context, *operator.Master, *mesos.AgentID) error) *cobra.Command {
	var o lookOptions
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		m, err := o.open()
		if err != nil {
			return err
		}
		return o.because(do(cmd.Context(), m, &mesos.AgentID{Value: &args[0]}))
	}
	return o.define(cmd)
}

func drainCommand() *cobra.Command {
	var grace time.Duration
	var gone bool
	cmd := onAgent(&cobra.Command{
		Use:   "drain AGENT",
		Short: "End what runs on an agent, and offer it no more",
		Long: "Asks an agent to kill its tasks, each within its own grace period. 'meseta agents' shows when it is\n" +
			"drained; 'meseta reactivate' offers it again.",
		Example: "  meseta drain 7d0f6f0e-2c5d-4a3f-9f57-0a2d5b3f7a55-S3\n" +
			"  meseta drain --grace 1m --gone 7d0f6f0e-2c5d-4a3f-9f57-0a2d5b3f7a55-S3    # it will not come back",
	}, func(ctx context.Context, m *operator.Master, id *mesos.AgentID) error {
		return m.DrainAgent(ctx, id, grace, gone)
	})
	cmd.Flags().DurationVar(&grace, "grace", 0, "the most that a task gets to end, whatever its own grace period is")
	cmd.Flags().BoolVar(&gone, "gone", false, "give the agent up for good when it is drained")
	return cmd
}

func deactivateCommand() *cobra.Command {
	return onAgent(&cobra.Command{
		Use: "deactivate AGENT", Short: "Offer an agent no more; what runs there goes on",
		Example: "  meseta deactivate 7d0f6f0e-2c5d-4a3f-9f57-0a2d5b3f7a55-S3",
	}, func(ctx context.Context, m *operator.Master, id *mesos.AgentID) error {
		return m.DeactivateAgent(ctx, id)
	})
}

func reactivateCommand() *cobra.Command {
	return onAgent(&cobra.Command{
		Use: "reactivate AGENT", Short: "Offer an agent again that was deactivated or drained",
		Example: "  meseta reactivate 7d0f6f0e-2c5d-4a3f-9f57-0a2d5b3f7a55-S3",
	}, func(ctx context.Context, m *operator.Master, id *mesos.AgentID) error {
		return m.ReactivateAgent(ctx, id)
	})
}
