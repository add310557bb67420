package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// scalar is a resource that is reserved as the words say: role after role, the
// dynamic ones.
func scalar(name string, amount float64, roles ...string) J {
	r := J{"name": name, "type": "SCALAR", "scalar": J{"value": amount}}
	var stack []J
	for _, role := range roles {
		stack = append(stack, J{"type": "DYNAMIC", "role": role})
	}
	if len(stack) > 0 {
		r["reservations"] = stack
	}
	return r
}

// form posts a form of the older endpoints.
func form(t *testing.T, n *cluster.Node, path, agent, key string, rs ...J) (status int, answer string) {
	t.Helper()
	text, err := json.Marshal(rs)
	if err != nil {
		t.Fatal(err)
	}
	values := url.Values{"slaveId": {agent}, key: {string(text)}}
	reply, err := cluster.Do("POST", n.URL+path, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, values.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return reply.Status, reply.Body
}

// reservedFor waits until an agent and its master say that so much is reserved
// for a role of a resource, dynamically.
func reservedFor(t *testing.T, c *cluster.Cluster, role, name string, want float64) {
	t.Helper()
	cluster.Eventually(t, soon, func() error {
		row := cluster.MustGet(t, c.Master.URL+"/slaves").List("slaves")[0]
		own := cluster.MustGet(t, c.Agents[0].URL+"/state")
		for who, value := range map[string]cluster.Value{"master": row, "agent": own} {
			if got := value.Get("reserved_resources").Get(role).Number(name); got != want {
				return fmt.Errorf("the %s says that %g of %s are reserved for %s, not %g", who, got, name, role, want)
			}
		}
		return nil
	})
}

// TestOperatorOperations: operators reserve, make a volume, re-reserve for
// another role, delete and free, by the calls and by the older endpoints; what
// they have done survives master and agent, and a framework of the role gets it.
func TestOperatorOperations(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	id := cluster.MustGet(t, c.Master.URL+"/slaves").List("slaves")[0].Text("id")
	agent := J{"value": id}
	disk := scalar("disk", 64, "ops")
	volume := scalar("disk", 64, "ops")
	volume["disk"] = J{"persistence": J{"id": "v1"}, "volume": J{"mode": "RW", "container_path": "data"}}
	folder := filepath.Join(c.Agents[0].WorkDir, "volumes/roles/ops/v1")
	there := func(want bool) {
		t.Helper()
		cluster.Eventually(t, soon, func() error {
			if _, err := os.Stat(folder); (err == nil) != want {
				return errors.New("the volume's folder is there or not, and should not be so")
			}
			return nil
		})
	}
	call := func(kind, field string, value J) {
		t.Helper()
		value["agent_id"] = agent
		reply, err := cluster.Post(c.Master.URL+"/api/v1", nil, J{"type": kind, field: value})
		if err != nil || reply.Status != 202 {
			t.Fatalf("%s %v: %v, %d %s", kind, value, err, reply.Status, reply.Body)
		}
	}

	call("RESERVE_RESOURCES", "reserve_resources", J{"resources": []J{scalar("cpus", 2, "dev"), disk}})
	reservedFor(t, c, "dev", "cpus", 2)
	call("RESERVE_RESOURCES", "reserve_resources", J{"source": []J{scalar("cpus", 2, "dev")}, "resources": []J{scalar("cpus", 2, "ops")}})
	reservedFor(t, c, "ops", "cpus", 2)
	reservedFor(t, c, "dev", "cpus", 0)
	call("CREATE_VOLUMES", "create_volumes", J{"volumes": []J{volume}})
	there(true)

	c.Master.Kill9()
	c.Agents[0].Kill9()
	c.Master.Restart(t)
	c.Agents[0].Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, c.Agents[0]) })
	reservedFor(t, c, "ops", "cpus", 2)
	info := inRole("ops", "ops")
	info["capabilities"] = append(info["capabilities"].([]J), J{"type": "RESERVATION_REFINEMENT"})
	s := cluster.Subscribe(t, c.Master, info)
	if offer := s.AwaitOffer(); !hasVolume(offer, "v1") || cpusOf(offer) != 4 {
		t.Errorf("the role is offered %v", offer)
	}

	call("DESTROY_VOLUMES", "destroy_volumes", J{"volumes": []J{volume}})
	there(false)
	s.Await("RESCIND", nil)
	call("UNRESERVE_RESOURCES", "unreserve_resources", J{"resources": []J{scalar("cpus", 2, "ops"), disk}})
	reservedFor(t, c, "ops", "cpus", 0)
	s.Teardown()

	for _, step := range []struct {
		path, key string
		rs        []J
	}{
		{"/reserve", "resources", []J{scalar("cpus", 1, "ops"), disk}},
		{"/create-volumes", "volumes", []J{volume}},
		{"/destroy-volumes", "volumes", []J{volume}},
		{"/master/unreserve", "resources", []J{scalar("cpus", 1, "ops"), disk}},
	} {
		if status, answer := form(t, c.Master, step.path, id, step.key, step.rs...); status != 202 || answer != "" {
			t.Fatalf("%s: %d %s", step.path, status, answer)
		}
		there(step.path == "/create-volumes")
	}
	reservedFor(t, c, "ops", "disk", 0)

	// What cannot be is refused as a whole.
	for _, rs := range [][]J{
		{scalar("cpus", 3, "ops"), scalar("cpus", 3, "dev")},
		{scalar("cpus", 1, "ops"), scalar("mem", 1e9, "ops")},
	} {
		if status, answer := form(t, c.Master, "/reserve", id, "resources", rs...); status != 409 {
			t.Errorf("/reserve %v: %d %s", rs, status, answer)
		}
	}
	for _, value := range []any{-1, "NaN", "Infinity", "-Infinity", 1e300} {
		bad := scalar("cpus", 1, "ops")
		bad["scalar"] = J{"value": value}
		for path, key := range map[string]string{"/reserve": "resources", "/unreserve": "resources", "/create-volumes": "volumes", "/destroy-volumes": "volumes"} {
			if status, answer := form(t, c.Master, path, id, key, scalar("mem", 1, "ops"), bad); status != 400 {
				t.Errorf("%s of %v CPUs: %d %s", path, value, status, answer)
			}
		}
	}
	ports := func(role string, from, to int) J {
		r := scalar("ports", 0, role)
		delete(r, "scalar")
		r["type"], r["ranges"] = "RANGES", J{"range": []J{{"begin": from, "end": to}}}
		return r
	}
	if status, answer := form(t, c.Master, "/reserve", id, "resources", scalar("cpus", 1, "ops"), ports("ops", 31000, 31010), ports("dev", 31005, 31020)); status != 400 {
		t.Errorf("ports that overlap: %d %s", status, answer)
	}
	if got := cluster.MustGet(t, c.Master.URL+"/slaves").List("slaves")[0].Get("reserved_resources").String(); got != "{}" {
		t.Errorf("reserved is %s", got)
	}
}
