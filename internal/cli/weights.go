package cli

import (
	"context"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/operator"
)

func weightsCommand() *cobra.Command {
	l := look[*masterpb.Response_GetWeights]{show: showWeights}
	l.ask = func(m *operator.Master, ctx context.Context) (*masterpb.Response_GetWeights, error) {
		infos, err := m.Weights(ctx)
		return &masterpb.Response_GetWeights{WeightInfos: infos}, err
	}
	cmd := l.command(&cobra.Command{
		Use:     "weights",
		Short:   "List how the shares of roles compare; set that",
		Long:    "Lists the weights that were set. A role of weight 2 gets twice as much as one of weight 1, which is what all others have.",
		Example: "  meseta weights\n  meseta weights --json | jq -r '.weight_infos[].role'\n  meseta weights set web=2",
	})
	cmd.AddCommand(weightsSetCommand())
	return cmd
}

func showWeights(out io.Writer, answer *masterpb.Response_GetWeights) {
	var rows [][]string
	for _, w := range answer.GetWeightInfos() {
		rows = append(rows, []string{w.GetRole(), strconv.FormatFloat(w.GetWeight(), 'g', -1, 64)})
	}
	table(out, "ROLE\tWEIGHT", rows)
}

func weightsSetCommand() *cobra.Command {
	var o lookOptions
	cmd := o.define(&cobra.Command{
		Use:   "set ROLE=WEIGHT...",
		Short: "Set the weights of roles, of all that are named or of none",
		Long: "Sets the weights of roles; others keep theirs. A weight cannot be taken away: 1 is as good as none.\n" +
			"If a framework is in one of the roles, all offers are taken back and made anew.",
		Example: "  meseta weights set web=2 web/shop=1.5\n  meseta weights set web=1      # as all have at first",
		Args:    cobra.MinimumNArgs(1),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var infos []*mesos.WeightInfo
		for _, arg := range args {
			name, weight, err := parseWeight(arg)
			if err != nil {
				return err
			}
			infos = append(infos, &mesos.WeightInfo{Role: &name, Weight: &weight})
		}
		m, err := o.open()
		if err != nil {
			return err
		}
		return o.because(m.UpdateWeights(cmd.Context(), infos...))
	}
	return cmd
}
