package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/operator"
	"github.com/meseta-project/meseta/resources"
	"github.com/meseta-project/meseta/scheduler"
)

const (
	exitTimeout   = 124 // as timeout(1)
	exitInterrupt = 130 // as a shell has it for Ctrl-C
	lastOutput    = 5 * time.Second
	refuse        = time.Second // offers that are too small
)

// launch is what one framework runs: a task, once or more often.
type launch struct {
	access
	json      bool // on the wire
	framework *mesos.FrameworkInfo
	task      *mesos.TaskInfo // without id, agent and resources
	taskName  string          // the id of a task that runs once; "" makes one
	want      resources.Quantities
	instances int
	timeout   time.Duration // 0: none
	output    bool          // report what the tasks write
	log       *slog.Logger
}

// A job is one of the tasks of a launch.
type job struct {
	index   int // from 0
	id      string
	agent   *mesos.AgentID
	server  string // the agent's address
	drops   int    // that it was dropped before it ran
	live    bool   // launched and not over
	over    chan struct{}
	exit    int // when over
	status  *mesos.TaskStatus
	follows bool
}

// A runner runs a launch.
type runner struct {
	*launch
	report    reporter
	scheduler *scheduler.Client
	stop      context.CancelCauseFunc // ends the events
	outputs   sync.WaitGroup          // being copied

	mu      sync.Mutex
	waiting []*job // to be launched
	jobs    map[string]*job
	all     []*job
	kills   int // that were asked for
	exit    int // of a launch that was broken off, or 0
	noted   string
}

var errDone = errors.New("done")

// run runs the launch to its end and returns the exit status for it.
func (l *launch) run(ctx context.Context, report reporter, interrupts <-chan os.Signal) (int, error) {
	if err := l.check(ctx, report); err != nil {
		return 0, err
	}
	client, err := scheduler.New(scheduler.Config{
		Masters: l.masters, Leader: l.leader, Framework: l.framework, Principal: l.principal, Secret: l.secret, JSON: l.json, Log: l.log,
	})
	if err != nil {
		return 0, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(errDone)
	r := &runner{launch: l, report: report, scheduler: client, stop: stop, jobs: map[string]*job{}}
	for i := range l.instances {
		r.all = append(r.all, &job{index: i, over: make(chan struct{})})
	}
	r.waiting = append(r.waiting, r.all...)
	go r.heed(ctx, interrupts)
	for event, err := range client.Events(ctx) {
		switch {
		case errors.Is(err, errDone):
		case err != nil:
			return 0, err
		default:
			r.handle(ctx, event)
		}
	}
	status := r.result()
	report.done(status, r.all)
	return status, nil
}

// heed waits for interrupts and the timeout, and kills what runs.
func (r *runner) heed(ctx context.Context, interrupts <-chan os.Signal) {
	var timeout <-chan time.Time
	if r.timeout > 0 {
		timeout = time.After(r.timeout)
	}
	for {
		select {
		case <-interrupts:
			r.breakOff(ctx, exitInterrupt)
		case <-timeout:
			r.report.note(fmt.Sprintf("the time is up: %v", r.timeout))
			r.breakOff(ctx, exitTimeout)
		case <-ctx.Done():
			return
		}
	}
}

// breakOff ends the launch with an exit status: the first time politely, then
// at once, then without waiting for anything.
func (r *runner) breakOff(ctx context.Context, exit int) {
	r.mu.Lock()
	r.kills++
	kills, live := r.kills, r.living()
	r.exit = exit
	for _, j := range r.waiting {
		j.exit = exit
	}
	r.waiting = nil
	r.mu.Unlock()
	if len(live) == 0 || kills > 2 {
		r.finish(ctx)
		return
	}
	var policy *mesos.KillPolicy
	if kills > 1 {
		policy = &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: new(int64(0))}}
	}
	r.report.killing(kills, live)
	for _, j := range live {
		if err := r.scheduler.Kill(ctx, &mesos.TaskID{Value: &j.id}, j.agent, policy); err != nil {
			r.report.note(fmt.Sprintf("killing %s: %v", j.id, err))
		}
	}
}

