package scheduler_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/scheduler"
)

const (
	first  = "10.0.0.1:5050"
	second = "10.0.0.2:5050"
)

// run reads events in a goroutine of its own until ctx ends; the channels are
// bounded well above what a test sends.
func run(ctx context.Context, c *scheduler.Client) (<-chan *schedulerpb.Event, <-chan error) {
	events, ended := make(chan *schedulerpb.Event, 1000), make(chan error, 1)
	go func() {
		for event, err := range c.Events(ctx) {
			if err != nil {
				ended <- err
				return
			}
			events <- event
		}
		ended <- nil
	}()
	return events, ended
}

func start(t *testing.T, cfg scheduler.Config) (*scheduler.Client, <-chan *schedulerpb.Event, <-chan error) {
	t.Helper()
	c, err := scheduler.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	events, ended := run(t.Context(), c)
	return c, events, ended
}

func TestEvents(t *testing.T) {
	for _, json := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n, m := newNetwork(t), newMaster()
			n.serve(first, m)
			cfg := n.config(first)
			cfg.JSON = json
			c, events, _ := start(t, cfg)
			if err := c.Teardown(t.Context()); !errors.Is(err, scheduler.ErrDisconnected) {
				t.Errorf("a call before the subscription: %v", err)
			}
			s := <-m.subscribed
			s.welcome()
			s.send(schedulerpb.Event_HEARTBEAT)
			s.send(schedulerpb.Event_OFFERS)
			for _, want := range []schedulerpb.Event_Type{schedulerpb.Event_SUBSCRIBED, schedulerpb.Event_OFFERS} {
				if got := (<-events).GetType(); got != want {
					t.Errorf("got %v, want %v", got, want)
				}
			}
			if got := c.FrameworkID().GetValue(); got != "F" {
				t.Errorf("framework id %q", got)
			}
			if err := c.Decline(t.Context(), scheduler.RefuseFor(time.Minute), &mesos.OfferID{Value: new("O1")}); err != nil {
				t.Fatal(err)
			}
			call := <-m.calls
			if call.GetFrameworkId().GetValue() != "F" || call.GetDecline().GetFilters().GetRefuseSeconds() != 60 {
				t.Errorf("got %v", call)
			}
		})
	}
}

// A connection on which nothing comes is dropped after three heartbeats, and
// the framework subscribes again by its id.
func TestHeartbeatLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(t), newMaster()
		n.serve(first, m)
		start(t, n.config(first))
		s := <-m.subscribed
		s.welcome()
		for range 5 {
			time.Sleep(15 * time.Second)
			s.send(schedulerpb.Event_HEARTBEAT)
		}
		began := time.Now()
		again := <-m.subscribed
		if silent := time.Since(began); silent < 45*time.Second || silent > 46*time.Second {
			t.Errorf("subscribed again after %v", silent)
		}
		if again.call.GetFrameworkId().GetValue() != "F" || again.call.GetSubscribe().GetFrameworkInfo().GetId().GetValue() != "F" {
			t.Errorf("subscribed again with %v", again.call)
		}
	})
}

// A master that takes the connection and says nothing is given up too.
func TestSilentMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(t), newMaster()
		m.answer = func(_ http.ResponseWriter, r *http.Request) bool {
			io.Copy(io.Discard, r.Body) // or the server does not see the framework go
			<-r.Context().Done()
			return true
		}
		n.serve(first, m)
		n.serve(second, newMaster())
		c, _, _ := start(t, n.config(first, second))
		time.Sleep(50 * time.Second)
		if c.Master() != second {
			t.Errorf("still at %s", c.Master())
		}
	})
}

func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(t), newMaster()
		stop := n.serve(first, m)
		c, events, _ := start(t, n.config(first))
		(<-m.subscribed).welcome()
		<-events
		stop()
		time.Sleep(10 * time.Minute)
		if err := c.Revive(t.Context()); !errors.Is(err, scheduler.ErrDisconnected) {
			t.Errorf("a call without a subscription: %v", err)
		}
		n.serve(first, m)
		began := time.Now()
		(<-m.subscribed).welcome()
		if event := <-events; event.GetType() != schedulerpb.Event_SUBSCRIBED {
			t.Errorf("got %v", event)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("subscribed %v after the master was back", took)
		}
	})
}

