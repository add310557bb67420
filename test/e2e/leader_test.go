package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meseta-project/meseta/internal/etcdserver/etcdtest"
	"github.com/meseta-project/meseta/test/cluster"
)

// threeMasters starts three masters and returns how agents find them.
type threeMasters func(t *testing.T) (masters []*cluster.Node, where string)

var backends = map[string]threeMasters{
	"zookeeper": func(t *testing.T) ([]*cluster.Node, string) {
		server := cluster.StartZooKeeper(t, time.Second)
		where := "zk://u1:p1@" + server.Addr + "/a/b"
		return alike(t, "--zk="+where, "--zk_session_timeout=2secs"), where
	},
	"etcd": func(t *testing.T) ([]*cluster.Node, string) {
		server := etcdtest.Secured(t)
		where := "etcd://" + etcdtest.User + ":" + etcdtest.Password + "@" + server.Addr + "/meseta"
		return alike(t, "--ha=etcd", "--etcd="+where), where
	},
	"embedded": func(t *testing.T) ([]*cluster.Node, string) {
		var peers []string
		for range 3 {
			peers = append(peers, "127.0.0.1:"+strconv.Itoa(cluster.FreePort(t)))
		}
		var masters []*cluster.Node
		for _, own := range peers {
			masters = append(masters, cluster.StartStandby(t, "--ha=embedded", "--peers="+strings.Join(peers, ","), "--peer_address="+own))
		}
		return masters, cluster.Addresses(masters...)
	},
}

func alike(t *testing.T, flags ...string) (masters []*cluster.Node) {
	for range 3 {
		masters = append(masters, cluster.StartStandby(t, flags...))
	}
	return masters
}

// TestLeaderKilled kills the leader of three masters under running tasks, on
// each backend. A standby must lead, the agent and the framework must be back
// under the ids they had, and the tasks must not notice.
func TestLeaderKilled(t *testing.T) {
	for name, start := range backends {
		t.Run(name, func(t *testing.T) {
			masters, where := start(t)
			leader := cluster.Leader(t, masters...)
			c := &cluster.Cluster{Master: leader, Agents: []*cluster.Node{cluster.StartAgent(t, leader, "--master="+where)}}
			for _, m := range cluster.Without(masters, leader) {
				checkStandby(t, m, leader)
			}
			info := durable("survivor")
			w := startWorkload(t, c, info)
			before, err := cluster.AgentRow(c.Master, c.Agents[0])
			if err != nil {
				t.Fatal(err)
			}
			killed := time.Now()
			leader.Kill9()
			c.Master = cluster.Leader(t, cluster.Without(masters, leader)...)
			leads := time.Since(killed)
			s := cluster.Subscribe(t, c.Master, withID(info, w.ID))
			offer := s.AwaitOffer()
			t.Logf("%s: a standby led after %v, the first new offer came after %v", name, leads, time.Since(killed))
			after, err := cluster.AgentRow(c.Master, c.Agents[0])
			if err != nil || after.Text("agent_info.id.value") != before.Text("agent_info.id.value") {
				t.Errorf("the agent was %s and is %s (%v)", before.Text("agent_info.id.value"), after.Text("agent_info.id.value"), err)
			}
			s.Launch(offer, 0, cluster.Task(offer, "new", "true"))
			s.AwaitState("new", "TASK_FINISHED")
			w.ends.open(t)
			s.AwaitState("ends", "TASK_FINISHED")
			checkRunsOn(t, s, w.pid, "runs", "own")
			leader.Start()
			cluster.Eventually(t, cluster.Patience, func() error { return standsBy(leader, c.Master) })
		})
	}
}

