package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/meseta-project/meseta/leader"
	"github.com/meseta-project/meseta/operator"
)

// Times of masters that are processes of their own.
const (
	restartAfter = time.Second     // as a supervisor would
	stopTime     = 2 * time.Second // to end after SIGTERM; what they have stored they have
)

// devMasters are several masters, each a process of its own so that it can be
// killed, with an etcd embedded in them. They are started again when they end,
// and end with this process.
type devMasters struct {
	all    []*devMaster
	log    *slog.Logger
	shown  atomic.Bool // the banner: from now on what happens is told
	screen sync.Mutex
	out    io.Writer
}

// devMaster is one of them.
type devMaster struct {
	of      *devMasters
	name    string
	address string
	args    []string
	pid     atomic.Int64
}

// openDevMasters says how the masters are to be started.
func openDevMasters(o *devOptions, log *slog.Logger, out io.Writer) (*devMasters, error) {
	peers, err := devPeers(o)
	if err != nil {
		return nil, err
	}
	c := &devMasters{log: log, out: out}
	for i, peer := range peers {
		at := o.Port + uint16(10*i) // 5050, 5060, 5070
		if o.Port == 0 {
			if at, err = freePort(o.IP); err != nil {
				return nil, err
			}
		}
		name := "master" + strconv.Itoa(i+1)
		dir := filepath.Join(o.WorkDir, name)
		c.all = append(c.all, &devMaster{
			of: c, name: name, address: net.JoinHostPort(o.IP, port(at)),
			args: []string{
				"master", "--ip=" + o.IP, "--port=" + port(at), "--work_dir=" + dir, "--cluster=dev",
				"--peers=" + strings.Join(peers, ","), "--peer_address=" + peer, "--log_dir=" + filepath.Join(dir, "log"), "--quiet",
			},
		})
	}
	return c, nil
}

// devPeers returns where the masters' etcds talk to each other. A cluster that is
// kept keeps it.
func devPeers(o *devOptions) ([]string, error) {
	path := filepath.Join(o.WorkDir, "peers")
	if text, err := os.ReadFile(path); err == nil {
		peers := strings.Split(strings.TrimSpace(string(text)), ",")
		if len(peers) != o.Masters {
			return nil, fmt.Errorf("the cluster in %s has %d masters: say --masters=%d, or take another --work_dir", o.WorkDir, len(peers), len(peers))
		}
		return peers, nil
	}
	var peers []string
	for range o.Masters {
		at, err := freePort(o.IP)
		if err != nil {
			return nil, err
		}
		peers = append(peers, net.JoinHostPort(o.IP, port(at)))
	}
	if err := os.WriteFile(path, []byte(strings.Join(peers, ",")+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("remember the masters' addresses: %w", err)
	}
	return peers, nil
}

// freePort returns a port that nobody listens on.
func freePort(ip string) (uint16, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0")) //nolint:noctx // nothing to cancel yet
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).AddrPort().Port(), l.Close()
}

// addresses are all of them, as agents name masters.
func (c *devMasters) addresses() string {
	all := make([]string, len(c.all))
	for i, m := range c.all {
		all[i] = m.address
	}
	return strings.Join(all, ",")
}

// run keeps the masters running until ctx is done. One that ends before all is
// ready is an error.
func (c *devMasters) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var work sync.WaitGroup
	for _, m := range c.all {
		work.Go(func() { cancel(m.keep(ctx)) })
	}
	work.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// keep starts the master, and again whenever it ends.
func (m *devMaster) keep(ctx context.Context) error {
	// The kernel ends a child when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for ctx.Err() == nil {
		err := m.once(ctx)
		if ctx.Err() != nil {
			break
		}
		if !m.of.shown.Load() {
			return fmt.Errorf("%s has ended before it was ready (%w): %s says why", m.name, err, m.logFile())
		}
		m.of.say("%s has ended (%v), and is started again", m.name, err)
		select {
		case <-ctx.Done():
		case <-time.After(restartAfter):
		}
	}
	return nil
}

// once runs the master until it ends.
func (m *devMaster) once(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, m.args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTime
	if err := cmd.Start(); err != nil {
		return err
	}
	m.pid.Store(int64(cmd.Process.Pid))
	if err := cmd.Wait(); err != nil {
		return err
	}
	return errors.New("exit status 0")
}

func (m *devMaster) logFile() string {
	for _, arg := range m.args {
		if dir, ok := strings.CutPrefix(arg, "--log_dir="); ok {
			return filepath.Join(dir, "meseta-master.log")
		}
	}
	return ""
}

// at returns the master at an address, nil for none of these.
func (c *devMasters) at(address string) *devMaster {
	for _, m := range c.all {
		if m.address == address {
			return m
		}
	}
	return nil
}

// say tells what happens, once the banner is there.
func (c *devMasters) say(format string, args ...any) {
	c.screen.Lock()
	defer c.screen.Unlock()
	if c.shown.Load() {
		fmt.Fprintf(c.out, format+"\n", args...)
	}
}

// agents returns how many agents the leader has; none while nobody leads.
func (c *devMasters) agents(ctx context.Context) (int, error) {
	api, err := operator.NewMaster(operator.Config{Addresses: strings.Split(c.addresses(), ",")})
	if err != nil {
		return 0, err
	}
	answer, err := api.Agents(ctx)
	return len(answer.GetAgents()), err
}

// follow tells who leads, whenever that changes.
func (c *devMasters) follow(ctx context.Context) error {
	found, err := leader.New(leader.Config{Where: c.addresses(), Log: c.log})
	if err != nil {
		return err
	}
	for master := range found.Detect(ctx) {
		at, err := leader.Address(master)
		if err != nil {
			continue // nobody leads
		}
		if m := c.at(at); m != nil {
			c.say("%s leads: http://%s\n  %-50s %s", m.name, m.address,
				"kill -9 "+strconv.FormatInt(m.pid.Load(), 10), "make another lead; nothing that runs notices")
		}
	}
	return nil
}
