package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/meseta-project/meseta/internal/flags"
)

// devOptions are the flags of "meseta dev".
type devOptions struct {
	Masters        int
	Agents         int
	Resources      string
	WorkDir, IP    string
	Port, FromPort uint16
}

// leaveTime is how long the agents have to end what they run.
const leaveTime = 10 * time.Second

func devCommand() *cobra.Command {
	var o devOptions
	set := flags.New("MESETA_DEV_")
	set.Group("Cluster")
	set.Count(&o.Masters, "masters", 1, "How many masters to start: 1, or at least 3, which elect a leader among them.")
	set.Count(&o.Agents, "agents", 1, "How many agents to start.")
	set.String(&o.Resources, "resources", "", "What each agent offers, such as 'cpus:4;mem:2048'. By default what the machine has.").Optional()
	set.Path(&o.WorkDir, "work_dir", "", "Folder to keep the cluster in over restarts. By default a temporary one, deleted at the end.").Optional()
	set.String(&o.IP, "ip", "127.0.0.1", "IP address to listen on.")
	set.Port(&o.Port, "port", 5050, "Port of the master; of several, the others have it plus 10, 20, …; 0 for any that are free.")
	set.Port(&o.FromPort, "agent_port", 5051, "Port of the first agent, the others following; 0 for any that are free.")
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a whole cluster in the foreground, for developing against",
		Long: "Runs a master and agents in one process, on loopback, until Ctrl-C.\n" +
			"Several masters are processes of their own, to be killed and started again.\n" +
			"What the cluster runs ends with it.",
		Example: "  meseta dev\n" +
			"  meseta dev --agents 3 --resources 'cpus:2;mem:1024'\n" +
			"  meseta dev --masters 3              # kill the leader, and see what happens\n" +
			"  meseta dev --work_dir ~/.meseta     # keeps its tasks' files",
	}
	return daemon("WARNING", cmd, set, func(ctx context.Context, log *logs) error {
		return runDev(ctx, &o, log, cmd.OutOrStdout())
	})
}

// devCluster is a master and its agents, in this process, or several masters in
// processes of their own.
type devCluster struct {
	master  *openMaster // or nil
	masters *devMasters // or nil
	agents  []*openAgent
	log     *logs
}

func runDev(ctx context.Context, o *devOptions, log *logs, out io.Writer) error {
	begin := time.Now()
	switch {
	case o.Agents < 1:
		return errNoAgents
	case o.Masters < 1 || o.Masters == 2:
		return errMasters
	}
	if o.WorkDir == "" {
		dir, err := os.MkdirTemp("", "meseta-dev-")
		if err != nil {
			return fmt.Errorf("make a folder for the cluster: %w", err)
		}
		defer os.RemoveAll(dir)
		o.WorkDir = dir
	}
	if err := os.MkdirAll(o.WorkDir, 0o755); err != nil {
		return fmt.Errorf("make the --work_dir: %w", err)
	}
	c, err := openDev(o, log, out)
	if err != nil {
		return err
	}
	// The servers outlive ctx: they are ended in order, agents first.
	serving, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var work sync.WaitGroup
	work.Go(func() { stop(ended(c.runMasters(serving), "master")) })
	var agents sync.WaitGroup
	for _, a := range c.agents {
		agents.Go(func() {
			if err := a.run(serving); err != nil {
				stop(ended(err, "agent"))
			}
		})
	}
	defer work.Wait()
	defer agents.Wait()

	if err := c.ready(ctx, serving); err != nil {
		stop(err)
		return err
	}
	c.banner(out, o, time.Since(begin))
	if c.masters != nil {
		c.masters.shown.Store(true)
		work.Go(func() { _ = c.masters.follow(serving) }) // the addresses are well formed: they are ours
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(out, "\nEnding what runs …")
		c.leave(&agents)
		stop(nil)
		return nil
	case <-serving.Done():
		return context.Cause(serving)
	}
}

func ended(err error, who string) error {
	if err == nil {
		return fmt.Errorf("the %s has ended", who)
	}
	return fmt.Errorf("the %s: %w", who, err)
}

func (c *devCluster) runMasters(ctx context.Context) error {
	if c.master != nil {
		return c.master.run(ctx)
	}
	return c.masters.run(ctx)
}

func openDev(o *devOptions, log *logs, out io.Writer) (*devCluster, error) {
	c := &devCluster{log: log}
	if err := c.openMasters(o, out); err != nil {
		return nil, err
	}
	for i := range o.Agents {
		a, err := openDevAgent(o, i, c.where(), log)
		if err != nil {
			return nil, err
		}
		c.agents = append(c.agents, a)
	}
	return c, nil
}

