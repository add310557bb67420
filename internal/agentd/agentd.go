// Package agentd serves an agent: it gives the core of internal/agent a clock,
// an inbox, a disk, processes and the network.
//
//	HTTP, libprocess, containers ──▶ inbox ──▶ loop (the core) ──▶ messages
//	                                                └──▶ persister ──▶ disk, then
//	                                                      what depended on it
//
// The loop never blocks and nothing but it touches the core.
package agentd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/cni"
	"github.com/meseta-project/meseta/internal/containerizer"
	"github.com/meseta-project/meseta/internal/docker"
	"github.com/meseta-project/meseta/internal/docker/volume"
	"github.com/meseta-project/meseta/internal/fetcher"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/image"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/libprocess"
	"github.com/meseta-project/meseta/internal/mailbox"
	"github.com/meseta-project/meseta/internal/meta"
)

// Disk is where an agent remembers. [Store] is the part that is used while it
// runs.
type Disk interface {
	Store
	// Read returns what is remembered. What cannot be read is an error if strict,
	// and else left out and counted.
	Read(strict bool) (*meta.State, error)
}

// Fetcher brings files into sandboxes, and counts.
type Fetcher interface {
	containerizer.Fetcher
	Statistics() fetcher.Statistics
}

// Config is all that an agent's server needs.
type Config struct {
	Agent    agent.Config
	Listener net.Listener // for HTTP and libprocess both
	Detector Detector
	Disk     Disk
	Strict   bool // --strict
	Fetcher  Fetcher
	Launcher launcher.Launcher // nil: plain processes
	CFS      bool              // --cgroups_enable_cfs
	Rlimits  bool              // plain processes have the limits of resources that they ask for
	// RuntimeDir holds what is known of running containers; it need not survive
	// a reboot.
	RuntimeDir string
	Docker     *docker.Engine  // nil: there is none
	DockerOnly bool            // make no other containers than the Docker Engine's
	Images     *image.Store    // nil: there are none
	Networks   *cni.Networks   // nil: there are none
	Volumes    *volume.Volumes // of Docker's plugins; nil: there are none
	GiveVolume bool            // --docker_volume_chown
	// NetworkMetrics tells what goes over containers' own networks among what they
	// use.
	NetworkMetrics bool
	Mapped         string   // --sandbox_directory
	Own            []string // the agent's folders, which are no volume's source
	MakeBelow      []string // --host_path_volume_force_creation
	ImageGC        *ImageGC // nil: images are removed only when somebody asks for it
	SandboxQuota   SandboxQuota
	PortWatch      PortWatch
	Logger         *containerizer.Logger // nil: what containers write is not rotated
	// Heartbeat is how often those who look at a container's output hear from it.
	Heartbeat time.Duration
	// DiskWatch is how often the use of the work directory's disk is measured.
	DiskWatch      time.Duration
	Authentication Authentication
	Flags          map[string]string // as given and by default, for /flags
	Seed           func() uint64     // begins the randomness of cores: rand.Uint64, but in tests
	// LogFile is the file that is shown as /slave/log, "" for none; LogDir and
	// ExternalLogFile are what the flags of these names say, for /state.
	LogFile, LogDir, ExternalLogFile string
	Verbosity                        *httpd.Verbosity
	Log                              *slog.Logger
}

// Server is a running agent.
type Server struct {
	cfg           Config
	log           *slog.Logger
	pid           ids.UPID
	core          *agent.Agent // the loop's alone
	inbox         *mailbox.Mailbox[item]
	persister     *persister
	containerizer *containerizer.Containerizer
	images        Images   // nil: there are none
	containers    sync.Map // ids.ContainerID → *container
	processes     sync.Map // ids.ContainerID → launcher.Process
	nest          *nest
	inputs        inputs
	streams       *streams
	requests      mailbox.Replies[agent.RequestID, error]
	links         *libprocess.Links
	link          link // the present one to the master
	process       *libprocess.Server
	authenticatee authenticatee
	http          *http.Server
	files         httpd.Files
	help          *httpd.Help
	masters       names
	started       time.Time

	metricsSnapshot, containersPaced, statisticsPaced http.Handler

	recoveryTime                 atomic.Int64 // nanoseconds, 0 while recovering
	removed, unremoved, unkilled atomic.Int64 // folders deleted, or not; containers not killed

	stopped chan struct{} // closed when the loop has ended
	fatal   chan error    // what ends the server besides the loop
}

