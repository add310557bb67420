package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestUserNamespaces: with the isolator a task that is root is nobody on the
// machine, and so is one of a pod, and a session in it.
func TestUserNamespaces(t *testing.T) {
	t.Parallel()
	const first = 1879048192
	flags := []string{"--isolation=cgroups/cpu,cgroups/mem,namespaces/pid,namespaces/ipc,linux/capabilities,namespaces/user", fmt.Sprintf("--user_namespace_ids=%d-%d", first, first+65535)}
	eachOCIRuntimeWith(t, flags, func(t *testing.T, c *containers) {
		for dir := c.agent.WorkDir; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) { // a test's own folders let nobody pass
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		s := cluster.Subscribe(t, c.Master, durable("users"))
		const script = "id -u >who; echo $$ >pid; exec sleep 1000"
		offer := s.AwaitOffer()
		s.Launch(offer, 0, cluster.Task(offer, "t", script))
		container := s.AwaitState("t", "TASK_RUNNING").At("container_status.container_id")
		offer = s.AwaitOffer()
		launchPod(s, offer, "pod", cluster.Task(offer, "p", script))
		s.AwaitState("p", "TASK_RUNNING")
		for _, pattern := range []string{"executors/t/runs/latest/who", "executors/pod/runs/latest/tasks/p/who"} {
			var files []string
			cluster.Eventually(t, soon, func() error {
				files, _ = filepath.Glob(filepath.Join(c.agent.WorkDir, "slaves/*/frameworks/*", pattern))
				if len(files) != 1 {
					return fmt.Errorf("%d files %s", len(files), pattern)
				}
				return nil
			})
			info, err := os.Stat(files[0])
			if err != nil {
				t.Fatal(err)
			}
			cluster.Eventually(t, soon, func() error {
				if text, err := os.ReadFile(files[0]); string(text) != "0\n" {
					return fmt.Errorf("user %q, %w", text, err)
				}
				return nil
			})
			if uid := info.Sys().(*syscall.Stat_t).Uid; uid != first {
				t.Errorf("%s is of user %d on the machine", pattern, uid)
			}
		}
		out := cluster.OpenSession(t, c.agent, J{"value": "look", "parent": container}, "id -u; cat /proc/self/uid_map", false)
		if err := out.End(); err != nil || !strings.HasPrefix(out.Text(), "0\n") || !strings.Contains(out.Text(), strconv.Itoa(first)) {
			t.Errorf("a session: %q, %v", out.Text(), err)
		}
		s.Teardown()
		c.checkNothingLeft(t)
	})
}
