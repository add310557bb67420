package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestLook asks a cluster by every command that looks at it.
func TestLook(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	look := func(status int, args ...string) string {
		t.Helper()
		p := meseta(t, append(args, "--master="+c.Master.Addr)...)
		if got := p.Exit(time.Minute).ExitCode(); got != status {
			t.Errorf("meseta %s: exit status %d, want %d", strings.Join(args, " "), got, status)
		}
		return p.Log()
	}
	if got := look(0, "status"); !strings.Contains(got, "1 active") || !strings.Contains(got, "tasks       none") {
		t.Errorf("status:\n%s", got)
	}
	web := meseta(t, "run", "--master="+c.Master.Addr, "--name", "web", "--", "sh", "-c", "echo first; echo other >&2; sleep 1000")
	web.WaitLog("first", time.Minute)
	for _, test := range []struct {
		args  []string
		words []string
	}{
		{[]string{"status"}, []string{c.Master.Addr, "1 running", "1 of"}},
		{[]string{"agents"}, []string{"HOSTNAME", "active", "1/"}},
		{[]string{"agents", "--json"}, []string{`"agent_info":{`}},
		{[]string{"frameworks"}, []string{"web", "active"}},
		{[]string{"tasks"}, []string{"web-1", "running"}},
		{[]string{"tasks", "--framework", "nobody"}, []string{"STATE"}},
		{[]string{"logs", "web-1"}, []string{"first"}},
		{[]string{"logs", "--stderr", "web-1"}, []string{"other"}},
	} {
		got := look(0, test.args...)
		for _, word := range test.words {
			if !strings.Contains(got, word) {
				t.Errorf("meseta %s has no %q:\n%s", strings.Join(test.args, " "), word, got)
			}
		}
	}
	if got := look(1, "logs", "nobody"); !strings.Contains(got, "meseta tasks --all") {
		t.Errorf("logs of nobody: %s", got)
	}
	follow := meseta(t, "logs", "--master="+c.Master.Addr, "-f", "web-1")
	follow.WaitLog("first", time.Minute)
	framework := cluster.MustGet(t, c.Master.URL+"/frameworks").List("frameworks")[0].Text("id")
	look(0, "teardown", framework)
	if state := follow.Exit(time.Minute); !state.Success() {
		t.Errorf("logs -f ends with %v", state)
	}
	web.Exit(time.Minute)
	if got := look(0, "frameworks", "--all"); !strings.Contains(got, "over") {
		t.Errorf("frameworks:\n%s", got)
	}
}
