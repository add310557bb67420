package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/elect/standalone"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/resources"
	"github.com/meseta-project/meseta/test/cluster"
)

// simulated is the core of an agent that has nothing but a connection.
type simulated struct {
	core   *agent.Agent
	pid    ids.UPID
	links  *libprocess.Links
	server *libprocess.Server
	inputs chan agent.Input
}

// taken are the messages that simulated agents take from masters.
var taken = map[string]bool{"SlaveRegisteredMessage": true, "SlaveReregisteredMessage": true, "PingSlaveMessage": true}

// simulate runs n agents that follow the leader of masters.
func simulate(t cluster.TB, n int, masters string) {
	detector, err := standalone.ParseMasters(masters, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	all := make([]*simulated, n)
	for i := range all {
		if all[i], err = newSimulated(i); err != nil {
			t.Fatal(err)
		}
		go all[i].run(ctx)
	}
	go func() {
		for leader := range detector.Detect(ctx) {
			for _, a := range all {
				a.tell(ctx, agent.MasterDetected{Master: ids.UPID(leader.GetPid())})
			}
		}
	}()
}

func newSimulated(i int) (*simulated, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at := listener.Addr().(*net.TCPAddr).AddrPort()
	host, port := fmt.Sprintf("agent%d", i), int32(at.Port())
	a := &simulated{pid: ids.UPIDFor("slave(1)", at), inputs: make(chan agent.Input, 64), server: libprocess.NewServer(listener, libprocess.Options{})}
	a.core = agent.New(agent.Config{
		Info:    &mesos.AgentInfo{Hostname: &host, Port: &port, Resources: resources.MustParse("cpus:4;mem:4096;disk:8192").Proto()},
		PID:     a.pid,
		Version: "1.11.0", WorkDir: "/nowhere", RegistrationBackoff: *backoff,
	}, agent.Deps{Rand: rand.New(rand.NewPCG(uint64(i), uint64(port))), Log: slog.New(slog.DiscardHandler)})
	return a, nil
}

func (a *simulated) tell(ctx context.Context, in agent.Input) {
	select {
	case a.inputs <- in:
	case <-ctx.Done():
	}
}

// run is the agent's loop.
func (a *simulated) run(ctx context.Context) {
	a.links = libprocess.NewLinks(libprocess.LinkOptions{Exited: func(address string) {
		a.tell(ctx, agent.MasterExited{Master: ids.UPID("master@" + address)})
	}})
	a.server.Handle(a.pid.Process(), func(_ string, from ids.UPID, _ libprocess.ConnID, name string, body []byte) {
		if m, err := libprocess.Decode(name, body, taken); err == nil {
			a.tell(ctx, agent.MasterMessage{From: from, Message: m})
		}
	})
	go func() { _ = a.server.Serve() }() // until it is closed
	a.core.Recover(time.Now(), &meta.State{}, nil)
	for ctx.Err() == nil {
		effects := a.core.Effects()
		for _, m := range append(effects.Messages, effects.Deferred...) {
			a.send(m)
		}
		var in agent.Input = agent.Tick{}
		select {
		case in = <-a.inputs:
		case <-time.After(until(effects.Wake)):
		case <-ctx.Done():
		}
		a.core.Step(time.Now(), in)
	}
	a.links.Close()
	_ = a.server.Close() // it is over
}

func until(wake time.Time) time.Duration {
	if wake.IsZero() {
		return time.Hour
	}
	return time.Until(wake)
}

func (a *simulated) send(m agent.Message) {
	switch m := m.(type) {
	case agent.Link:
		a.links.Drop(m.To.Address())
		a.links.Link(m.To)
	case agent.Drop:
		a.links.Drop(m.To.Address())
	case agent.ToProcess:
		if body, err := wire.Marshal(m.Message); err == nil {
			a.links.Send(m.To, a.pid, libprocess.MessageName(m.Message), body)
		}
	}
}

// The messages have to be known to be decoded.
var _ = (*messages.SlaveRegisteredMessage)(nil)