func (c *devCluster) openMasters(o *devOptions, out io.Writer) (err error) {
	if o.Masters > 1 {
		c.masters, err = openDevMasters(o, c.log.Logger, out)
		return err
	}
	m := newMasterFlags()
	err = m.set(map[string]string{"ip": o.IP, "port": port(o.Port), "work_dir": filepath.Join(o.WorkDir, "master"), "cluster": "dev"})
	if err == nil {
		c.master, err = m.open(c.log.part("master"))
	}
	return err
}

// where names the masters, for agents.
func (c *devCluster) where() string {
	if c.masters != nil {
		return c.masters.addresses()
	}
	at := c.master.info.GetAddress()
	return fmt.Sprintf("%s:%d", at.GetIp(), at.GetPort())
}

func openDevAgent(o *devOptions, i int, master string, log *logs) (*openAgent, error) {
	name := "agent" + strconv.Itoa(i+1)
	from := o.FromPort
	if from != 0 {
		from += uint16(i)
	}
	values := map[string]string{
		"ip": o.IP, "port": port(from), "master": master,
		"work_dir": filepath.Join(o.WorkDir, name), "runtime_dir": filepath.Join(o.WorkDir, name, "run"),
		"fetcher_cache_dir": filepath.Join(o.WorkDir, name, "fetch"),
		// It is a small cluster: nobody gains by waiting.
		"registration_backoff_factor": "20ms",
	}
	if o.Resources != "" {
		values["resources"] = o.Resources
	}
	f := newAgentFlags()
	if err := f.set(values); err != nil {
		return nil, err
	}
	return f.open(log.part(name))
}

func port(p uint16) string { return strconv.Itoa(int(p)) }

// set gives flags values as a command line would.
func (f *masterFlags) set(values map[string]string) error { return setFlags(f.Set, values) }

func (f *agentFlags) set(values map[string]string) error { return setFlags(f.Set, values) }

func setFlags(set *flags.Set, values map[string]string) error {
	args := make([]string, 0, len(values))
	for name, value := range values {
		args = append(args, "--"+name+"="+value)
	}
	_, err := set.Parse(args, nil)
	return err
}

// ready waits until all agents are registered.
func (c *devCluster) ready(ctx, serving context.Context) error {
	pause := 2 * time.Millisecond
	if c.masters != nil {
		pause = 25 * time.Millisecond // they are asked over the network
	}
	for {
		known, err := c.known(ctx)
		if err != nil {
			return err
		}
		if known >= len(c.agents) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-serving.Done():
			return context.Cause(serving)
		case <-time.After(pause):
		}
	}
}

// known returns how many agents are registered.
func (c *devCluster) known(ctx context.Context) (int, error) {
	if c.masters != nil {
		n, err := c.masters.agents(ctx)
		if err != nil && ctx.Err() == nil {
			return 0, nil // nobody leads yet
		}
		return n, err
	}
	snapshot, err := c.master.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	return snapshot.Agents.Len(), nil
}

// leave makes the agents end what they run, for a while.
func (c *devCluster) leave(agents *sync.WaitGroup) {
	for _, a := range c.agents {
		a.Unregister("The cluster was stopped")
	}
	left := make(chan struct{})
	go func() {
		agents.Wait()
		close(left)
	}()
	select {
	case <-left:
	case <-time.After(leaveTime):
		c.log.Warn("tasks did not end in time and are killed")
	}
}

func (c *devCluster) banner(out io.Writer, o *devOptions, took time.Duration) {
	masters := strings.Split(c.where(), ",")
	fmt.Fprintf(out, "\nMeseta is ready after %d ms.\n\n", took.Milliseconds())
	for _, master := range masters {
		fmt.Fprintf(out, "  master   http://%s\n", master)
	}
	for _, a := range c.agents {
		fmt.Fprintf(out, "  agent    http://%s\n", a.address)
	}
	fmt.Fprintf(out, "  files    %s\n\nNext, in another terminal:\n\n", o.WorkDir)
	option, master := "", masters[0]
	if c.where() != "127.0.0.1:5050" {
		option = " --master " + c.where()
	}
	for _, next := range [][2]string{
		{"meseta run" + option + " -- echo hello", "run a command on the cluster"},
		{"meseta run" + option + " -n 10 -- sleep 1", "run it ten times"},
		{"meseta status" + option, "look at it; also agents, frameworks, tasks, logs"},
	} {
		advise(out, next[0], next[1])
	}
	fmt.Fprintf(out, "\nFrameworks subscribe at http://%s/api/v1/scheduler. Ctrl-C ends the cluster.\n", master)
}

// advise prints a command and what it is for.
func advise(out io.Writer, command, what string) {
	if len(command) > 50 {
		command += "\n  " + strings.Repeat(" ", 50)
	}
	fmt.Fprintf(out, "  %-50s %s\n", command, what)
}

var errMasters = errors.New("--masters must be 1, or at least 3: of two, none can go on without the other")

var errNoAgents = errors.New("--agents must be at least 1: a cluster without agents runs nothing")