// New prepares a server; [Server.Run] makes it live.
func New(cfg Config) (*Server, error) {
	boxes, err := containerizer.New(containerizer.Config{
		RuntimeDir: cfg.RuntimeDir, SwitchUser: cfg.Agent.SwitchUser, Launcher: cfg.Launcher,
		Docker: cfg.Docker, DockerOnly: cfg.DockerOnly, Images: cfg.Images, Networks: cfg.Networks, Mapped: cfg.Mapped,
		Own: cfg.Own, MakeBelow: cfg.MakeBelow, Logger: cfg.Logger, Rlimits: cfg.Rlimits, Volumes: cfg.Volumes, GiveVolume: cfg.GiveVolume,
	}, cfg.Fetcher)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, log: cfg.Log, pid: cfg.Agent.PID, containerizer: boxes,
		inbox: mailbox.New[item](inboxSize), streams: newStreams(), help: httpd.NewHelp(cfg.Agent.PID.Process()),
		stopped: make(chan struct{}), fatal: make(chan error, 1),
	}
	s.nest = newNest(s)
	if cfg.Images != nil {
		s.images = cfg.Images
	}
	s.core = agent.New(cfg.Agent, agent.Deps{Rand: s.random(), Log: cfg.Log})
	s.persister = newPersister(cfg.Disk, s.send, s.actContainer, s.fail)
	s.links = libprocess.NewLinks(libprocess.LinkOptions{Exited: s.exited, Logger: cfg.Log})
	s.process = libprocess.NewServer(cfg.Listener, libprocess.Options{Logger: cfg.Log})
	s.process.Handle(s.pid.Process(), s.receive)
	a := &s.authenticatee
	a.credential, a.client, a.processes, a.post, a.tell, a.log = cfg.Authentication.Credential, s.pid, s.process, s.postAs, s.tell, cfg.Log
	s.metricsSnapshot = httpd.MetricsSnapshot(s.readMetrics)
	s.containersPaced, s.statisticsPaced = httpd.Paced(s.writeContainers), httpd.Paced(s.writeStatistics)
	s.http = httpd.NewServer(s.process.Messages(s.routes()), cfg.Log, nil)
	return s, nil
}

// random returns the randomness of one core.
func (s *Server) random() *rand.Rand { return rand.New(rand.NewPCG(s.cfg.Seed(), s.cfg.Seed())) }

// clock is the only place where an agent asks the time.
func (s *Server) clock() time.Time { return time.Now() }

// findProcesses completes what is remembered by the containerizer's own files:
// an agent may die after it has started a process and before it has made the
// process id durable, and the task must not be lost by that. It adds to those that
// run what an agent of Apache Mesos's has left running, wherever that had its
// runtime folder; what is nested in that is in ours only.
func (s *Server) findProcesses(state *meta.State, running []ids.ContainerID) []ids.ContainerID {
	layout := meta.Layout{WorkDir: s.cfg.Agent.WorkDir, Agent: ids.AgentID(state.Agent.GetId().GetValue())}
	for f, framework := range state.Frameworks {
		for x, executor := range framework.Executors {
			for id, run := range executor.Runs {
				if pid, ok := s.containerizer.PID(id); ok && run.ForkedPID == 0 {
					run.ForkedPID = pid
				}
				run.Foreign = !run.Ended && s.containerizer.Foreign(id, run.ForkedPID)
				if !run.Foreign {
					continue
				}
				if !slices.Contains(running, id) {
					running = append(running, id)
				}
				sandbox := layout.Sandbox(meta.Run{Framework: f, Executor: x, Container: id})
				s.nest.recoverForeign(id, sandbox, sandbox, cmp.Or(executor.Info.GetCommand().GetUser(), framework.Info.GetUser()))
			}
		}
	}
	return running
}

// anyForeign reports whether something that an agent of Apache Mesos's launched runs.
func anyForeign(state *meta.State) bool {
	for _, framework := range state.Frameworks {
		for _, executor := range framework.Executors {
			for _, run := range executor.Runs {
				if run.Foreign {
					return true
				}
			}
		}
	}
	return false
}

// recoverDocker looks after what the Docker Engine and its plugins have of what may run,
// and of what does not any more: a plugin may take its time for these.
func (s *Server) recoverDocker(running []ids.ContainerID, foreign bool) {
	rest, err := s.containerizer.RecoverDocker(running, foreign)
	if err != nil {
		s.log.Warn("cannot look after what earlier lives left with Docker", attrErr(err))
	}
	s.spawn(func() {
		if err := rest(); err != nil {
			s.log.Warn("cannot unmount Docker volumes of earlier lives", attrErr(err))
		}
	})
}

