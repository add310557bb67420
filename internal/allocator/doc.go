// Package allocator decides which framework is offered what, as Mesos's
// hierarchical allocator does: roles in the order of their dominant shares,
// and the frameworks of a role in theirs, are each offered all that is free on
// one agent after the other and that nothing stands against.
//
// It is a library inside the master's single writer. It does nothing by
// itself: the master tells it every change in the same step as it happens, and
// calls [Allocator.Run] as often as [Allocator.Wake] asks for. A run looks at
// a bounded number of agents and goes on with the next call, so that the
// master never stalls; how the work is cut changes nothing of the outcome.
//
//	      AddFramework AddAgent Recover Revive …
//	master ─────────────────────────────────────▶ candidates ──┐
//	                                              (agents)     │ a cycle: drawn,
//	filters that expire, refusals for 0 s,                     │ then visited
//	what quota holds back ──▶ waiting ── every second ─────────┤
//	                                                           ▼
//	master ◀── offers ◀── role by role, framework by framework: fits?
//
// An agent is visited only after something about it changed. What stands in
// the way of a framework on an agent and can only go when one of the two
// changes is remembered as a bit, so that a cycle in which everybody has
// declined everything compares words of bits and nothing else.
//
// Where it differs from Mesos, on purpose:
//   - What is freed is offered again at once and not at the next second. What is
//     refused without a filter waits for that; who refuses so again and again waits
//     alone.
//   - Who declines everything is served after others, for a while.
//   - A quota holds for the whole tree of its role, as its consumption does.
//
// See the decisions 0010 and 0011 in docs/adr.
package allocator
