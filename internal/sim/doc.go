// Package sim runs a whole cluster in one goroutine and in virtual time: the
// cores of masters, agents and command executors as they are, around them a
// simulated network, disks, a store, processes, executors and frameworks. All
// chance comes from one seed, so a run can be repeated exactly.
//
// A run has two phases. In the first, faults happen: which kinds, and what the
// cluster looks like, the seed decides ([NewPlan]). Then everything is healed,
// and the cluster has a bounded time to get to where it should be: all agents
// registered, every task with one end that its framework knows, every update
// acknowledged, all that is free on offer.
//
// Checkers look on throughout (history.go, and the cores' own Check): nothing
// may happen that must never happen. The first failure ends the run; [Shrink]
// looks for a smaller run that still fails.
//
//	plan.go                       what a seed stands for; kinds of faults
//	world.go trace.go             time, chance, what happened
//	network.go                    pipes that are slow, break, or are blocked
//	master.go store.go            a master's process, and what masters share
//	agent.go disk.go machine.go   an agent's process, its disk, its machine
//	command.go executor.go        built-in and custom executors
//	scheduler*.go                 frameworks
//	operator.go                   who reserves
//	fault.go                      what goes wrong
//	history.go liveness.go        what must never, and what must at last be
//	shrink.go                     smaller runs
//
// docs/design/simulator.md says how to read a failure and how to add to this.
package sim
