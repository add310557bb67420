package cni

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
	"golang.org/x/sys/unix"
)

// outputMax bounds what is kept of a plugin's output, bytes.
const outputMax = 1 << 20

// runner runs plugins. They inherit the lock of the container's folder: as long as
// one runs, even one whose agent was killed, nobody else works on the container.
type runner struct {
	version.PluginDecoder
	lock *os.File
}

// pluginError is a plugin's failure.
type pluginError struct {
	path           string
	stdout, stderr string
}

func (e *pluginError) Error() string {
	return fmt.Sprintf("plugin %s: stdout='%s', stderr='%s'", e.path, e.stdout, e.stderr)
}

// ExecPlugin implements invoke.Exec.
func (r *runner) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	var stdout, stderr limited
	cmd := exec.CommandContext(ctx, path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	cmd.Env, cmd.ExtraFiles, cmd.WaitDelay = environ, []*os.File{r.lock}, time.Second
	// What is sent to the agent's process group is not for plugins: few can be run
	// again after they were killed in the middle of something.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Run(); err != nil {
		if stderr.Len() == 0 {
			stderr.WriteString(err.Error())
		}
		return nil, &pluginError{path, stdout.String(), stderr.String()}
	}
	return stdout.Bytes(), nil
}

// FindInPath implements invoke.Exec.
func (r *runner) FindInPath(plugin string, paths []string) (string, error) {
	return invoke.FindInPath(plugin, paths)
}

// limited keeps the beginning of what is written to it.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	l.Buffer.Write(p[:min(len(p), max(0, outputMax-l.Len()))])
	return len(p), nil
}

// library returns the library that runs the plugins for one container.
func (n *Networks) library(dir string, lock *os.File) *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir(filepath.SplitList(n.cfg.PluginsDir), filepath.Join(dir, "cache"), &runner{lock: lock})
}

// lockDir locks a container's folder. It waits for plugins that still run.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(pluginTimeout); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
		case time.Now().After(end):
			return nil, errors.Join(fmt.Errorf("lock %s: a plugin does not end", f.Name()), f.Close())
		}
	}
}

// add runs the plugins that make an interface.
func (n *Networks) add(id string, l *link, lock *os.File) (*types100.Result, error) {
	list, err := libcni.NetworkConfFromBytes(l.config)
	if err != nil {
		return nil, fmt.Errorf("configuration of CNI network '%s': %w", l.network, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), pluginTimeout)
	defer cancel()
	said, err := n.library(l.container, lock).AddNetworkList(ctx, list, runtimeConf(id, l, filepath.Join(l.container, "ns")))
	if err != nil {
		return nil, failure("attach", id, "to", l, err)
	}
	return types100.NewResultFromResult(said)
}

// del runs the plugins that unmake an interface. There is no namespace any more
// after the machine was started again.
func (n *Networks) del(id string, l *link, namespace string, lock *os.File) error {
	list, err := libcni.NetworkConfFromBytes(l.config)
	if err != nil {
		return fmt.Errorf("configuration of CNI network '%s': %w", l.network, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), pluginTimeout)
	defer cancel()
	if err := n.library(l.container, lock).DelNetworkList(ctx, list, runtimeConf(id, l, namespace)); err != nil {
		return failure("detach", id, "from", l, err)
	}
	return nil
}

// failure says in Mesos's words which plugin has failed.
func failure(what, id, where string, l *link, err error) error {
	if plugin, ok := errors.AsType[*pluginError](err); ok {
		return fmt.Errorf("The CNI plugin '%s' failed to %s container %s %s CNI network '%s': stdout='%s', stderr='%s'", //nolint:staticcheck // Mesos's words
			plugin.path, what, id, where, l.network, plugin.stdout, plugin.stderr)
	}
	return fmt.Errorf("%s container %s %s CNI network '%s': %w", what, id, where, l.network, err)
}

// portMapping is a port of the machine's for one of the container's, as plugins
// with the capability portMappings take it.
type portMapping struct {
	HostPort      uint32 `json:"hostPort"`
	ContainerPort uint32 `json:"containerPort"`
	Protocol      string `json:"protocol"`
}

func runtimeConf(id string, l *link, namespace string) *libcni.RuntimeConf {
	rt := &libcni.RuntimeConf{ContainerID: id, NetNS: namespace, IfName: l.ifName, CapabilityArgs: map[string]any{}}
	if ports := portMappings(l.info); len(ports) > 0 {
		rt.CapabilityArgs["portMappings"] = ports
	}
	return rt
}
