package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/elect/standalone"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/masterd"
	"github.com/meseta-project/meseta/internal/store/memory"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/resources"
)

// A history is what each agent tells a new leader of: so many frameworks, running
// and completed, with so many tasks each.
type history struct {
	agents, frameworks, tasks, completed, completedTasks int
}

func (h history) String() string {
	return fmt.Sprintf("agents=%d/frameworks=%d/tasks=%d", h.agents, h.frameworks+h.completed, h.agents*(h.frameworks*h.tasks+h.completed*h.completedTasks))
}

// reregistration returns what agent i tells.
func (h history) reregistration(i int) *messages.ReregisterSlaveMessage {
	id := &mesos.AgentID{Value: new(fmt.Sprintf("old-S%d", i))}
	m := &messages.ReregisterSlaveMessage{
		Slave: &mesos.AgentInfo{
			Id: id, Hostname: new(fmt.Sprintf("host%d", i)), Resources: resources.MustParse("cpus:64;mem:65536;disk:1000000").Endpoint(),
		},
		Version: new("1.11.0"), ResourceVersionUuid: &mesos.UUID{Value: make([]byte, 16)},
	}
	for f := range h.frameworks {
		info := frameworkInfo("running", f)
		m.Frameworks = append(m.Frameworks, info)
		m.Tasks = append(m.Tasks, tasksOf(info, id, h.tasks, mesos.TaskState_TASK_RUNNING)...)
	}
	for f := range h.completed {
		info := frameworkInfo("completed", f)
		m.CompletedFrameworks = append(m.CompletedFrameworks, &messages.Archive_Framework{
			FrameworkInfo: info, Tasks: tasksOf(info, id, h.completedTasks, mesos.TaskState_TASK_FINISHED),
		})
	}
	return m
}

func frameworkInfo(kind string, f int) *mesos.FrameworkInfo {
	return &mesos.FrameworkInfo{
		User: new("u"), Name: new(kind), Role: new("*"), Id: &mesos.FrameworkID{Value: new(fmt.Sprintf("old-%s-%04d", kind, f))}, FailoverTimeout: new(86400.0),
	}
}

func tasksOf(f *mesos.FrameworkInfo, agent *mesos.AgentID, n int, state mesos.TaskState) []*mesos.Task {
	tasks := make([]*mesos.Task, n)
	for i := range tasks {
		tasks[i] = &mesos.Task{
			Name: new("t"), TaskId: &mesos.TaskID{Value: new(fmt.Sprintf("%s-%s-%d", f.GetName(), agent.GetValue(), i))}, FrameworkId: f.Id,
			AgentId: agent, State: state.Enum(), Resources: resources.MustParse("cpus:0.1;mem:32").AllocatedTo("*").Proto(),
			Labels: &mesos.Labels{Labels: []*mesos.Label{{Key: new("k"), Value: new("v")}}},
		}
	}
	return tasks
}

// A served master is a whole one, with its server, on a port of this machine.
type served struct {
	b   *testing.B
	url string
}

// serve starts a master to which the agents of a history come back.
func serve(b *testing.B, h history) *served {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	at := listener.Addr().(*net.TCPAddr).AddrPort()
	pid := ids.UPIDFor("master", at)
	ip := at.Addr().As4()
	info := &mesos.MasterInfo{
		Id: new("m"), Ip: new(uint32(ip[3])<<24 | uint32(ip[2])<<16 | uint32(ip[1])<<8 | uint32(ip[0])), Port: new(uint32(at.Port())), Pid: new(string(pid)),
		Hostname: new("127.0.0.1"), Address: &mesos.Address{Ip: new("127.0.0.1"), Port: new(int32(at.Port()))},
	}
	cfg := master.DefaultConfig()
	cfg.AgentPingTimeout = pings
	log := slog.New(slog.DiscardHandler)
	server := masterd.New(masterd.Config{
		Master: cfg, Allocator: allocator.New(allocator.DefaultConfig(), rand.New(rand.NewPCG(1, 2))), Info: info, Listener: listener,
		Elector: standalone.New(info), Store: &memory.Store{}, FetchTimeout: time.Minute, StoreTimeout: time.Minute,
		MaxSubscribers: 10, Seed: func() uint64 { return 1 }, Log: log,
	})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	<-server.Ready()
	s := &served{b, "http://" + at.String()}
	s.reregister(pid, h)
	return s
}

// reregister has all agents come back, and waits until they are there.
func (s *served) reregister(master ids.UPID, h history) {
	sink, err := net.Listen("tcp", "127.0.0.1:0") // takes what the master says to agents
	if err != nil {
		s.b.Fatal(err)
	}
	s.b.Cleanup(func() { sink.Close() })
	go func() {
		for {
			conn, err := sink.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, conn) }() // until the master hangs up
		}
	}()
	at := sink.Addr().(*net.TCPAddr).AddrPort()
	links := libprocess.NewLinks(libprocess.LinkOptions{})
	defer links.Close()
	for i := range h.agents {
		m := h.reregistration(i)
		body, err := wire.Marshal(m)
		if err != nil {
			s.b.Fatal(err)
		}
		links.Send(master, ids.UPIDFor(fmt.Sprintf("slave(%d)", i+1), at), libprocess.MessageName(m), body)
		if i%500 == 499 { // what cannot be queued is lost
			s.await(i + 1)
		}
	}
	s.await(h.agents)
}

