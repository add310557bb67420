package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/meseta-project/meseta/operator"
	"github.com/meseta-project/meseta/resources"
)

// sizes are what the agents have: 9 CPUs and 18 GB.
var sizes = []string{"cpus:5;mem:13312;disk:1024;ports:[31000-31099]", "cpus:4;mem:5120;disk:1024;ports:[31100-31199]"}

// A cluster is the processes on this machine.
type cluster struct {
	bin, dir  string
	processes []*process // in the order of their start
	address   string     // of the master
	master    *operator.Master
	names     map[string]string               // of agents, by their ids
	agents    map[string]*operator.Agent      // by their ids
	total     resources.Quantities            // of all agents
	have      map[string]resources.Quantities // by the agents' ids
}

// A process is one program that we started.
type process struct {
	name   string
	cmd    *exec.Cmd
	ended  chan struct{}
	signal os.Signal // that ends it in good order
}

// launch starts a program. What it writes goes to a file, and what it writes to
// standard output also to out, unless that is nil.
func (c *cluster) launch(name string, end os.Signal, out io.Writer, program string, args ...string) error {
	log, err := os.Create(filepath.Join(c.dir, name+".log"))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.Background(), filepath.Join(c.bin, program), args...)
	cmd.Stdout, cmd.Stderr = log, log
	if out != nil {
		cmd.Stdout = out
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us alone
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w (make demo builds it)", program, err), log.Close())
	}
	p := &process{name, cmd, make(chan struct{}), end}
	c.processes = append(c.processes, p)
	go func() {
		defer close(p.ended)
		defer log.Close()
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
	}()
	return nil
}

// start starts the master and the agents, and returns when all are registered.
func (c *cluster) start(ctx context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	c.address = net.JoinHostPort("127.0.0.1", port)
	if c.master, err = operator.NewMaster(operator.Config{Addresses: []string{c.address}}); err != nil {
		return err
	}
	err = c.launch("master", syscall.SIGTERM, nil, "meseta", "master", "--cluster=demo", "--allocation_interval=500ms",
		"--ip=127.0.0.1", "--hostname=127.0.0.1", "--port="+port, "--work_dir="+filepath.Join(c.dir, "master"))
	if err != nil {
		return err
	}
	// An agent that takes any port that is free must not take the master's.
	if err := c.listens(ctx); err != nil {
		return err
	}
	for i, size := range sizes {
		if err := c.startAgent(fmt.Sprintf("agent%d", i+1), size); err != nil {
			return err
		}
	}
	return c.await(ctx)
}

// listens waits until the master does.
func (c *cluster) listens(ctx context.Context) error {
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.address)
		if err == nil {
			return conn.Close()
		}
		if err := c.alive(); err != nil {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waiting for the master: %w", context.Cause(ctx))
		}
	}
}

func (c *cluster) startAgent(name, size string) error {
	work := filepath.Join(c.dir, name)
	return c.launch(name, syscall.SIGUSR1, nil, "meseta", "agent", "--master="+c.address,
		"--ip=127.0.0.1", "--hostname=127.0.0.1", "--port=0", "--resources="+size, "--attributes=name:"+name,
		"--work_dir="+work, "--runtime_dir="+filepath.Join(work, "run"), "--fetcher_cache_dir="+filepath.Join(work, "fetch"),
		"--registration_backoff_factor=100ms")
}

// freePort returns a port that nobody listens on.
func freePort() (string, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// await waits until all agents are registered, and notes who is who.
func (c *cluster) await(ctx context.Context) error {
	for {
		if err := c.alive(); err != nil {
			return err
		}
		if c.know(ctx) {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waiting for the agents: %w", context.Cause(ctx))
		}
	}
}

// know asks the master for the agents. It returns whether all are there.
func (c *cluster) know(ctx context.Context) bool {
	answer, err := c.master.Agents(ctx)
	if err != nil || len(answer.GetAgents()) < len(sizes) {
		return false
	}
	c.names, c.agents = map[string]string{}, map[string]*operator.Agent{}
	c.have, c.total = map[string]resources.Quantities{}, resources.Quantities{}
	for _, agent := range answer.GetAgents() {
		info := agent.GetAgentInfo()
		id := info.GetId().GetValue()
		c.names[id] = info.GetAttributes()[0].GetText().GetValue()
		c.have[id] = resources.Trusted(agent.GetTotalResources()).ScalarQuantities()
		c.total = c.total.Add(c.have[id])
		address := net.JoinHostPort(info.GetHostname(), strconv.Itoa(int(info.GetPort())))
		if c.agents[id], err = operator.NewAgent(operator.Config{Addresses: []string{address}}); err != nil {
			return false
		}
	}
	return true
}

// alive returns an error if a process has ended.
func (c *cluster) alive() error {
	for _, p := range c.processes {
		select {
		case <-p.ended:
			return fmt.Errorf("%s has ended: %v", p.name, p.cmd.ProcessState)
		default:
		}
	}
	return nil
}

// stop ends all processes in good order, the last one started first.
func (c *cluster) stop() error {
	var err error
	for _, p := range slices.Backward(c.processes) {
		_ = p.cmd.Process.Signal(p.signal) // it fails if the process has ended
		select {
		case <-p.ended:
		case <-time.After(10 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.ended
			err = errors.Join(err, fmt.Errorf("%s did not stop when told to", p.name))
		}
	}
	return err
}

// explain adds to err the last words of the processes.
func (c *cluster) explain(err error) error {
	const lines = 5
	for _, p := range c.processes {
		text, _ := os.ReadFile(filepath.Join(c.dir, p.name+".log"))
		last := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
		last = last[max(0, len(last)-lines):]
		err = fmt.Errorf("%w\n--- %s\n%s", err, p.name, bytes.Join(last, []byte("\n")))
	}
	return err
}

// eachLine returns a writer that calls tell for each line written to it, until
// the other end is closed.
func eachLine(tell func(line []byte)) io.WriteCloser {
	r, w := io.Pipe()
	go func() {
		for lines := bufio.NewReader(r); ; {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return
			}
			tell(bytes.TrimSpace(line))
		}
	}()
	return w
}