// TestStoppedLeader stops a leader for so long that another one leads. What it was
// asked meanwhile it must not answer when it goes on, as if it led still: what it
// knows is old. Who knows nothing but a list of masters is told by the others, and
// leaves it while it is stopped.
func TestStoppedLeader(t *testing.T) {
	const questions = 20
	for name, start := range backends {
		t.Run(name, func(t *testing.T) {
			masters, _ := start(t)
			leader := cluster.Leader(t, masters...)
			where := "--master=" + cluster.Addresses(masters...)
			agent := cluster.StartAgent(t, leader, where)
			ends := newGate(t)
			run := meseta(t, "run", where, "--", "sh", "-c", ends.command())
			agent.WaitLog("command started", cluster.Patience)

			stopped := time.Now()
			leader.Signal(syscall.SIGSTOP)
			next := cluster.Leader(t, cluster.Without(masters, leader)...)
			leads := time.Since(stopped)
			cluster.Eventually(t, cluster.Patience, func() error { return cluster.Registered(next, agent) })
			registered := time.Since(stopped)
			ends.open(t)
			if code := run.Exit(cluster.Patience).ExitCode(); code != 0 {
				t.Errorf("meseta run ended with %d:\n%s", code, run.Log())
			}
			t.Logf("another leads after %v, has the agent after %v, and the framework has ended after %v", leads, registered, time.Since(stopped))

			var asked []net.Conn
			for range questions {
				conn, err := net.Dial("tcp", leader.Addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := fmt.Fprintf(conn, "GET /slaves HTTP/1.1\r\nHost: %s\r\n\r\n", leader.Addr); err != nil {
					t.Fatal(err)
				}
				asked = append(asked, conn)
			}
			leader.Signal(syscall.SIGCONT)
			for _, conn := range asked {
				reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					continue // it has ended
				}
				reply.Body.Close()
				if reply.StatusCode == http.StatusOK {
					t.Fatal("it answers as if it led")
				}
			}
			leader.WaitLog("lost leadership", cluster.Patience)
		})
	}
}

// checkStandby checks what a master answers that does not lead.
func checkStandby(t *testing.T, m, leader *cluster.Node) {
	t.Helper()
	cluster.Eventually(t, cluster.Patience, func() error { return standsBy(m, leader) })
	for _, path := range []string{"/health", "/version", "/flags", "/metrics/snapshot"} {
		if reply, err := cluster.Get(m.URL + path); err != nil || reply.Status != 200 {
			t.Errorf("a standby answers %s with %d, %v", path, reply.Status, err)
		}
	}
}

// standsBy says why a master does not send callers to the leader.
func standsBy(m, leader *cluster.Node) error {
	reply, err := cluster.Get(m.URL + "/state?x=1")
	if err != nil {
		return err
	}
	want := "//" + leader.Addr + "/master/state?x=1"
	if reply.Status != 307 || reply.Header.Get("Location") != want {
		return fmt.Errorf("it answers %d, Location %q, want 307 and %q", reply.Status, reply.Header.Get("Location"), want)
	}
	return nil
}

// TestDueRunsAfterStoreIsBack: masters lose sight of ZooKeeper for longer than
// their sessions. Nobody leads then, and what runs goes on. It ends meanwhile, so
// that something else is due, for which there was no room: that runs when
// ZooKeeper is back, with no hand on anything, but for a supervisor that starts
// masters which end.
func TestDueRunsAfterStoreIsBack(t *testing.T) {
	server := cluster.StartZooKeeper(t, 500*time.Millisecond)
	where := "zk://" + server.Addr + "/mesos"
	masters := alike(t, "--zk="+where, "--zk_session_timeout=1secs", "--registry_store_timeout=2secs")
	leader := cluster.Leader(t, masters...)
	cluster.StartAgent(t, leader, "--master="+where)
	ends := newGate(t)
	both := meseta(t, "run", "--master="+where, "-n", "2", "--cpus=3", "--", "sh", "-c", ends.command())
	both.WaitLog("waiting for room", time.Minute)

	server.Signal(syscall.SIGSTOP)
	cluster.Eventually(t, time.Minute, func() error {
		if leader.Running() {
			return errors.New("the leader goes on without its session")
		}
		return nil
	})
	for _, m := range masters {
		if reply, err := cluster.Get(m.URL + "/slaves"); err == nil && reply.Status == 200 {
			t.Errorf("%s leads without ZooKeeper", m.Name)
		}
	}
	ends.open(t)
	server.Signal(syscall.SIGCONT)
	cluster.Eventually(t, 2*time.Minute, func() error {
		for _, m := range masters {
			if !m.Running() {
				m.Start()
			}
		}
		if both.Running() {
			return errors.New("what became due has not run")
		}
		return nil
	})
	if state := both.Exit(time.Minute); !state.Success() {
		t.Errorf("it ended with %v", state)
	}
}
