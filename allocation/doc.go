// Package allocation is for writing allocation modules: policies that decide in
// which order roles and their frameworks are served.
//
// A [Policy] is asked once per allocation interval. It is shown who wants
// resources and who has what, and answers with ranks. The master does the rest
// and lets no policy do it: it offers what is free to those with the lowest
// rank first, to those of the same by their dominant shares, and sees to
// reservations, quotas, filters and constraints. So a policy can be unfair and
// cannot be wrong: whatever it answers, nothing is offered twice or to somebody
// who must not have it.
//
// Package [github.com/meseta-project/meseta/allocation/module] serves a policy
// from a process of its own, and
// [github.com/meseta-project/meseta/allocation/allocationtest] tests one.
package allocation