// await waits for so many agents to be registered.
func (s *served) await(agents int) {
	want := fmt.Sprintf("\nmesos_master_slaves_active %d\n", agents)
	for deadline := time.Now().Add(time.Minute); !strings.Contains(string(s.get("/metrics/prometheus")), want); {
		if time.Now().After(deadline) {
			s.b.Fatalf("there are not %d agents after a minute", agents)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// get returns what a path answers.
func (s *served) get(path string) []byte {
	resp, err := http.Get(s.url + path)
	if err != nil {
		s.b.Fatal(err)
	}
	return s.read(resp)
}

// call makes an operator's call, answered in a media type.
func (s *served) call(name, accept string) []byte {
	req, err := http.NewRequestWithContext(s.b.Context(), http.MethodPost, s.url+"/api/v1", strings.NewReader(`{"type":"`+name+`"}`))
	if err != nil {
		s.b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.b.Fatal(err)
	}
	return s.read(resp)
}

func (s *served) read(resp *http.Response) []byte {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.b.Fatalf("%s: %v: %.200s", resp.Status, err, body)
	}
	return body
}

// measure times requests; of each the size is reported.
func (s *served) measure(b *testing.B, name string, ask func() []byte) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		size := 0
		for b.Loop() {
			size = len(ask())
		}
		b.ReportMetric(float64(size), "bytes")
	})
}

// BenchmarkMetrics is what the metrics of a large cluster cost who asks for them, as
// Mesos's MasterMetricsQuery. A snapshot may be taken twice a second, as in Mesos, so
// that it takes half of one at least; Prometheus's form of the same is not held back.
func BenchmarkMetrics(b *testing.B) {
	histories := []history{{agents: 1, frameworks: 90, tasks: 2, completed: 10, completedTasks: 2}, {agents: 1, frameworks: 900, tasks: 2, completed: 100, completedTasks: 2}}
	if full() {
		histories = append(histories, history{agents: 1, frameworks: 9000, tasks: 2, completed: 1000, completedTasks: 2}, history{agents: 10_000, frameworks: 5, tasks: 2})
	}
	for _, h := range histories {
		b.Run(h.String(), func(b *testing.B) {
			s := serve(b, h)
			s.measure(b, "snapshot", func() []byte { return s.get("/metrics/snapshot") })
			s.measure(b, "prometheus", func() []byte { return s.get("/metrics/prometheus") })
		})
	}
}

// BenchmarkGetState is Mesos's MasterStateQuery.
func BenchmarkGetState(b *testing.B) {
	sizes := []int{1000}
	if full() {
		sizes = append(sizes, 10_000, 20_000, 40_000)
	}
	for _, agents := range sizes {
		h := history{agents: agents, frameworks: 5, tasks: 2, completed: 5, completedTasks: 2}
		b.Run(h.String(), func(b *testing.B) {
			s := serve(b, h)
			s.measure(b, "v0", func() []byte { return s.get("/state") })
			s.measure(b, "v1-json", func() []byte { return s.call("GET_STATE", "application/json") })
			s.measure(b, "v1-protobuf", func() []byte { return s.call("GET_STATE", "application/x-protobuf") })
		})
	}
}

// BenchmarkResponsiveness is how long /health takes while five clients ask for
// /state over and over, as in Mesos's MasterActorResponsiveness.
func BenchmarkResponsiveness(b *testing.B) {
	sizes := []int{100}
	if full() {
		sizes = append(sizes, 1000)
	}
	for _, agents := range sizes {
		h := history{agents: agents, frameworks: 10, tasks: 10, completed: 10, completedTasks: 10}
		b.Run(h.String(), func(b *testing.B) {
			s := serve(b, h)
			stop := make(chan struct{})
			done := make(chan struct{})
			for range 5 {
				go func() {
					defer func() { done <- struct{}{} }()
					for {
						select {
						case <-stop:
							return
						default:
							if resp, err := http.Get(s.url + "/state"); err == nil {
								_, _ = io.Copy(io.Discard, resp.Body) // only the load counts
								resp.Body.Close()
							}
						}
					}
				}()
			}
			var took []time.Duration
			for b.Loop() {
				begin := time.Now()
				s.get("/health")
				took = append(took, time.Since(begin))
			}
			close(stop)
			for range 5 {
				<-done
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2]), "median-ns")
			b.ReportMetric(float64(took[len(took)*9/10]), "p90-ns")
		})
	}
}

// BenchmarkReregistration is Mesos's MasterFailover AgentReregistrationDelay: the
// time until all agents are back, over loopback.
func BenchmarkReregistration(b *testing.B) {
	histories := []history{{agents: 200, frameworks: 5, tasks: 10, completed: 5, completedTasks: 10}}
	if full() {
		histories = append(histories, history{2000, 5, 10, 5, 10}, history{2000, 5, 20, 0, 0}, history{20_000, 1, 5, 0, 0})
	}
	for _, h := range histories {
		b.Run(h.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				serve(b, h)
			}
		})
	}
}

// BenchmarkReconcile answers a RECONCILE about all tasks of a framework.
func BenchmarkReconcile(b *testing.B) {
	sizes := []int{1000, 10_000}
	if full() {
		sizes = append(sizes, 50_000, 100_000)
	}
	for _, tasks := range sizes {
		b.Run(fmt.Sprintf("tasks=%d", tasks), func(b *testing.B) {
			w := newWatched(b, tasks, 1, false)
			b.ReportAllocs()
			for b.Loop() {
				reconcile(w)
			}
		})
	}
}
