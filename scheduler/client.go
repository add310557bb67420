package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/user"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/client"
)

const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 15 * time.Second
)

// Config says what to subscribe, and where.
type Config struct {
	// Masters are the addresses of the masters, host:port or URLs. Any one will
	// do: it tells the way to the leader. The others are for when it is down.
	Masters []string
	// Leader finds the leading master, in place of Masters, at first and whenever
	// the one in use fails. It waits until one leads, or ctx is done. Package leader
	// has one for clusters that elect it in ZooKeeper or etcd.
	Leader func(ctx context.Context) (address string, err error)
	// Framework describes the framework. Its user defaults to the one who runs
	// this program, its hostname to this machine's, its principal to Principal.
	// With an id it takes the place of an earlier instance of itself, whose
	// tasks go on.
	Framework *mesos.FrameworkInfo
	// SuppressedRoles get no offers from the start, until Revive.
	SuppressedRoles []string
	// Constraints limit, by role, the agents that offers come from.
	Constraints *schedulerpb.OfferConstraints
	// ManualAcknowledge leaves the acknowledgement of task status updates to
	// the framework, with Acknowledge. Otherwise an update is acknowledged when
	// the loop over the events goes on to the next event.
	ManualAcknowledge bool
	// JSON uses JSON on the wire in place of protocol buffers.
	JSON bool
	// Principal and Secret authenticate the framework (HTTP Basic).
	Principal, Secret string
	// Transport carries the requests; nil is one of the client's own.
	Transport http.RoundTripper
	// Log is told of lost connections; nil discards.
	Log *slog.Logger
}

// A Client is one framework. Any number of goroutines may make calls; events
// are read by one.
type Client struct {
	api     *client.Client
	log     *slog.Logger
	manual  bool
	backoff client.Backoff // of the goroutine that reads events
	acks    acknowledger

	mu         sync.Mutex
	reading    bool
	torn       bool                        // torn down, or about to be
	subscribe  *schedulerpb.Call_Subscribe // replaced, not changed
	stream     string                      // id of the subscription, "" without
	suppressed map[string]bool             // roles
}

// New returns the client of a framework. Nothing is sent before Events.
func New(cfg Config) (*Client, error) {
	if cfg.Framework == nil {
		return nil, errors.New("scheduler: no FrameworkInfo")
	}
	if len(cfg.Masters) == 0 && cfg.Leader == nil {
		return nil, errors.New("scheduler: no master to connect to")
	}
	api, err := client.New(client.Config{
		Addresses: cfg.Masters, Leader: cfg.Leader, Path: "/api/v1/scheduler", JSON: cfg.JSON,
		Authorization: client.Basic(cfg.Principal, cfg.Secret), Transport: cfg.Transport,
	})
	if err != nil {
		return nil, fmt.Errorf("scheduler: %w", err)
	}
	c := &Client{
		api: api, log: cfg.Log, manual: cfg.ManualAcknowledge,
		backoff: client.Backoff{First: firstBackoff, Max: maxBackoff},
		subscribe: &schedulerpb.Call_Subscribe{
			FrameworkInfo: complete(cfg.Framework, cfg.Principal), OfferConstraints: cfg.Constraints,
		},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.suppress(cfg.SuppressedRoles)
	return c, nil
}

// complete returns info with the fields that can be told from where we run.
func complete(info *mesos.FrameworkInfo, principal string) *mesos.FrameworkInfo {
	info = proto.CloneOf(info)
	if info.User == nil {
		info.User = new(username())
	}
	if info.Name == nil {
		info.Name = new("")
	}
	if info.Hostname == nil {
		if name, err := os.Hostname(); err == nil {
			info.Hostname = new(name)
		}
	}
	if info.Principal == nil && principal != "" {
		info.Principal = new(principal)
	}
	return info
}

// username returns who runs this program, or "", which is the agent's own user.
func username() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// FrameworkID returns the id that the master gave the framework, or that it
// brought along; nil before the first subscription of a new framework. A
// framework that outlives its process keeps it and puts it into its
// FrameworkInfo next time.
func (c *Client) FrameworkID() *mesos.FrameworkID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subscribe.GetFrameworkInfo().GetId()
}

// Master returns the address, host:port, of the master in use.
func (c *Client) Master() string { return c.api.Server() }

// roles returns the roles that info subscribes to.
func roles(info *mesos.FrameworkInfo) []string {
	if len(info.GetRoles()) > 0 || multiRole(info) {
		return info.GetRoles()
	}
	return []string{info.GetRole()}
}

func multiRole(info *mesos.FrameworkInfo) bool {
	return slices.ContainsFunc(info.GetCapabilities(), func(c *mesos.FrameworkInfo_Capability) bool {
		return c.GetType() == mesos.FrameworkInfo_Capability_MULTI_ROLE
	})
}

// suppress notes roles, or all if none are named, to be suppressed, so that a
// new subscription does not undo it.
func (c *Client) suppress(roles []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.suppressed == nil {
		c.suppressed = map[string]bool{}
	}
	for _, role := range roles {
		c.suppressed[role] = true
	}
}

// revive is the opposite of suppress.
func (c *Client) revive(roles []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, role := range roles {
		delete(c.suppressed, role)
	}
}

// subscription returns the SUBSCRIBE call as it is to be sent now.
func (c *Client) subscription() *schedulerpb.Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	info := c.subscribe.GetFrameworkInfo()
	call := &schedulerpb.Call{
		Type: schedulerpb.Call_SUBSCRIBE.Enum(),
		Subscribe: &schedulerpb.Call_Subscribe{
			FrameworkInfo: info, OfferConstraints: c.subscribe.GetOfferConstraints(),
			SuppressedRoles: c.suppressedRoles(),
		},
	}
	if id := info.GetId(); strings.TrimSpace(id.GetValue()) != "" {
		call.FrameworkId = id
	}
	return call
}

// suppressedRoles returns what of the suppressed roles the framework still has,
// as the master refuses others.
func (c *Client) suppressedRoles() []string {
	var suppressed []string
	for _, role := range roles(c.subscribe.GetFrameworkInfo()) {
		if c.suppressed[role] {
			suppressed = append(suppressed, role)
		}
	}
	return suppressed
}
