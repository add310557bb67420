package allocation

// A Policy decides in which order roles and frameworks are served. It is asked
// by one goroutine at a time and may remember what it was shown.
type Policy interface {
	// Rank answers with the order to serve in from now on, until the next answer.
	// With an error, or an answer that [Check] finds wrong, the order is by shares,
	// or nothing is offered, as the operator wants (--allocation_module_failure).
	// A module has --allocation_module_timeout to answer. It may not keep the
	// demand.
	Rank(Demand) (Ranking, error)
}

// A Quantity is an amount of a scalar resource, exact to a thousandth: of CPUs,
// GPUs, megabytes of mem and disk, or whatever else an operator counts.
type Quantity struct {
	Name   string
	Amount float64
}

// Demand is the state of a cluster as far as order depends on it.
type Demand struct {
	// Total is what the cluster has, and Free what of it nobody has or was
	// offered.
	Total, Free []Quantity
	Roles       []Role // by name
	// Omitted is how many frameworks in roles are left out, since there are too
	// many of them (a master shows 6,000): these cannot be ranked.
	Omitted int
}

// A Role is one that frameworks are subscribed to.
type Role struct {
	Name   string // such as "eng/web"
	Weight float64
	// Share is the dominant share of the role and all below it, divided by
	// Weight: the largest part that they have, over all resources.
	Share      float64
	Allocated  []Quantity  // without what those below have
	Frameworks []Framework // by ID
}

// A Framework is one in a role. One that is in several is in each of these.
type Framework struct {
	ID, Name  string
	Share     float64 // its dominant share
	Allocated []Quantity
	Wants     bool // it is connected and has not suppressed offers
}

// A Ranking has ranks: of roles and of frameworks those with lower ranks are
// served first, those with the same by their shares. Who is not named has
// rank 0, so that the zero Ranking is an order by shares. To name who is not in
// the demand makes the whole of it wrong.
type Ranking struct {
	// Roles has ranks by name. That of a name above roles, such as "eng", places
	// all of these among its siblings.
	Roles map[string]int32
	// Frameworks has ranks by role and ID.
	Frameworks map[string]map[string]int32
}
