// Package masterd serves a master: it gives the core of internal/master a
// clock, an inbox, a store for the registry and the network.
//
//	HTTP, libprocess ──▶ inbox ──▶ loop (the core) ──▶ streams, replies, links
//	                                  │      └──▶ snapshots ──▶ readers
//	                                  └──▶ store ──▶ Committed ──▶ inbox
//
// Decoding and checks of form happen at the edge, in the goroutine of the
// connection; rendering in the goroutine of the reader. The loop never blocks,
// and nothing but it touches the core.
package masterd

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
	"github.com/meseta-project/meseta/internal/mailbox"
	"github.com/meseta-project/meseta/internal/master"
)

// Config is all that a master's server needs.
type Config struct {
	Master    master.Config
	Allocator master.Allocator
	Info      *mesos.MasterInfo // what the master tells of itself
	Listener  net.Listener      // for HTTP and libprocess both
	Elector   Elector
	Store     Store
	Ranker    Ranker // nil: no allocation module is asked
	// FetchTimeout ends a master that cannot read the registry in time
	// (--registry_fetch_timeout).
	FetchTimeout time.Duration
	// StoreTimeout ends a master whose store does not answer
	// (--registry_store_timeout).
	StoreTimeout time.Duration
	// Whitelist is the file that names the hosts whose agents alone are offered,
	// "" if all are (--whitelist).
	Whitelist string
	Cluster   string            // --cluster, "" if unnamed
	Flags     map[string]string // as given and by default, for /flags
	// MaxSubscribers bounds the operators' event streams
	// (--max_operator_event_stream_subscribers).
	MaxSubscribers int
	Authentication Authentication
	Seed           func() uint64 // begins the core's randomness: rand.Uint64, but in tests
	// LogFile is the file that is shown as /master/log, "" for none; LogDir and
	// ExternalLogFile are what the flags of these names say, for /state.
	LogFile, LogDir, ExternalLogFile string
	Verbosity                        *httpd.Verbosity
	Log                              *slog.Logger
}

// Server is a running master.
type Server struct {
	cfg      Config
	log      *slog.Logger
	address  string         // of this master, as in its PID
	core     *master.Master // the loop's alone
	inbox    *mailbox.Mailbox[item]
	writes   *writes
	vigil    vigil
	streams  streams
	requests mailbox.Replies[master.RequestID, master.Reply]
	watchers watchers
	demands  chan master.RankDemand // for the allocation module; has room for one
	links    *libprocess.Links
	process  *libprocess.Server
	auth     authenticator
	http     *http.Server
	files    httpd.Files
	help     *httpd.Help
	started  time.Time

	metricsSnapshot   http.Handler
	storeTime         httpd.Timing // how long writes of the registry took
	fetchTime         atomic.Int64 // how long reading it took, in nanoseconds
	allocationTime    httpd.Timing // how long the core took for effects, the allocator's turn among them
	allocationLatency httpd.Timing // from taking a batch to that
	registrySize      atomic.Int64 // bytes, of all records

	stopped chan struct{} // closed when the loop has ended
	leads   chan struct{} // closed once the master leads and its registry is read
	leader  leadership
	mux     *httpd.Mux
}

// New prepares a server; [Server.Run] makes it live.
func New(cfg Config) *Server {
	s := &Server{
		cfg: cfg, log: cfg.Log, watchers: watchers{max: cfg.MaxSubscribers}, address: ids.UPID(cfg.Info.GetPid()).Address(),
		vigil: vigil{clock: sinceBoot},
		inbox: mailbox.New[item](inboxSize), writes: newWrites(), help: httpd.NewHelp("master"),
		demands: make(chan master.RankDemand, 1),
		stopped: make(chan struct{}), leads: make(chan struct{}),
	}
	s.core = master.New(cfg.Master, master.Deps{
		Rand: rand.New(rand.NewPCG(cfg.Seed(), cfg.Seed())), Log: cfg.Log, Allocator: cfg.Allocator,
	})
	s.links = libprocess.NewLinks(libprocess.LinkOptions{Exited: s.exited, Logger: cfg.Log})
	s.process = libprocess.NewServer(cfg.Listener, libprocess.Options{Logger: cfg.Log})
	s.auth.open(s)
	s.process.Handle("master", s.receive)
	s.process.Handle("slave-observer(*)", s.receive)
	s.metricsSnapshot = httpd.MetricsSnapshot(s.readMetrics)
	s.http = httpd.NewServer(s.process.Messages(s.routes()), cfg.Log, nil)
	return s
}

// clock is the only place where a master asks the time.
func (s *Server) clock() time.Time { return time.Now() }

// Ready is closed when the master leads and answers calls.
func (s *Server) Ready() <-chan struct{} { return s.leads }

// Run stands for election and, once elected, reads the registry and leads,
// until ctx is done or something broke. Until then it serves what standbys
// serve. Leadership that is lost ends it, as does a registry that cannot be read
// or written: nothing goes on with promises that would be forgotten.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.started = s.clock()
	s.showLog()
	var work sync.WaitGroup
	work.Go(func() { s.serve(cancel) })
	work.Go(func() { s.followLeader(ctx) })
	lost, err := s.elected(ctx)
	if err == nil {
		work.Go(func() {
			<-lost
			cancel(errLost)
		})
		work.Go(func() { s.vigil.keep(ctx) })
		err = s.lead(ctx, cancel, &work)
	}
	cancel(nil) // the first cause stays
	s.stop()
	work.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && (err == nil || errors.Is(err, context.Canceled)) {
		err = cause
	}
	return ended(err)
}

// showLog gives clients access to the log.
func (s *Server) showLog() {
	if s.cfg.LogFile == "" {
		return
	}
	if err := s.files.Attach("/master/log", s.cfg.LogFile, nil); err != nil {
		s.log.Warn("cannot show the log", attr("path", s.cfg.LogFile), attrErr(err))
	}
}

// lead reads the registry and runs the loop. Should an earlier leader still
// write while it reads, it reads again: from the first write of ours on, the
// other cannot write any more.
func (s *Server) lead(ctx context.Context, cancel context.CancelCauseFunc, work *sync.WaitGroup) error {
	known, err := s.takeRegistry(ctx)
	if err != nil {
		return err
	}
	s.core.Recover(s.clock(), known.registry, s.cfg.Info)
	if s.cfg.Whitelist != "" {
		l := &whitelist{path: s.cfg.Whitelist}
		s.update(l, func(in master.Input) { s.core.Step(s.clock(), in) }) // before any agent is here
		work.Go(func() { s.watchWhitelist(ctx, l) })
	}
	work.Go(func() {
		if err := s.write(ctx, known.version, known.sizes); err != nil {
			cancel(err)
		}
	})
	if s.cfg.Ranker != nil {
		work.Go(func() { s.rank(ctx) })
	}
	return s.loop(ctx)
}

func (s *Server) stop() {
	close(s.stopped)
	s.inbox.Close()
	s.writes.close()
	s.streams.closeAll()
	s.watchers.closeAll()
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

// exited is told by libprocess that nobody is at an address any more.
func (s *Server) exited(address string) { s.tell(master.Exited{Address: address}) }

// tell puts an input into the inbox, waiting for room. What comes when the
// server stops is lost, as it would be a moment later.
func (s *Server) tell(in master.Input) { _ = s.inbox.Put(context.Background(), item{input: in}) }

func attr[T ~string](key string, value T) slog.Attr { return slog.String(key, string(value)) }

func attrErr(err error) slog.Attr { return slog.Any("error", err) }