// A follower answers with where the leader is, without a scheme.
func TestRedirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, m, follower := newNetwork(t), newMaster(), newMaster()
		follower.answer = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Location", "//"+second+"/master"+r.URL.Path)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return true
		}
		n.serve(first, follower)
		n.serve(second, m)
		c, events, _ := start(t, n.config(first))
		(<-m.subscribed).welcome()
		<-events
		if err := c.Suppress(t.Context()); err != nil {
			t.Fatal(err)
		}
		if call := <-m.calls; call.GetType() != schedulerpb.Call_SUPPRESS {
			t.Errorf("got %v", call)
		}
	})
}

// Masters that redirect to each other, as at a change of the leader, do not
// keep a framework busy.
func TestRedirectCircle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(t), newMaster()
		asked := 0
		m.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			if asked++; asked > 20 {
				return false
			}
			w.Header().Set("Location", "//"+first)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return true
		}
		n.serve(first, m)
		began := time.Now()
		start(t, n.config(first))
		<-m.subscribed
		if time.Since(began) == 0 {
			t.Error("no back-off")
		}
	})
}

// A master that starts answers 404, one that recovers 503: neither is final, and
// neither is asked without end.
func TestMasterNotReady(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusServiceUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			n, m := newNetwork(t), newMaster()
			ready := time.Now().Add(time.Minute)
			asked := 0
			m.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				if time.Now().After(ready) {
					return false
				}
				asked++
				w.WriteHeader(status)
				return true
			}
			n.serve(first, m)
			start(t, n.config(first))
			<-m.subscribed
			if asked < 5 || asked > 60 {
				t.Errorf("asked %d times within a minute", asked)
			}
		})
	}
}

// The masters are tried in turn until one answers.
func TestSeveralMasters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, m, recovering := newNetwork(t), newMaster(), newMaster()
		recovering.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "No leader elected", http.StatusServiceUnavailable)
			return true
		}
		n.serve(second, recovering)
		n.serve("10.0.0.3:5050", m)
		start(t, n.config(first, second, "http://10.0.0.3:5050/"))
		<-m.subscribed
	})
}

// Who leads may be found elsewhere, and is asked for again when it is lost.
func TestLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(t), newMaster()
		stop := n.serve(first, m)
		leader := first
		cfg := n.config()
		cfg.Leader = func(context.Context) (string, error) { return leader, nil }
		c, events, _ := start(t, cfg)
		(<-m.subscribed).welcome()
		<-events
		n.serve(second, m)
		leader = second
		stop()
		(<-m.subscribed).welcome()
		<-events
		if c.Master() != second {
			t.Errorf("at %s", c.Master())
		}
	})
}

func TestFinal(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"refused by status": func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "no such user", http.StatusUnauthorized)
			return true
		},
		"refused by event": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, m := newNetwork(t), newMaster()
				m.answer = answer
				n.serve(first, m)
				_, _, ended := start(t, n.config(first))
				if answer == nil {
					(<-m.subscribed).events <- &schedulerpb.Event{
						Type: schedulerpb.Event_ERROR.Enum(), Error: &schedulerpb.Event_Error{Message: new("Framework has been removed")},
					}
				}
				err := <-ended
				refused, isStatus := errors.AsType[*scheduler.StatusError](err)
				event, isEvent := errors.AsType[*scheduler.EventError](err)
				switch {
				case answer != nil && (!isStatus || refused.Status != http.StatusUnauthorized || refused.Message != "no such user"):
					t.Errorf("got %v", err)
				case answer == nil && (!isEvent || event.Message != "Framework has been removed"):
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestAcknowledge(t *testing.T) {
	for _, manual := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n, m := newNetwork(t), newMaster()
			n.serve(first, m)
			cfg := n.config(first)
			cfg.ManualAcknowledge = manual
			c, events, _ := start(t, cfg)
			s := <-m.subscribed
			s.welcome()
			<-events
			s.update("a", "0123456789abcdef")
			s.update("from the master", "") // wants none
			status := (<-events).GetUpdate().GetStatus()
			<-events
			synctest.Wait()
			if manual {
				if len(m.calls) > 0 {
					t.Error("acknowledged by itself")
				}
				if err := c.Acknowledge(t.Context(), status); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			if len(m.calls) != 1 {
				t.Fatalf("%d calls", len(m.calls))
			}
			ack := (<-m.calls).GetAcknowledge()
			if ack.GetTaskId().GetValue() != "a" || ack.GetAgentId().GetValue() != "S0" || string(ack.GetUuid()) != "0123456789abcdef" {
				t.Errorf("got %v", ack)
			}
		})
	}
}

