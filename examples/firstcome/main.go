// Command firstcome is an allocation module: within a role, frameworks are
// served in the order in which they came, so that who has waited longest gets
// all that it can use before the next one gets anything. Roles named by -first
// are served before all others, in their order.
//
//	meseta master --allocator=module --allocation_module="firstcome -first=prod,batch" …
//
// It is an example of how modules are written: a policy of thirty lines and a
// main that serves it.
package main

import (
	"flag"
	"strings"

	"github.com/meseta-project/meseta/allocation"
	"github.com/meseta-project/meseta/allocation/module"
)

func main() {
	first := flag.String("first", "", "roles that are served before others, separated by commas")
	flag.Parse()
	module.Serve(newPolicy(*first))
}

// A policy remembers in which order frameworks came.
type policy struct {
	first []string
	came  map[string]int32 // when, by ID
	next  int32
}

func newPolicy(first string) *policy {
	p := &policy{came: map[string]int32{}}
	if first != "" {
		p.first = strings.Split(first, ",")
	}
	return p
}

// Rank ranks roles by their place in the list, and frameworks by when they came.
func (p *policy) Rank(d allocation.Demand) (allocation.Ranking, error) {
	r := allocation.Ranking{Roles: map[string]int32{}, Frameworks: map[string]map[string]int32{}}
	there := map[string]bool{}
	for _, role := range d.Roles {
		for i, name := range p.first {
			if name == role.Name {
				r.Roles[name] = int32(i - len(p.first))
			}
		}
		ranks := map[string]int32{}
		for _, f := range role.Frameworks { // by ID, which grow
			ranks[f.ID] = p.cameAt(f.ID)
			there[f.ID] = true
		}
		r.Frameworks[role.Name] = ranks
	}
	for id := range p.came {
		if !there[id] {
			delete(p.came, id)
		}
	}
	return r, nil
}

func (p *policy) cameAt(id string) int32 {
	at, known := p.came[id]
	if !known {
		p.next++
		at = p.next
		p.came[id] = at
	}
	return at
}
