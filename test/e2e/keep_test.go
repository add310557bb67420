package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// keeper gives tasks persistent volumes at random: new ones, and those that others have
// left, some of which it destroys.
type keeper struct {
	r    *rand.Rand
	made int
	used int
}

const keeperRole = "messy"

// framework returns one in the keeper's role.
func (k *keeper) framework() J {
	info := inRole("messy", keeperRole)
	info["capabilities"] = append(info["capabilities"].([]J), J{"type": "RESERVATION_REFINEMENT"})
	return info
}

// give gives one of the tasks a volume, maybe, and returns what is to be done before.
func (k *keeper) give(offer cluster.Value, tasks []J) (before []J) {
	var volume J
	for _, r := range offer.List("resources") {
		if r.Text("disk.persistence.id") == "" {
			continue
		}
		is, _ := r.V.(J)
		if volume == nil && k.r.IntN(2) == 0 {
			volume = is
			k.used++
		} else if k.r.IntN(2) == 0 {
			before = append(before, destroyed(is)...)
		}
	}
	if volume == nil && k.r.IntN(2) == 0 {
		k.made++
		var reserved J
		reserved, volume = volumeDisk(keeperRole, fmt.Sprintf("v%d", k.made))
		before = append(before, J{"type": "RESERVE", "reserve": J{"resources": []J{reserved}}}, J{"type": "CREATE", "create": J{"volumes": []J{volume}}})
	}
	if volume != nil {
		task := tasks[k.r.IntN(len(tasks))]
		task["resources"] = append(task["resources"].([]J), volume)
	}
	return before
}

// destroyed is what makes a volume unreserved disk again.
func destroyed(volume J) []J {
	disk := maps.Clone(volume)
	delete(disk, "disk")
	return []J{
		{"type": "DESTROY", "destroy": J{"volumes": []J{volume}}},
		{"type": "UNRESERVE", "unreserve": J{"resources": []J{disk}}},
	}
}

// end destroys the volumes that there are: nothing of them is to be left either.
func (k *keeper) end(t *testing.T, c *containers) {
	t.Helper()
	s := cluster.Subscribe(t, c.Master, k.framework())
	cluster.Eventually(t, 3*soon, func() error {
		left, _ := filepath.Glob(filepath.Join(c.agent.WorkDir, "volumes/roles/*/*"))
		if len(left) == 0 {
			return nil
		}
		offers, err := s.Poll("OFFERS", nil, time.Second)
		if err != nil {
			return fmt.Errorf("left: %q", left)
		}
		for _, offer := range offers.List("offers.offers") {
			var all []J
			for _, r := range offer.List("resources") {
				if r.Text("disk.persistence.id") != "" {
					all = append(all, destroyed(r.V.(J))...)
				}
			}
			s.Accept(offer, 0, all...)
		}
		return fmt.Errorf("left: %q", left)
	})
	s.Teardown()
}

// drive returns containers that have volumes of a plugin, without an image and with one.
// They are shared by those of many tasks.
func drive(p *cluster.VolumePlugin) (rooms []J) {
	for i := range 3 {
		name := fmt.Sprintf("shared%d", i)
		plain := J{"type": "MESOS", "volumes": []J{driven(p, name, "mnt/shared", "late", fmt.Sprintf("%dms", 100*i))}}
		image := boxed("box:1")
		image["volumes"] = []J{driven(p, name, "/mnt/shared", "late", fmt.Sprintf("%dms", 100*i)), driven(p, "other", "mine")}
		rooms = append(rooms, plain, image)
	}
	return append(rooms, J{"type": "MESOS", "volumes": []J{driven(p, "refused", "v", "answer", `{"Err": "no"}`)}})
}
