package compat

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/api/messages"
	v0 "github.com/meseta-project/meseta/api/messages/v0"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/test/cluster"
)

// driverCapture is the capture of a scheduler and an executor on libprocess
// drivers, and where they are in it.
const (
	driverCapture  = "v0_driver/01_plain"
	schedulerThere = "127.0.0.1:36091"
	executorThere  = "127.0.0.1:35525"
)

// newDrivers returns who plays the captured scheduler and executor, at ports of
// five digits, as they had.
func newDrivers(t *testing.T) map[string]*peer {
	t.Helper()
	drivers := map[string]*peer{}
	for _, role := range []string{"scheduler", "executor"} {
		drivers[role] = newPeerAt(t, fmt.Sprintf("127.0.0.1:%d", cluster.FreePort(t)))
	}
	return drivers
}

// converse repeats the capture.
func (p *play) converse() {
	p.t.Helper()
	p.words.add(schedulerThere, p.drivers["scheduler"].addr)
	p.words.add(executorThere, p.drivers["executor"].addr)
	offered := 0
	for i, m := range readCapture(p.t, driverCapture) {
		if m.Src == p.ours || m.Dst == p.ours {
			switch m.Type {
			case "mesos.internal.RegisterExecutorMessage":
				p.started()
			case "mesos.internal.ResourceOffersMessage":
				if offered++; offered > 1 {
					p.gather(m)
				}
			}
			p.take(driverCapture, i, m)
		}
		if p.t.Failed() {
			p.t.Fatalf("in %s at %v", driverCapture, m)
		}
	}
	p.drivers["scheduler"].forget("mesos.internal.ResourceOffersMessage") // of what the last task had
	for role, driver := range p.drivers {
		if rest := driver.rest(); rest != "" {
			p.t.Errorf("the %s gets more messages than from Mesos: %s", role, rest)
		}
	}
	if rest := p.theirs.rest(); rest != "" {
		p.t.Errorf("more messages than Mesos's %s sends: %s", p.ours, rest)
	}
}

// gather declines what our master offers until it is all that the agent has, which
// it then offers anew in one: Mesos's master makes offers once a second, ours does
// when a task has ended.
func (p *play) gather(m message) {
	p.t.Helper()
	driver := p.drivers["scheduler"]
	decline := &v0.Call{
		Type:    schedulerpb.Call_DECLINE.Enum(),
		Decline: &schedulerpb.Call_Decline{Filters: &mesos.Filters{RefuseSeconds: new(0.0)}},
	}
	for cpus := 0.0; cpus < 4; {
		some := &messages.ResourceOffersMessage{}
		if err := proto.Unmarshal(driver.await(m.Type).body, some); err != nil {
			p.t.Fatal(err)
		}
		for _, offer := range some.Offers {
			decline.FrameworkId = offer.FrameworkId
			decline.Decline.OfferIds = append(decline.Decline.OfferIds, offer.Id)
			for _, r := range offer.Resources {
				if r.GetName() == "cpus" {
					cpus += r.GetScalar().GetValue()
				}
			}
		}
	}
	body, err := proto.Marshal(decline)
	if err != nil {
		p.t.Fatal(err)
	}
	driver.send(p.addr, "master", "mesos.scheduler.Call", strings.Split(m.First, "/")[1], body)
}

// started waits until our agent has started the executor and knows of all the
// tasks that are for it: they come over another connection.
func (p *play) started() {
	p.t.Helper()
	cluster.Eventually(p.t, cluster.Patience, func() error {
		state, err := cluster.Get("http://" + p.addr + "/state")
		if err != nil {
			return err
		}
		waiting := 0
		for _, f := range state.JSON().List("frameworks") {
			for _, x := range f.List("executors") {
				waiting += len(x.List("queued_tasks"))
			}
		}
		if waiting != 4 {
			return fmt.Errorf("%d tasks wait for the executor", waiting)
		}
		return nil
	})
}

// TestMasterAgainstDriver has our master talk to the captured agent and the
// captured scheduler on a libprocess driver, from its registration to its teardown.
func TestMasterAgainstDriver(t *testing.T) {
	t.Parallel()
	golden.Dir(t)
	addr := shortAddr(t)
	cluster.StartMaster(t, portFlag(addr), "--hostname=master1.test")
	agent := newPeer(t)
	agent.pong = true
	p := &play{t: t, ours: "master", addr: addr, theirs: agent, drivers: newDrivers(t)}
	p.addresses(addr, agent.addr)
	p.converse()
}

// TestAgentAgainstDriver has our agent talk to the captured master and the
// captured executor on a libprocess driver. What it starts as the executor only
// sleeps.
func TestAgentAgainstDriver(t *testing.T) {
	t.Parallel()
	golden.Dir(t)
	const program = "/usr/libexec/mesos/test-executor"
	addr, master := shortAddr(t), newPeer(t)
	cluster.NewAgent(t, master.addr, portFlag(addr), "--hostname=agent1.test", "--attributes=", "--resources="+cluster.AgentResources)
	p := &play{t: t, ours: "agent", addr: addr, theirs: master, drivers: newDrivers(t)}
	p.addresses(master.addr, addr)
	const sleeps = "exec sleep 1000 #"
	// Mesos's agent forwards a status somewhat later, and says in which state the
	// task is by then: update.latest_state.
	p.words.loose = map[string]bool{"1.7": true}
	p.words.add(program, sleeps+strings.Repeat("-", len(program)-len(sleeps)))
	p.converse()
}