// living returns the jobs that run. The caller holds r.mu.
func (r *runner) living() []*job {
	var live []*job
	for _, j := range r.all {
		if j.live {
			live = append(live, j)
		}
	}
	return live
}

// finish tears the framework down and ends the events.
func (r *runner) finish(ctx context.Context) {
	if err := r.scheduler.Teardown(ctx); err != nil && !errors.Is(err, scheduler.ErrDisconnected) {
		r.report.note(fmt.Sprintf("leaving the cluster: %v", err))
	}
	r.stop(errDone)
}

func (r *runner) handle(ctx context.Context, event *schedulerpb.Event) {
	switch event.GetType() {
	case schedulerpb.Event_SUBSCRIBED:
		r.report.subscribed(event.GetSubscribed().GetFrameworkId().GetValue())
		r.reconcile(ctx)
	case schedulerpb.Event_OFFERS:
		for _, offer := range event.GetOffers().GetOffers() {
			r.offer(ctx, offer)
		}
	case schedulerpb.Event_UPDATE:
		r.update(ctx, event.GetUpdate().GetStatus())
	default:
	}
}

// reconcile asks what happened to tasks while there was no subscription.
func (r *runner) reconcile(ctx context.Context) {
	r.mu.Lock()
	var tasks []*schedulerpb.Call_Reconcile_Task
	for _, j := range r.living() {
		tasks = append(tasks, &schedulerpb.Call_Reconcile_Task{TaskId: &mesos.TaskID{Value: &j.id}, AgentId: j.agent})
	}
	r.mu.Unlock()
	if len(tasks) > 0 {
		r.call(r.scheduler.Reconcile(ctx, tasks...))
	}
}

// call notes an error of a call. What it was about comes again: offers by
// themselves, states by reconciliation.
func (r *runner) call(err error) {
	if err != nil {
		r.report.note(err.Error())
	}
}

// offer launches as many jobs as an offer holds.
func (r *runner) offer(ctx context.Context, offer *mesos.Offer) {
	jobs, tasks := r.place(offer)
	if len(tasks) == 0 {
		filter := scheduler.RefuseFor(refuse)
		if r.idle() {
			filter = scheduler.RefuseFor(time.Hour)
		}
		r.call(r.scheduler.Decline(ctx, filter, offer.GetId()))
		return
	}
	if err := r.scheduler.Launch(ctx, []*mesos.OfferID{offer.GetId()}, tasks...); err != nil {
		r.report.note(err.Error())
		r.again(ctx, jobs)
		return
	}
	for _, j := range jobs {
		r.report.submitted(j)
	}
}

// idle says that nothing waits for an offer.
func (r *runner) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) == 0
}

// place takes waiting jobs for an offer.
func (r *runner) place(offer *mesos.Offer) (jobs []*job, tasks []*mesos.TaskInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := resources.Trusted(offer.GetResources())
	if _, _, fits := scheduler.Take(left, r.want); !fits && len(r.waiting) > 0 {
		r.noteTooSmall(offer, left)
	}
	for len(r.waiting) > 0 {
		taken, rest, fits := scheduler.Take(left, r.want)
		if !fits {
			break
		}
		j := r.waiting[0]
		r.waiting, left = r.waiting[1:], rest
		j.id, j.agent, j.server, j.live = r.id(j), offer.GetAgentId(), server(offer), true
		r.jobs[j.id] = j
		task := proto.CloneOf(r.task)
		task.TaskId, task.AgentId, task.Resources = &mesos.TaskID{Value: &j.id}, j.agent, taken.Proto()
		jobs, tasks = append(jobs, j), append(tasks, task)
	}
	return jobs, tasks
}