// Run recovers what an earlier life left and serves until ctx is done, the
// agent has been told to leave, or something broke. What runs under frameworks
// that checkpoint goes on without it.
func (s *Server) Run(ctx context.Context) error {
	state, err := s.cfg.Disk.Read(s.cfg.Strict)
	if err != nil {
		return fmt.Errorf("recover the agent from %s: %w", s.cfg.Agent.WorkDir, err)
	}
	running, err := s.containerizer.Known()
	if err != nil {
		return err
	}
	if err := s.containerizer.Recover(running); err != nil {
		s.log.Warn("cannot look after what earlier lives left", attrErr(err))
	}
	if err := s.nest.recover(); err != nil {
		return err
	}
	running = s.findProcesses(state, running)
	s.recoverDocker(running, anyForeign(state))
	running = slices.DeleteFunc(running, s.nest.standalone) // the core knows nothing of them
	left := s.trash()
	s.spawn(func() { s.remove(left) })
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.started = s.clock()
	s.core.Recover(s.started, state, running)
	s.showLog()
	s.showSandboxes()
	recovered := s.core.Effects()

	var work sync.WaitGroup
	work.Go(s.persister.run)
	work.Go(func() { s.serve(cancel) })
	work.Go(func() { s.watchDisk(ctx) })
	work.Go(func() { s.watchDisks(ctx) })
	work.Go(func() { s.watchPorts(ctx) })
	work.Go(func() { s.watchImages(ctx) })
	s.act(&recovered)
	work.Go(func() { s.detect(ctx) })
	go func() {
		select {
		case err := <-s.fatal:
			cancel(err)
		case <-ctx.Done():
		}
	}()
	err = s.loop(ctx)
	cancel(nil) // the first cause stays
	s.stop()
	work.Wait()
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// stop ends everything but the containers.
func (s *Server) stop() {
	close(s.stopped)
	s.inbox.Close()
	s.persister.close()
	s.streams.closeAll()
	_ = s.http.Close()    // nobody is left to wait for
	_ = s.process.Close() // closing twice is no harm
	flush, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.links.Flush(flush) // best effort: the peers learn it from the connection too
	s.links.Close()
}

func (s *Server) serve(cancel context.CancelCauseFunc) {
	var both sync.WaitGroup
	both.Go(func() {
		if err := s.http.Serve(s.process.HTTP()); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			cancel(err)
		}
	})
	if err := s.process.Serve(); !errors.Is(err, net.ErrClosed) {
		cancel(err)
	}
	both.Wait()
}

func (s *Server) fail(err error) {
	select {
	case s.fatal <- err:
	default: // one reason is enough
	}
}

// Unregister makes the agent leave the cluster: it says so, ends what it runs,
// and Run returns.
func (s *Server) Unregister(message string) { s.tell(agent.Unregister{Message: message}) }

// exited is told by libprocess that an address cannot be reached: the master's,
// or that of an executor's driver.
func (s *Server) exited(address string) {
	for _, conn := range s.streams.at(address) {
		s.streams.remove(conn)
		s.tell(agent.ExecutorClosed{Conn: conn})
	}
	s.link.broken(address)
	s.tell(agent.MasterExited{Master: masterAt(address)})
}

// spawn runs a container's goroutine.
func (s *Server) spawn(f func()) { go f() }

// setAside takes folders out of the way, so that new ones can have their names
// at once, and returns where they are now.
func (s *Server) setAside(paths []string) []string {
	trash, err := os.MkdirTemp(s.cfg.Agent.WorkDir, trashPrefix)
	if err != nil {
		s.log.Warn("cannot make a folder for what is to be removed", attrErr(err))
		s.remove(paths) // and let everybody wait
		return nil
	}
	for i, path := range paths {
		err := os.Rename(path, filepath.Join(trash, strconv.Itoa(i)))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			s.remove([]string{path}) // on another disk, perhaps
		}
	}
	return []string{trash}
}

// trashPrefix begins the names of folders, in the work directory, of what is
// being removed.
const trashPrefix = ".removing-"

// trash returns what an earlier life had set aside and did not come to remove.
func (s *Server) trash() []string {
	left, err := filepath.Glob(filepath.Join(s.cfg.Agent.WorkDir, trashPrefix+"*"))
	if err != nil {
		s.log.Warn("cannot look for what is to be removed", attrErr(err))
	}
	return left
}

// remove deletes folders, which may take long.
func (s *Server) remove(paths []string) {
	s.files.Forget(paths)
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil {
			s.unremoved.Add(1)
			s.log.Warn("cannot remove a folder", attr("path", path), attrErr(err))
			continue
		}
		s.removed.Add(1)
	}
}

// linkLatest makes "latest" beside a sandbox point to it.
func linkLatest(sandbox string) error {
	link := filepath.Join(filepath.Dir(sandbox), "latest")
	fresh := link + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(sandbox, fresh); err != nil {
		return err
	}
	return os.Rename(fresh, link)
}

func attr[T ~string](key string, value T) slog.Attr { return slog.String(key, string(value)) }

func attrErr(err error) slog.Attr { return slog.Any("error", err) }

// masterAt returns the PID of the master at "ip:port".
func masterAt(address string) ids.UPID { return ids.UPID("master@" + address) }
