package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/meseta-project/meseta/internal/launcher"
)

// output is where what a container writes goes.
type output struct {
	stdout, stderr io.WriteCloser
	skip           [2]int64 // bytes that are there already, of each
}

// copyOutput copies all that the container writes, until it has ended. What the
// Engine cannot tell is said where people look.
func (p *Process) copyOutput(o *output) {
	defer o.stdout.Close()
	defer o.stderr.Close()
	for told := false; ; {
		found, gone := p.e.inspect(p.id)
		// Who follows a container to its end may miss the last of what it has
		// written: the Engine has it all when it says that it is over.
		over := errors.Is(gone, launcher.ErrGone) || gone == nil && !found.State.Running
		err := p.copyOnce(o)
		if err != nil && !told && !errors.Is(gone, launcher.ErrGone) {
			told = true
			fmt.Fprintf(o.stderr, "Cannot read more of what container %s writes: %v\n", name(p.id), err)
		}
		switch {
		case over:
			return
		case err != nil:
			time.Sleep(retry)
		default:
			time.Sleep(soon)
		}
	}
}

// soon is how long an Engine may take to say that a container is over of which it
// has told all.
const soon = 10 * time.Millisecond

func (p *Process) copyOnce(o *output) error {
	logs, err := p.e.api.ContainerLogs(context.Background(), name(p.id), client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err != nil {
		return err
	}
	defer logs.Close()
	stdout, stderr := &skipping{to: o.stdout, left: o.skip[0]}, &skipping{to: o.stderr, left: o.skip[1]}
	_, err = stdcopy.StdCopy(stdout, stderr, logs)
	// The logs begin anew when they are asked for again.
	o.skip = [2]int64{max(o.skip[0], stdout.seen), max(o.skip[1], stderr.seen)}
	return err
}

// skipping drops the first bytes, and counts all.
type skipping struct {
	to         io.Writer
	left, seen int64
}

// Write implements io.Writer.
func (s *skipping) Write(p []byte) (int, error) {
	drop := min(s.left, int64(len(p)))
	s.left -= drop
	s.seen += int64(len(p))
	if _, err := s.to.Write(p[drop:]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// isOf guards against a process number that has gone to another: the cgroups of a
// container's processes are named after the Engine's own id of the container.
func isOf(pid int, engineID string) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	return err == nil && engineID != "" && strings.Contains(string(text), engineID)
}