// noteTooSmall says once for each kind of offer that it is too small.
func (r *runner) noteTooSmall(offer *mesos.Offer, left resources.Resources) {
	text := fmt.Sprintf("waiting for room: %s is asked for, %s offers %s", r.want, offer.GetHostname(), left.ScalarQuantities())
	if text != r.noted {
		r.noted = text
		r.report.note(text)
	}
}

// id returns a new id for a job's task.
func (r *runner) id(j *job) string {
	id := r.taskName
	if id == "" {
		id = r.task.GetName() + "-" + strconv.Itoa(j.index+1)
	}
	if j.drops > 0 {
		id += "-" + strconv.Itoa(j.drops)
	}
	return id
}

// server returns the address of an offer's agent.
func server(offer *mesos.Offer) string {
	at := offer.GetUrl().GetAddress()
	host := at.GetIp()
	if host == "" {
		host = at.GetHostname()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(at.GetPort())))
}

// again puts jobs that were not launched back to the front, and asks for offers
// that were declined meanwhile.
func (r *runner) again(ctx context.Context, jobs []*job) {
	r.requeue(jobs)
	r.call(r.scheduler.Revive(ctx))
}

func (r *runner) requeue(jobs []*job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, j := range jobs {
		delete(r.jobs, j.id)
		j.live = false
		j.drops++
	}
	if r.kills == 0 {
		r.waiting = append(jobs, r.waiting...)
	}
}

// update deals with a task's status.
func (r *runner) update(ctx context.Context, status *mesos.TaskStatus) {
	r.mu.Lock()
	j := r.jobs[status.GetTaskId().GetValue()]
	if j == nil || !j.live {
		r.mu.Unlock()
		return
	}
	j.status = status
	dropped := status.GetState() == mesos.TaskState_TASK_DROPPED && j.drops < tooManyFailures && r.kills == 0
	ended := terminal(status.GetState()) && !dropped
	if ended {
		j.live, j.exit = false, exitStatus(status)
	}
	done := len(r.waiting) == 0 && len(r.living()) == 0
	r.mu.Unlock()

	r.report.status(j, status)
	if dropped {
		r.again(ctx, []*job{j})
		return
	}
	r.copyOutput(ctx, j, ended)
	if ended {
		close(j.over)
	}
	if done {
		r.outputs.Wait()
		r.finish(ctx)
	}
}

// copyOutput begins to copy what a job writes: of one job while it runs, of
// many when each is over.
func (r *runner) copyOutput(ctx context.Context, j *job, ended bool) {
	running := j.status.GetState() == mesos.TaskState_TASK_RUNNING && r.instances == 1
	if !r.output || j.follows || !running && !ended {
		return
	}
	j.follows = true
	r.outputs.Go(func() {
		if err := r.follow(ctx, j); err != nil && !errors.Is(err, errDone) {
			r.report.note(fmt.Sprintf("the output of %s: %v", j.id, err))
		}
	})
}

// follow copies a job's output until it is over.
func (r *runner) follow(ctx context.Context, j *job) error {
	agent, err := operator.NewAgent(operator.Config{
		Addresses: []string{j.server}, Principal: r.principal, Secret: r.secret,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-j.over:
			time.AfterFunc(lastOutput, cancel)
		case <-ctx.Done():
		}
	}()
	stdout, stderr := r.report.output(j)
	defer stdout.Close()
	defer stderr.Close()
	sandbox := operator.Sandbox(r.scheduler.FrameworkID().GetValue(), j.id)
	failed := make(chan error, 1)
	go func() { failed <- operator.Follow(ctx, agent, sandbox+"/stderr", stderr, j.over) }()
	err = operator.Follow(ctx, agent, sandbox+"/stdout", stdout, j.over)
	return errors.Join(err, <-failed)
}

// result returns the exit status: that of the first job that failed.
func (r *runner) result() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.exit != 0 {
		return r.exit
	}
	for _, j := range r.all {
		if j.exit != 0 {
			return j.exit
		}
	}
	return 0
}
