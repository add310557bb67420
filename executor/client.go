package executor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/client"
)

const (
	lanes      = 4       // updates under way at once
	maxUpdates = 100_000 // that wait for their acknowledgement
)

var (
	// ErrDisconnected means that a message was not sent because the agent
	// cannot be reached at present.
	ErrDisconnected = errors.New("executor: not subscribed with the agent")
	// ErrBacklog means that 100,000 updates are kept that the agent has yet to
	// acknowledge, and that there is no room for another.
	ErrBacklog = fmt.Errorf("executor: %d updates are not acknowledged", maxUpdates)
)

// StatusError is an agent's answer to a call other than success: Status, the
// HTTP status, and Message.
type StatusError = client.Error

// A Client is one executor. Any number of goroutines may make calls; events are
// read by one.
type Client struct {
	cfg     Config
	api     *client.Client
	log     *slog.Logger
	seed    maphash.Seed
	backoff client.Backoff // of the goroutine that reads events
	expire  func()         // likewise: ends the events

	mu         sync.Mutex
	reading    bool
	subscribed bool
	shutdown   bool                       // the agent has said so
	stopped    bool                       // no update will come any more
	carried    bool                       // a SUBSCRIBE has carried the updates up to here
	stream     *client.Stream             // nil without one
	tasks      map[string]*mesos.TaskInfo // launched, no update acknowledged yet
	updates    []*executorpb.Call_Update  // not acknowledged, in order
	lanes      [lanes]lane
}

// A lane sends the updates of some of the tasks one after the other, so that
// those of one task arrive in order.
type lane struct {
	queue []*executorpb.Call_Update // to be sent on the present stream
	wake  chan struct{}             // holds one when queue was filled
}

// New returns the client of an executor. Nothing is sent before Events.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	authorization := ""
	if cfg.Token != "" {
		authorization = "Bearer " + cfg.Token
	}
	api, err := client.New(client.Config{
		Addresses: []string{cfg.Agent}, Path: cfg.Path, JSON: cfg.JSON,
		Authorization: authorization, Transport: cfg.Transport,
	})
	if err != nil {
		return nil, fmt.Errorf("executor: %w", err)
	}
	// An agent that is back waits for its executors as long as this may be, and
	// kills those that are late: half of it leaves as much again for a machine
	// that is slow.
	wait := max(cfg.SubscriptionBackoffMax/2, 1)
	c := &Client{
		cfg: cfg, api: api, log: cfg.Log, seed: maphash.MakeSeed(), tasks: map[string]*mesos.TaskInfo{},
		backoff: client.Backoff{First: wait, Max: wait},
	}
	for i := range c.lanes {
		c.lanes[i].wake = make(chan struct{}, 1)
	}
	return c, nil
}

// Update tells the agent a task's status, and tells it again after a lost
// connection until the agent has acknowledged it. It returns at once, and its
// only error is [ErrBacklog]. The status becomes the client's: it gets a uuid, a
// timestamp unless it has one, and the executor's id. Updates of one task arrive
// in the order of the calls.
func (c *Client) Update(status *mesos.TaskStatus) error {
	status.Uuid = newUUID()
	status.Source = mesos.TaskStatus_SOURCE_EXECUTOR.Enum()
	status.ExecutorId = &mesos.ExecutorID{Value: new(c.cfg.ExecutorID)}
	if status.Timestamp == nil {
		status.Timestamp = new(float64(time.Now().UnixMicro()) / 1e6)
	}
	update := &executorpb.Call_Update{Status: status}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.updates) >= maxUpdates {
		return ErrBacklog
	}
	c.updates = append(c.updates, update)
	if !c.carried {
		return nil // the next SUBSCRIBE will carry it
	}
	l := &c.lanes[maphash.String(c.seed, status.GetTaskId().GetValue())%lanes]
	l.queue = append(l.queue, update)
	l.rouse()
	return nil
}

func (l *lane) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// newUUID returns a random UUID, version 4.
func newUUID() []byte {
	uuid := make([]byte, 16)
	rand.Read(uuid)
	uuid[6] = uuid[6]&0x0f | 0x40
	uuid[8] = uuid[8]&0x3f | 0x80
	return uuid
}

// Message sends data to the framework's scheduler. It may be lost, also where the
// error is nil: the agent has taken it. Without a subscription it is not sent and
// the error is [ErrDisconnected]; an answer other than success is a *[StatusError].
func (c *Client) Message(ctx context.Context, data []byte) error {
	c.mu.Lock()
	subscribed := c.subscribed
	c.mu.Unlock()
	if !subscribed {
		return ErrDisconnected
	}
	call := c.call(executorpb.Call_MESSAGE)
	call.Message = &executorpb.Call_Message{Data: data}
	return c.api.Do(ctx, call, nil, nil)
}

// Stop ends the events once the agent has acknowledged every update so far.
func (c *Client) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if len(c.updates) == 0 && c.stream != nil {
		c.stream.Break(errStopped)
	}
}

func (c *Client) call(kind executorpb.Call_Type) *executorpb.Call {
	return &executorpb.Call{
		Type:        kind.Enum(),
		ExecutorId:  &mesos.ExecutorID{Value: new(c.cfg.ExecutorID)},
		FrameworkId: &mesos.FrameworkID{Value: new(c.cfg.FrameworkID)},
	}
}

// subscription returns a SUBSCRIBE call with all that the agent may not know.
// What comes after it has to be sent by itself.
func (c *Client) subscription() *executorpb.Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.carried = true
	call := c.call(executorpb.Call_SUBSCRIBE)
	call.Subscribe = &executorpb.Call_Subscribe{
		UnacknowledgedTasks:   slices.Collect(maps.Values(c.tasks)),
		UnacknowledgedUpdates: slices.Clone(c.updates),
	}
	return call
}

// attach notes the stream that answered a subscription. It returns whether there
// is nothing left to do on it.
func (c *Client) attach(stream *client.Stream, subscribed bool) (stopped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stream, c.subscribed = stream, subscribed
	return c.stopped && len(c.updates) == 0
}

// detach notes that a subscription has ended or failed: the next one will carry
// everything again.
func (c *Client) detach() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stream, c.subscribed, c.carried = nil, false, false
	for i := range c.lanes {
		c.lanes[i].queue = nil
	}
}

// launched notes tasks that the agent has to hear of.
func (c *Client) launched(tasks ...*mesos.TaskInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, task := range tasks {
		c.tasks[task.GetTaskId().GetValue()] = task
	}
}

// acknowledged forgets an update, which the agent has stored. It returns
// whether that was the last one before a stop.
func (c *Client) acknowledged(task *mesos.TaskID, uuid []byte) (last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tasks, task.GetValue())
	// Acknowledgements come nearly in order, so this looks at few.
	i := slices.IndexFunc(c.updates, func(u *executorpb.Call_Update) bool {
		return string(u.GetStatus().GetUuid()) == string(uuid)
	})
	if i >= 0 {
		c.updates = slices.Delete(c.updates, i, i+1)
	}
	return c.stopped && len(c.updates) == 0
}