// More updates than wait for acknowledgement at once all get theirs.
func TestAcknowledgeMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const updates = 3000
		n, m := newNetwork(t), newMaster()
		m.calls = make(chan *schedulerpb.Call, updates)
		n.serve(first, m)
		_, events, _ := start(t, n.config(first))
		s := <-m.subscribed
		s.welcome()
		go func() {
			for range updates {
				<-events
			}
			<-events
		}()
		go func() {
			for range updates {
				s.update("t", "0123456789abcdef")
			}
		}()
		for range updates {
			<-m.calls
		}
	})
}

func TestSuppressionIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(t), newMaster()
		n.serve(first, m)
		cfg := n.config(first)
		cfg.Framework.Roles = []string{"a", "b", "c"}
		cfg.SuppressedRoles = []string{"a"}
		c, events, _ := start(t, cfg)
		again := func(want ...string) *subscription {
			s := <-m.subscribed
			if got := s.call.GetSubscribe().GetSuppressedRoles(); !slices.Equal(got, want) {
				t.Errorf("subscribed with %q suppressed, want %q", got, want)
			}
			s.welcome()
			<-events
			return s
		}
		s := again("a")
		ok(t, c.Suppress(t.Context()))
		ok(t, c.Revive(t.Context(), "b"))
		close(s.events)
		s = again("a", "c")
		ok(t, c.UpdateFramework(t.Context(), cfg.Framework, []string{"b"}, nil))
		close(s.events)
		again("b")
	})
}

func TestTeardown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(t), newMaster()
		n.serve(first, m)
		c, events, ended := start(t, n.config(first))
		s := <-m.subscribed
		s.welcome()
		<-events
		ok(t, c.Teardown(t.Context()))
		close(s.events)
		ok(t, <-ended)
	})
}

func TestBreakOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(t), newMaster()
		n.serve(first, m)
		c, err := scheduler.New(n.config(first))
		ok(t, err)
		go func() { (<-m.subscribed).welcome() }()
		for _, err := range c.Events(t.Context()) {
			ok(t, err)
			for _, err := range c.Events(t.Context()) {
				if err == nil {
					t.Error("two readers")
				}
			}
			break
		}
		// It may go on later, as the same framework.
		go func() { (<-m.subscribed).welcome() }()
		for event, err := range c.Events(t.Context()) {
			ok(t, err)
			if event.GetSubscribed().GetFrameworkId().GetValue() != "F" {
				t.Errorf("got %v", event)
			}
			break
		}
	})
}

// A call that a master does not answer ends.
func TestSlowMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(t), newMaster()
		m.answer = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Mesos-Stream-Id") == "" {
				return false
			}
			io.Copy(io.Discard, r.Body) // or the server does not see the framework go
			<-r.Context().Done()
			return true
		}
		n.serve(first, m)
		c, events, _ := start(t, n.config(first))
		(<-m.subscribed).welcome()
		<-events
		began := time.Now()
		if err := c.Revive(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	info := &mesos.FrameworkInfo{}
	for _, cfg := range []scheduler.Config{
		{Masters: []string{first}},
		{Framework: info},
		{Framework: info, Masters: []string{""}},
		{Framework: info, Masters: []string{"ftp://host:1"}},
		{Framework: info, Masters: []string{"http://%"}},
	} {
		if _, err := scheduler.New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}
