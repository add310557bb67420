package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/meseta-project/meseta/operator"
	"github.com/meseta-project/meseta/resources"
)

// checkTime is how long a master may take to answer before we give up.
const checkTime = 10 * time.Second

// check finds out, before anything is launched, whether there is a cluster that
// can run the launch at all.
func (l *launch) check(ctx context.Context, report reporter) error {
	master, err := operator.NewMaster(operator.Config{
		Addresses: l.masters, Leader: l.leader, Principal: l.principal, Secret: l.secret,
	})
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

// explain says what to do about a master that did not answer as it should. An
// answer that only says that we may not look, or that it does not know how, is
// no error.
func (l *launch) explain(err error) error {
	at := l.where
	refused, answered := errors.AsType[*operator.StatusError](err)
	failed, unreached := errors.AsType[*net.OpError](err)
	if unreached {
		err = failed.Err
	}
	switch {
	case answered && refused.Status == 401:
		return fmt.Errorf("the master at %s wants to know who we are: %w\nSay so with --principal and --secret", at, err)
	case answered && refused.Status == 404:
		return fmt.Errorf("what answers at %s is no Mesos master: %w", at, err)
	case answered && refused.Status == 503:
		return fmt.Errorf("the master at %s does not lead, or is not ready yet: %w\nTry again in a moment", at, err)
	case answered:
		return nil
	case unreached || errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no master answers at %s: %w\n"+
			"Start a cluster with 'meseta dev', or say where one is with --master HOST:PORT", at, err)
	default:
		return fmt.Errorf("ask the master at %s: %w", at, err)
	}
}
