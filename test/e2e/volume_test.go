package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// volumeDisk is a reservation of disk for a role, and what CREATE makes of it.
func volumeDisk(role, id string) (reserved, volume J) {
	disk := func() J {
		return J{
			"name": "disk", "type": "SCALAR", "scalar": J{"value": 64}, "allocation_info": J{"role": role},
			"reservations": []J{{"type": "DYNAMIC", "role": role}},
		}
	}
	volume = disk()
	volume["disk"] = J{"persistence": J{"id": id}, "volume": J{"mode": "RW", "container_path": "data"}}
	return disk(), volume
}

// withVolume is a task that has a volume.
func withVolume(offer cluster.Value, id, command string, volume J) J {
	task := cluster.Task(offer, id, command)
	task["resources"] = append(cluster.Resources(0.1, 32), volume)
	return task
}

// hasVolume says whether an offer has the persistent volume.
func hasVolume(offer cluster.Value, id string) bool {
	for _, r := range offer.List("resources") {
		if r.Text("disk.persistence.id") == id {
			return true
		}
	}
	return false
}

// TestPersistentVolume: what a task has written to its volume the next one reads,
// though master and agent were killed meanwhile; no other role is offered it, and
// it is gone when it is destroyed.
func TestPersistentVolume(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	info := durable("keeper")
	info["roles"] = []string{"keep"}
	info["capabilities"] = append(info["capabilities"].([]J), J{"type": "RESERVATION_REFINEMENT"})
	s := cluster.Subscribe(t, c.Master, info)
	reserved, volume := volumeDisk("keep", "v1")
	offer := s.AwaitOffer()
	s.Accept(offer, 0,
		J{"type": "RESERVE", "reserve": J{"resources": []J{reserved}}},
		J{"type": "CREATE", "create": J{"volumes": []J{volume}}},
		J{"type": "LAUNCH", "launch": J{"task_infos": []J{withVolume(offer, "writes", "echo kept >data/file", volume)}}})
	awaitAll(t, s, "TASK_FINISHED", "writes")
	folder := filepath.Join(c.Agents[0].WorkDir, "volumes/roles/keep/v1")
	if text, err := os.ReadFile(filepath.Join(folder, "file")); err != nil || string(text) != "kept\n" {
		t.Fatalf("the volume has %q, %v", text, err)
	}
	links, _ := filepath.Glob(filepath.Join(c.Agents[0].WorkDir, "slaves/*/frameworks/*/executors/writes/runs/*/data"))
	if len(links) != 0 {
		t.Errorf("the link is still in the sandbox: %v", links)
	}

	c.Master.Kill9()
	c.Agents[0].Kill9()
	s.AwaitEnd()
	c.Master.Restart(t)
	c.Agents[0].Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, c.Agents[0]) })

	other := cluster.Subscribe(t, c.Master, cluster.Framework("other", "other"))
	if got := other.AwaitOffer(); hasVolume(got, "v1") {
		t.Errorf("another role is offered the volume: %v", got)
	}
	other.Teardown()
	s = cluster.Subscribe(t, c.Master, withID(info, s.ID))
	var back cluster.Value
	for back = s.AwaitOffer(); !hasVolume(back, "v1"); back = s.AwaitOffer() {
		s.Decline(back, 0)
	}
	s.Launch(back, 0, withVolume(back, "reads", "grep -q kept data/file", volume))
	awaitAll(t, s, "TASK_FINISHED", "reads")

	for back = s.AwaitOffer(); !hasVolume(back, "v1"); back = s.AwaitOffer() {
		s.Decline(back, 0)
	}
	s.Accept(back, 0, J{"type": "DESTROY", "destroy": J{"volumes": []J{volume}}})
	cluster.Eventually(t, soon, func() error {
		if _, err := os.Stat(folder); err == nil {
			return errors.New("the volume is still there")
		}
		return nil
	})
}

// TestVolumeOutsideTheSandbox: a volume's path that leads out of the sandbox is
// no way out.
func TestVolumeOutsideTheSandbox(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	info := durable("escaper")
	info["roles"] = []string{"out"}
	info["capabilities"] = append(info["capabilities"].([]J), J{"type": "RESERVATION_REFINEMENT"})
	s := cluster.Subscribe(t, c.Master, info)
	reserved, volume := volumeDisk("out", "v")
	volume["disk"].(J)["volume"].(J)["container_path"] = "../../escaped"
	offer := s.AwaitOffer()
	s.Accept(offer, 0,
		J{"type": "RESERVE", "reserve": J{"resources": []J{reserved}}},
		J{"type": "CREATE", "create": J{"volumes": []J{volume}}},
		J{"type": "LAUNCH", "launch": J{"task_infos": []J{withVolume(offer, "t", "true", volume)}}})
	status := s.AwaitUpdate("t")
	if state := status.Text("state"); state != "TASK_FAILED" && state != "TASK_ERROR" {
		t.Errorf("the task is %s", state)
	}
	if found, _ := filepath.Glob(filepath.Join(c.Agents[0].WorkDir, "slaves/*/frameworks/*/executors/*/escaped")); len(found) != 0 {
		t.Errorf("made outside: %v", found)
	}
}

