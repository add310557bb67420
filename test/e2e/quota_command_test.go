package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestQuotaCommands tries, sets, lists and unsets quotas and weights by the
// commands for that. What a dry run says of a quota is what then comes of it.
func TestQuotaCommands(t *testing.T) {
	t.Parallel()
	master := cluster.StartMaster(t, "--roles=web,web/shop,batch")
	cluster.StartAgent(t, master, "--resources=cpus:4;mem:4096;cpus(batch):1;disk:100")
	s := cluster.Subscribe(t, master, inRole("shop", "web/shop"))
	offer := s.AwaitOffer()
	s.Launch(offer, 1000, withResources(cluster.Task(offer, "t", "sleep 1000"), 2, 512))
	s.AwaitState("t", "TASK_RUNNING")
	// says runs a command and checks what it says, in which … stands for anything.
	says := func(status int, want string, args ...string) string {
		t.Helper()
		p := meseta(t, append(args, "--master="+master.Addr)...)
		got, log := p.Exit(time.Minute).ExitCode(), strings.TrimSpace(p.Log())
		if got != status || !like(log, want) {
			t.Errorf("meseta %s: exit status %d, want %d, and it says\n%s\nwant\n%s", strings.Join(args, " "), got, status, log, want)
		}
		return log
	}
	set := func(args ...string) []string { return append([]string{"quota", "set"}, args...) }

	for _, refused := range []struct {
		args []string
		why  string
	}{
		{[]string{"batch", "--guarantee=cpus:6"}, "Invalid QuotaConfig: total quota guarantees 'cpus:6' exceed cluster capacity 'cpus:5; disk:100; mem:4096' (use 'force' flag to bypass this check)\n'meseta quota --all' …"},
		{[]string{"web", "--limit=mem:511"}, "Invalid QuotaConfig: Role 'web' is already consuming 'cpus:2; mem:512'; this is more than the requested limits 'mem:511' (use 'force' flag to bypass this check)\n…--force …"},
		{[]string{"web", "--guarantee=cpus:2", "--limit=cpus:1"}, "Invalid QuotaConfig: 'QuotaConfig.guarantees' cpus:2 is not contained within the 'QuotaConfig.limits' cpus:1\n…--limit …"},
		{[]string{"web/shop", "--guarantee=cpus:1"}, "Updating quota on nested role 'web/shop' is not supported yet\n…top-level…"},
		{[]string{"other", "--guarantee=cpus:1"}, "Invalid QuotaConfig: 'other' is not on the roles whitelist\n…--roles…"},
		{[]string{"web", "--guarantee=cpus:2000000000000"}, "Invalid QuotaConfig: Invalid 'QuotaConfig.guarantees': …"},
	} {
		says(1, "RESOURCE…would refuse this: "+refused.why, set(append(refused.args, "--dry-run")...)...)
		says(1, "meseta: …"+refused.why, set(refused.args...)...)
	}
	says(0, "RESOURCE…cpus …2 …0 …- → 3 …- → 8 …1…mem …512 …0 …- → 1024 …- …512…The master would set this.…"+
		"cpus:1; mem:512 is kept back from other roles until web has its guarantee.…Nothing was set.…",
		set("web", "--guarantee=cpus:3;mem:1024", "--limit=cpus:8", "--dry-run")...)
	says(0, `{"role":"batch",…"kept_back":{"cpus":4},…`, set("batch", "--guarantee=cpus:5", "--dry-run", "--json")...)
	says(0, "ROLE  RESOURCE  CONSUMED  OFFERED  GUARANTEE  LIMIT  STANDING", "quota")

	says(0, "", set("web", "--guarantee=cpus:3;mem:1024", "--limit=cpus:8")...)
	says(0, "ROLE…web …cpus …2 …0 …3 …8 …1 below its guarantee…web …mem …512 …0 …1024 …- …512 below its guarantee", "quota")
	says(0, "ROLE…batch …cpus …1 …0 …- …-…", "quota", "--all")
	says(0, "", set("web", "--limit=cpus:2.5;mem:2048", "--guarantee=cpus:2")...)
	says(0, "", set("web", "--guarantee=")...)
	says(0, `{…"configs":[{"role":"web","limits":{"cpus":{"value":2.5},"mem":{"value":2048.0}}}]}`, "quota", "--json")
	says(0, "", set("batch", "--guarantee=cpus:50", "--force")...)
	says(1, "meseta: role bacth has no quota, and nothing was changed\n'meseta quota' lists those that have", "quota", "unset", "web", "bacth")
	says(0, "", "quota", "unset", "web") // though what is left is more than the cluster has
	says(0, "", "quota", "unset", "batch")
	says(0, "ROLE…STANDING", "quota")

	says(0, "", "weights", "set", "web=2", "web/shop=1.5")
	says(0, "ROLE      WEIGHT\nweb       2\nweb/shop  1.5", "weights")
	says(0, "", "weights", "set", "web=1")
	says(0, `{"weight_infos":[{"weight":1.0,"role":"web"},{"weight":1.5,"role":"web/shop"}]}`, "weights", "--json")
	says(1, "…Unknown role 'other'\n…--roles…", "weights", "set", "web=3", "other=1")
	cluster.Healthy(t, master)
}
