package scheduler

import (
	"math/rand/v2"

	"github.com/meseta-project/meseta/resources"
)

// Take takes quantities, such as "cpus:1;mem:512", out of what offers hold. It
// returns what a task may be launched with and what is left, for the next task;
// fits is false, and rest all of it, if there is too little. Volumes, revocable
// and shared resources are left alone.
func Take(offered resources.Resources, want resources.Quantities) (taken, rest resources.Resources, fits bool) {
	plain := offered.NonRevocable().NonShared().Filter(func(r resources.Resource) bool { return r.Disk() == nil })
	taken = plain.ShrinkTo(want, rand.New(rand.NewPCG(0, 0)))
	if !taken.ContainsQuantities(want) {
		return resources.Resources{}, offered, false
	}
	return taken, offered.Sub(taken), true
}