// sized is a copy of a resource with another amount.
func sized(r J, amount float64) J {
	other := maps.Clone(r)
	other["scalar"] = J{"value": amount}
	return other
}

// volumeSize returns how large an offered volume is, and how much disk besides
// is reserved.
func volumeSize(offer cluster.Value, id string) (size, reserved float64) {
	for _, r := range offer.List("resources") {
		switch {
		case r.Text("disk.persistence.id") == id:
			size += r.Number("scalar.value")
		case r.Text("name") == "disk" && len(r.List("reservations")) > 0:
			reserved += r.Number("scalar.value")
		}
	}
	return size, reserved
}

// TestResizeVolume: a framework makes its volume larger and smaller, then an
// operator does; what is in it stays, and so does its size when master and agent
// are killed.
func TestResizeVolume(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	info := inRole("sizer", "keep")
	info["capabilities"] = append(info["capabilities"].([]J), J{"type": "RESERVATION_REFINEMENT"})
	s := cluster.Subscribe(t, c.Master, info)
	reserved, volume := volumeDisk("keep", "v1")
	offer := s.AwaitOffer()
	s.Accept(offer, 0,
		J{"type": "RESERVE", "reserve": J{"resources": []J{sized(reserved, 96)}}},
		J{"type": "CREATE", "create": J{"volumes": []J{volume}}},
		J{"type": "LAUNCH", "launch": J{"task_infos": []J{withVolume(offer, "writes", "echo kept >data/file", volume)}}})
	awaitAll(t, s, "TASK_FINISHED", "writes")
	next := func(size, reserved float64) cluster.Value {
		t.Helper()
		for range 100 {
			offer := s.AwaitOffer()
			if v, r := volumeSize(offer, "v1"); v == size && r == reserved {
				return offer
			}
			s.Decline(offer, 0)
		}
		t.Fatalf("a volume of %g and %g reserved besides are never offered:\n%s", size, reserved, cluster.MustGet(t, c.Master.URL+"/state"))
		return cluster.Value{}
	}
	offer = next(64, 32)
	s.Accept(offer, 0, J{"type": "GROW_VOLUME", "grow_volume": J{"volume": volume, "addition": sized(reserved, 16)}})
	offer = next(80, 16)
	s.Accept(offer, 0, J{"type": "SHRINK_VOLUME", "shrink_volume": J{"volume": sized(volume, 80), "subtract": J{"value": 30}}})
	s.Decline(next(50, 46), 0)

	agent := offer.At("agent_id")
	plain, own := maps.Clone(reserved), maps.Clone(volume)
	delete(plain, "allocation_info")
	delete(own, "allocation_info")
	for _, call := range []J{
		{"type": "GROW_VOLUME", "grow_volume": J{"agent_id": agent, "volume": sized(own, 50), "addition": sized(plain, 10)}},
		{"type": "SHRINK_VOLUME", "shrink_volume": J{"agent_id": agent, "volume": sized(own, 60), "subtract": J{"value": 20}}},
	} {
		if reply, err := cluster.Post(c.Master.URL+"/api/v1", nil, call); err != nil || reply.Status != 202 {
			t.Fatalf("%v: %v, %d %s", call, err, reply.Status, reply.Body)
		}
	}
	s.Decline(next(40, 56), 0)
	cluster.Eventually(t, soon, func() error { // the agent has done it all, and the master knows
		if left := cluster.Operate(t, c.Master, J{"type": "GET_OPERATIONS"}).List("get_operations.operations"); len(left) > 0 {
			return fmt.Errorf("operations go on: %v", left)
		}
		return nil
	})
	c.Master.Kill9()
	c.Agents[0].Kill9()
	s.AwaitEnd()
	c.Master.Restart(t)
	c.Agents[0].Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, c.Agents[0]) })
	s = cluster.Subscribe(t, c.Master, withID(info, s.ID))
	offer = next(40, 56)
	s.Launch(offer, 0, withVolume(offer, "reads", "grep -q kept data/file", sized(volume, 40)))
	awaitAll(t, s, "TASK_FINISHED", "reads")
}
