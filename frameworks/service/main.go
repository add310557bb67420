// Service keeps a command running a number of times, as a long-running service
// needs it: an instance that ends is started again, on whichever agent has room.
//
//	go run ./frameworks/service -instances 2 -- 'while :; do date; sleep 1; done'
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/resources"
	"github.com/meseta-project/meseta/scheduler"
)

func main() {
	s := &service{live: map[string]bool{}}
	master := flag.String("master", "127.0.0.1:5050", "addresses of masters, with commas between")
	role := flag.String("role", "service", "role whose share is used")
	needs := flag.String("resources", "cpus:0.1;mem:32", "what an instance needs")
	asJSON := flag.Bool("json", false, "log as JSON")
	flag.IntVar(&s.instances, "instances", 1, "how many instances to keep running")
	flag.Parse()
	s.command = strings.Join(flag.Args(), " ")
	s.log = slog.New(slog.NewTextHandler(os.Stdout, nil))
	if *asJSON {
		s.log = slog.New(slog.NewJSONHandler(os.Stdout, nil))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := s.run(ctx, strings.Split(*master, ","), *role, *needs)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

// service is the framework. One goroutine uses it.
type service struct {
	log       *slog.Logger
	command   string
	instances int
	needs     resources.Quantities
	client    *scheduler.Client
	live      map[string]bool // ids of the instances that are launched and not over
	started   int             // instances so far, for their ids
}

// run keeps the instances running until ctx ends, and then ends them.
func (s *service) run(ctx context.Context, masters []string, role, needs string) (err error) {
	if s.command == "" {
		return errors.New("no command given: put it after --")
	}
	if s.needs, err = resources.ParseQuantities(needs); err != nil {
		return err
	}
	s.client, err = scheduler.New(scheduler.Config{Masters: masters, Framework: &mesos.FrameworkInfo{
		Name: new("service"), Roles: []string{role}, Checkpoint: new(true), FailoverTimeout: new(time.Minute.Seconds()),
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
	context.AfterFunc(ctx, func() { end(s.client.Teardown(events)) })
	for event, err := range s.client.Events(events) {
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		if err := s.handle(events, event); err != nil {
			s.log.Warn("a call failed", slog.Any("error", err))
		}
	}
	return nil
}

func (s *service) handle(ctx context.Context, event *schedulerpb.Event) error {
	switch event.GetType() {
	case schedulerpb.Event_SUBSCRIBED:
		s.log.Info("subscribed", slog.String("framework", event.GetSubscribed().GetFrameworkId().GetValue()))
		return s.client.Reconcile(ctx)
	case schedulerpb.Event_OFFERS:
		return s.offers(ctx, event.GetOffers().GetOffers())
	case schedulerpb.Event_UPDATE:
		return s.update(ctx, event.GetUpdate().GetStatus())
	default:
		return nil
	}
}

// offers starts one instance, on the agent that has the most CPUs left, and
// declines the other offers. Who takes one thing at a time leaves it to the
// master to be fair.
func (s *service) offers(ctx context.Context, offers []*mesos.Offer) error {
	var best *mesos.Offer
	var most resources.Amount
	for _, offer := range offers {
		offered := resources.Trusted(offer.GetResources())
		_, _, fits := scheduler.Take(offered, s.needs)
		s.log.Info("offered", slog.String("agent", offer.GetAgentId().GetValue()),
			slog.String("resources", offered.ScalarQuantities().String()), slog.Bool("fits", fits))
		if fits && len(s.live) < s.instances && offered.Scalar("cpus") > most {
			best, most = offer, offered.Scalar("cpus")
		}
	}
	if best == nil {
		return s.client.Decline(ctx, nil, ids(offers)...)
	}
	err := s.start(ctx, best)
	for _, offer := range offers {
		if offer != best {
			err = errors.Join(err, s.client.Decline(ctx, scheduler.RefuseFor(0), offer.GetId()))
		}
	}
	return err
}

func ids(offers []*mesos.Offer) []*mesos.OfferID {
	var ids []*mesos.OfferID
	for _, offer := range offers {
		ids = append(ids, offer.GetId())
	}
	return ids
}

func (s *service) start(ctx context.Context, offer *mesos.Offer) error {
	taken, _, _ := scheduler.Take(resources.Trusted(offer.GetResources()), s.needs)
	s.started++
	id := fmt.Sprint("service-", s.started)
	task := &mesos.TaskInfo{
		Name: new("service"), TaskId: &mesos.TaskID{Value: &id}, AgentId: offer.GetAgentId(),
		Command: &mesos.CommandInfo{Value: &s.command}, Resources: taken.Proto(),
	}
	err := s.client.Accept(ctx, []*mesos.OfferID{offer.GetId()}, scheduler.RefuseFor(0), &mesos.Offer_Operation{
		Type:   mesos.Offer_Operation_LAUNCH.Enum(),
		Launch: &mesos.Offer_Operation_Launch{TaskInfos: []*mesos.TaskInfo{task}},
	})
	if err == nil {
		s.live[id] = true
		s.log.Info("launched", slog.String("task", id), slog.String("agent", offer.GetAgentId().GetValue()),
			slog.String("resources", taken.ScalarQuantities().String()))
	}
	return err
}

// update notes how an instance is. One that is over makes room for another.
func (s *service) update(ctx context.Context, status *mesos.TaskStatus) error {
	id := status.GetTaskId().GetValue()
	s.log.Info("status", slog.String("task", id), slog.String("state", status.GetState().String()), slog.String("message", status.GetMessage()))
	switch status.GetState() {
	case mesos.TaskState_TASK_STAGING, mesos.TaskState_TASK_STARTING, mesos.TaskState_TASK_RUNNING,
		mesos.TaskState_TASK_KILLING, mesos.TaskState_TASK_UNREACHABLE:
		s.live[id] = true
		return nil
	default: // it is over
	}
	delete(s.live, id)
	return s.client.Revive(ctx)
}
