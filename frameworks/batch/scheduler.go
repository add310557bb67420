package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/resources"
	"github.com/meseta-project/meseta/scheduler"
)

// batch is the framework. One goroutine uses it.
type batch struct {
	log      *slog.Logger
	program  string
	tasks    int // to run; 0: no end
	work     work
	needs    resources.Quantities
	client   *scheduler.Client
	live     map[string]bool // ids of the tasks that are launched and not over
	launched int             // tasks so far, for their ids
	finished int
	sum      result
}

// pi is the estimate so far: a circle fills π/4 of the square around it.
func (b *batch) pi() float64 { return 4 * float64(b.sum.Inside) / float64(max(b.sum.Darts, 1)) }

// run runs the tasks; it ends early when ctx does.
func (b *batch) run(ctx context.Context, masters []string, role, needs string) (err error) {
	if b.needs, err = resources.ParseQuantities(needs); err != nil {
		return err
	}
	if b.program == "" {
		if b.program, err = os.Executable(); err != nil {
			return err
		}
	}
	b.client, err = scheduler.New(scheduler.Config{Masters: masters, Framework: &mesos.FrameworkInfo{
		Name: new("batch"), Roles: []string{role}, Checkpoint: new(true),
		Capabilities: []*mesos.FrameworkInfo_Capability{
			{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE.Enum()},
			{Type: mesos.FrameworkInfo_Capability_PARTITION_AWARE.Enum()},
			{Type: mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT.Enum()},
		},
	}})
	if err != nil {
		return err
	}
	// The framework is torn down before its events end, as only a subscribed
	// one can be.
	events, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	context.AfterFunc(ctx, func() { end(b.client.Teardown(events)) })
	for event, err := range b.client.Events(events) {
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		if err := b.handle(events, event); err != nil {
			b.log.Warn("a call failed", slog.Any("error", err))
		}
		if b.finished == b.tasks && b.tasks > 0 {
			return b.client.Teardown(events)
		}
	}
	return nil
}

func (b *batch) handle(ctx context.Context, event *schedulerpb.Event) error {
	switch event.GetType() {
	case schedulerpb.Event_SUBSCRIBED:
		b.log.Info("subscribed", slog.String("framework", event.GetSubscribed().GetFrameworkId().GetValue()))
		return b.client.Reconcile(ctx)
	case schedulerpb.Event_OFFERS:
		return b.offers(ctx, event.GetOffers().GetOffers())
	case schedulerpb.Event_UPDATE:
		return b.update(ctx, event.GetUpdate().GetStatus())
	default:
		return nil
	}
}

// wanted says whether there is work for another task.
func (b *batch) wanted() bool { return b.tasks == 0 || b.finished+len(b.live) < b.tasks }

// offers starts one task, on the agent that has the most memory left, and
// declines the other offers. Who takes one thing at a time leaves it to the
// master to be fair.
func (b *batch) offers(ctx context.Context, offers []*mesos.Offer) error {
	var best *mesos.Offer
	var most resources.Amount
	var others []*mesos.OfferID
	for _, offer := range offers {
		offered := resources.Trusted(offer.GetResources())
		_, _, fits := scheduler.Take(offered, b.needs)
		b.log.Info("offered", slog.String("agent", offer.GetAgentId().GetValue()),
			slog.String("resources", offered.ScalarQuantities().String()), slog.Bool("fits", fits))
		others = append(others, offer.GetId())
		if fits && b.wanted() && offered.Scalar("mem") > most {
			best, most = offer, offered.Scalar("mem")
		}
	}
	if best == nil {
		return b.client.Decline(ctx, nil, others...)
	}
	err := b.start(ctx, best)
	for _, offer := range offers {
		if offer != best {
			err = errors.Join(err, b.client.Decline(ctx, scheduler.RefuseFor(0), offer.GetId()))
		}
	}
	return err
}

func (b *batch) start(ctx context.Context, offer *mesos.Offer) error {
	data, err := json.Marshal(b.work)
	if err != nil {
		return err
	}
	taken, _, _ := scheduler.Take(resources.Trusted(offer.GetResources()), b.needs)
	b.launched++
	id := fmt.Sprint("darts-", b.launched)
	task := &mesos.TaskInfo{
		Name: new("darts"), TaskId: &mesos.TaskID{Value: &id}, AgentId: offer.GetAgentId(),
		Executor: b.executor(), Resources: taken.Proto(), Data: data,
	}
	err = b.client.Accept(ctx, []*mesos.OfferID{offer.GetId()}, scheduler.RefuseFor(0), &mesos.Offer_Operation{
		Type:   mesos.Offer_Operation_LAUNCH.Enum(),
		Launch: &mesos.Offer_Operation_Launch{TaskInfos: []*mesos.TaskInfo{task}},
	})
	if err == nil {
		b.live[id] = true
		b.log.Info("launched", slog.String("task", id), slog.String("agent", offer.GetAgentId().GetValue()),
			slog.String("resources", taken.ScalarQuantities().String()))
	}
	return err
}

// executor describes the executor that runs the tasks, one process per agent.
// It takes no resources of its own, to keep the arithmetic of tasks plain.
func (b *batch) executor() *mesos.ExecutorInfo {
	command := &mesos.CommandInfo{Shell: new(false), Value: &b.program, Arguments: []string{"batch", asExecutor}}
	if strings.Contains(b.program, "://") {
		command.Uris = []*mesos.CommandInfo_URI{{Value: &b.program, Executable: new(true), Extract: new(false)}}
		command.Value = new("./" + path.Base(b.program))
	}
	return &mesos.ExecutorInfo{
		Type: mesos.ExecutorInfo_CUSTOM.Enum(), ExecutorId: &mesos.ExecutorID{Value: new("darts")},
		Name: new("darts"), Command: command,
	}
}

// update takes a task's result. One that failed is done again.
func (b *batch) update(ctx context.Context, status *mesos.TaskStatus) error {
	id := status.GetTaskId().GetValue()
	b.log.Info("status", slog.String("task", id), slog.String("state", status.GetState().String()), slog.String("message", status.GetMessage()))
	switch status.GetState() {
	case mesos.TaskState_TASK_STAGING, mesos.TaskState_TASK_STARTING, mesos.TaskState_TASK_RUNNING,
		mesos.TaskState_TASK_KILLING, mesos.TaskState_TASK_UNREACHABLE:
		return nil
	default: // it is over
	}
	if !b.live[id] { // told again
		return nil
	}
	delete(b.live, id)
	if status.GetState() != mesos.TaskState_TASK_FINISHED {
		return b.client.Revive(ctx)
	}
	var r result
	if err := json.Unmarshal(status.GetData(), &r); err != nil {
		return fmt.Errorf("result of %s: %w", id, err)
	}
	b.finished++
	b.sum.Darts += r.Darts
	b.sum.Inside += r.Inside
	return b.client.Revive(ctx)
}
