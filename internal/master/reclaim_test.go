package master

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

func drawQuantities(t *rapid.T, label string, most int) resources.Quantities {
	return resources.QuantitiesOf(
		resources.Quantity{Name: "cpus", Amount: resources.Amount(rapid.IntRange(0, most).Draw(t, label+" cpus")) * resources.Unit},
		resources.Quantity{Name: "mem", Amount: resources.Amount(rapid.IntRange(0, most).Draw(t, label+" mem")) * resources.Unit},
	)
}

func drawHolder(t *rapid.T, name string, total resources.Quantities) *holder {
	h := &holder{name: name, total: total, guaranteed: drawQuantities(t, "guarantee of "+name, 8)}
	frameworks := []*framework{{id: "f"}, {id: "g"}}
	for i, f := range frameworks {
		f.cell.row = &FrameworkRow{Serial: uint64(i)}
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "tasks of "+name) {
		has := drawQuantities(t, "task", 4)
		text := fmt.Sprintf("cpus:%s;mem:%s", has.Get("cpus"), has.Get("mem"))
		task := &task{framework: frameworks[rapid.IntRange(0, 1).Draw(t, "framework")]}
		task.row = &TaskRow{Serial: uint64(i), ID: ids.TaskID(fmt.Sprint(name, i)), Resources: resources.MustParse(text)}
		h.tasks = append(h.tasks, task)
		h.has = h.has.Add(has)
	}
	h.had = h.has
	return h
}

// TestChoose: of random clusters, no role is left with less than its guarantee or
// what it had of that; each task is revoked once, for something that was needed
// then; and what is still needed at the end, no task could give.
func TestChoose(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := resources.QuantitiesOf(
			resources.Quantity{Name: "cpus", Amount: 40 * resources.Unit}, resources.Quantity{Name: "mem", Amount: 80 * resources.Unit})
		need := drawQuantities(t, "need", 10)
		var holders []*holder
		left := map[*task]*holder{}
		for _, name := range []string{"a", "b", "c"} {
			h := drawHolder(t, name, total)
			holders = append(holders, h)
			for _, task := range h.tasks {
				left[task] = h
			}
		}
		for _, task := range choose(need, holders) {
			if left[task] == nil {
				t.Fatalf("%s is revoked twice", task.row.ID)
			}
			delete(left, task)
			has := task.row.Resources.ScalarQuantities()
			if common(has, need).IsEmpty() {
				t.Fatalf("%s has %s, and %s is needed", task.row.ID, has, need)
			}
			need = need.Sub(has)
		}
		for _, h := range holders {
			if !h.has.Contains(h.had.Min(h.guaranteed)) {
				t.Fatalf("%s had %s, has %s and is guaranteed %s", h.name, h.had, h.has, h.guaranteed)
			}
		}
		for task, h := range left {
			has := task.row.Resources.ScalarQuantities()
			helps := !common(common(h.has.Sub(h.guaranteed), need), has).IsEmpty()
			if helps && h.has.Sub(has).Contains(h.has.Min(h.guaranteed)) {
				t.Fatalf("%s of %s could give some of %s", has, h.name, need)
			}
		}
	})
}
