package e2e

import (
	"fmt"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

func domainFlag(region string) string {
	return fmt.Sprintf(`--domain={"fault_domain":{"region":{"name":%q},"zone":{"name":"z"}}}`, region)
}

// TestDomains: an agent in another region than the master's is offered to
// frameworks with REGION_AWARE only, and what it told of its domain is in its
// offers. It may not change its domain over a restart. With
// --require_agent_domain one that has none stays outside.
func TestDomains(t *testing.T) {
	t.Parallel()
	master := cluster.StartMaster(t, domainFlag("home"), "--require_agent_domain")
	near := cluster.StartAgent(t, master, domainFlag("home"), "--resources=cpus:1;mem:512")
	far := cluster.StartAgent(t, master, domainFlag("abroad"), "--resources=cpus:2;mem:512")
	without := cluster.NewAgent(t, master.Addr)
	without.Ready(t)

	info := durable("plain")
	s := cluster.Subscribe(t, master, info)
	local := s.AwaitOffer()
	if got := local.Text("domain.fault_domain.region.name"); cpusOf(local) != 1 || got != "home" {
		t.Errorf("without REGION_AWARE the offer is %v", local)
	}
	aware := durable("aware")
	aware["capabilities"] = append(aware["capabilities"].([]J), J{"type": "REGION_AWARE"})
	remote := cluster.Subscribe(t, master, aware).AwaitOffer()
	if got := remote.Text("domain.fault_domain.region.name"); cpusOf(remote) != 2 || got != "abroad" {
		t.Errorf("with REGION_AWARE the offer is %v", remote)
	}
	if got := cluster.MustGet(t, master.URL+"/state").Text("domain.fault_domain.region.name"); got != "home" {
		t.Errorf("the master says that it is in %q", got)
	}
	if cluster.Registered(master, without) == nil {
		t.Error("an agent without a domain was let in")
	}
	if most := mostCPUs(s); most != 1 {
		t.Errorf("without REGION_AWARE %g CPUs were offered", most)
	}
	if err := cluster.Registered(master, near); err != nil {
		t.Error(err)
	}

	far.Kill9()
	for i, arg := range far.Args {
		if arg == domainFlag("abroad") {
			far.Args[i] = domainFlag("home")
		}
	}
	far.Process.Start()
	if far.Exit(cluster.Patience).Success() {
		t.Error("the agent has started in another domain than it was in")
	}
}

// TestDomainRefused: a master without a domain lets no agent in that has one.
func TestDomainRefused(t *testing.T) {
	t.Parallel()
	master := cluster.StartMaster(t)
	agent := cluster.NewAgent(t, master.Addr, domainFlag("home"))
	agent.Ready(t)
	master.WaitLog("it has a domain, the master has none", cluster.Patience)
	if cluster.Registered(master, agent) == nil {
		t.Error("it was let in")
	}
}
