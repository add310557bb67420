package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/meseta-project/meseta/operator"
	"github.com/meseta-project/meseta/resources"
)

// checkTime is how long a master may take to answer before we give up.
const checkTime = 10 * time.Second

// check finds out, before anything is launched, whether there is a cluster that
// can run the launch at all.
func (l *launch) check(ctx context.Context, report reporter) error {
	master, err := operator.NewMaster(l.config())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	answer, err := master.Agents(ctx)
	if err != nil {
		return l.explain(err)
	}
	agents, fits := 0, false
	var largest resources.Resources
	for _, agent := range answer.GetAgents() {
		if !agent.GetActive() {
			continue
		}
		total := resources.Trusted(agent.GetTotalResources())
		agents++
		fits = fits || total.ContainsQuantities(l.want)
		if total.Scalar("cpus") >= largest.Scalar("cpus") {
			largest = total
		}
	}
	switch {
	case agents == 0:
		report.note(fmt.Sprintf("the cluster at %s has no agents yet: waiting for one", master.Address()))
	case !fits:
		return fmt.Errorf("no agent is large enough: %s is asked for, and the largest of %d has %s\n"+
			"Ask for less with --cpus, --mem and --disk, or start a larger agent", l.want, agents, largest.ScalarQuantities())
	}
	return nil
}
