package allocation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// DRF serves by dominant shares: those who have least come first.
type DRF struct{}

// Rank returns no ranks.
func (DRF) Rank(Demand) (Ranking, error) { return Ranking{}, nil }

// Priority serves roles strictly by their priority, the highest first: as long
// as one wants something, none below it is offered that. Roles of the same
// priority, and the frameworks of one, are served by their shares. A name above
// roles places all of these; roles not named have priority 0.
type Priority map[string]int32

// Rank returns the priorities as ranks, of those roles that are there.
func (p Priority) Rank(d Demand) (Ranking, error) {
	ranks := make(map[string]int32, len(d.Roles))
	for _, r := range d.Roles {
		for name := r.Name; name != ""; name = name[:max(0, strings.LastIndexByte(name, '/'))] {
			if priority, ok := p[name]; ok {
				ranks[name] = -priority
			}
		}
	}
	return Ranking{Roles: ranks}, nil
}

// ParsePriority reads priorities such as "prod=10,batch=-5".
func ParsePriority(text string) (Priority, error) {
	p := Priority{}
	for pair := range strings.SplitSeq(text, ",") {
		role, number, found := strings.Cut(pair, "=")
		n, err := strconv.ParseInt(number, 10, 32)
		switch {
		case !found || role == "" || errors.Is(err, strconv.ErrSyntax):
			return nil, fmt.Errorf("%q is not a priority such as prod=10", pair)
		case err != nil || n == -1<<31: // whose opposite is no rank
			return nil, fmt.Errorf("the priority of %q is not within ±%d", role, 1<<31-1)
		}
		if _, twice := p[role]; twice {
			return nil, fmt.Errorf("role %q has two priorities", role)
		}
		p[role] = int32(n)
	}
	return p, nil
}

// Random serves in random order, drawn anew each time it is asked.
type Random struct{ Rand *rand.Rand }

// Rank draws a rank for each role and framework.
func (r Random) Rank(d Demand) (Ranking, error) {
	ranking := Ranking{Roles: map[string]int32{}, Frameworks: map[string]map[string]int32{}}
	for _, role := range d.Roles {
		ranks := make(map[string]int32, len(role.Frameworks))
		for _, f := range role.Frameworks {
			ranks[f.ID] = r.Rand.Int32()
		}
		ranking.Roles[role.Name], ranking.Frameworks[role.Name] = r.Rand.Int32(), ranks
	}
	return ranking, nil
}

// Check returns an error if a ranking names who is not in the demand that it
// answers. It takes time in proportion to the two.
func Check(d Demand, r Ranking) error {
	roles := make(map[string][]Framework, len(d.Roles))
	above := make(map[string]bool, len(d.Roles))
	for _, role := range d.Roles {
		roles[role.Name] = role.Frameworks
		for name := role.Name; name != ""; name = name[:max(0, strings.LastIndexByte(name, '/'))] {
			above[name] = true
		}
	}
	for name := range r.Roles {
		if !above[name] {
			return fmt.Errorf("it ranks role %q, of which it was told nothing", name)
		}
	}
	for name, ranks := range r.Frameworks {
		if _, known := roles[name]; !known {
			return fmt.Errorf("it ranks frameworks of role %q, of which it was told nothing", name)
		}
		if err := checkFrameworks(name, roles[name], ranks); err != nil {
			return err
		}
	}
	return nil
}

func checkFrameworks(role string, known []Framework, ranks map[string]int32) error {
	found := 0
	for _, f := range known {
		if _, ok := ranks[f.ID]; ok {
			found++
		}
	}
	if found == len(ranks) {
		return nil
	}
	return fmt.Errorf("it ranks %d frameworks of role %q of which it was told nothing", len(ranks)-found, role)
}
