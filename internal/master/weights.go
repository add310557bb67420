package master

import (
	"maps"
	"slices"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/internal/validate"
)

// updateWeights answers UPDATE_WEIGHTS: all of the weights given are set, or
// none. They take effect once they are durable.
func (m *Master) updateWeights(id RequestID, infos []*mesos.WeightInfo) {
	weights := map[string]float64{}
	var changes []registry.Change
	m.undertake(id, each(&infos, func(i int, _ *mesos.WeightInfo) *refusal.Error {
		if err := validate.Weights(infos[i : i+1]); err != nil {
			return refusal.Invalidf("%s", err)
		}
		return nil
	}), each(&infos, func(_ int, info *mesos.WeightInfo) *refusal.Error {
		name := strings.TrimSpace(info.GetRole())
		if !m.isListed(name) {
			return refusal.Invalidf("Failed to validate update weights request JSON: Unknown role '%s'", name)
		}
		weights[name] = info.GetWeight()
		return nil
	}), each(&infos, func(_ int, info *mesos.WeightInfo) *refusal.Error {
		name := strings.TrimSpace(info.GetRole())
		changes = append(changes, m.registry.SetWeight(name, weights[name]))
		return nil
	}), once(func() {
		m.persistFor(id, changes, weightsSet{id, weights})
	}))
}

// weightsInForce goes on once weights are durable. All offers are rescinded if
// they would go to others now.
func (m *Master) weightsInForce(set weightsSet) {
	var weights map[string]float64
	names := slices.Sorted(maps.Keys(set.weights))
	m.undertake(set.request, once(func() {
		weights = maps.Clone(m.weights)
	}), each(&names, func(_ int, name string) *refusal.Error {
		weights[name] = set.weights[name]
		m.alloc.SetWeight(name, weights[name])
		return nil
	}), once(func() {
		m.weights = weights
		if m.someFrameworkIn(set.weights) {
			m.recall(true)
		}
		m.reply(set.request, nil)
	}))
}

// someFrameworkIn reports whether a framework is in one of the roles.
func (m *Master) someFrameworkIn(roles map[string]float64) bool {
	for _, f := range m.frameworks {
		for _, name := range f.roles {
			if _, ok := roles[name]; ok {
				return true
			}
		}
	}
	return false
}

// recoverWeights takes the registry's weights, or the configured ones if it
// has none.
func (m *Master) recoverWeights() {
	if len(m.registry.Weights()) == 0 && len(m.cfg.Weights) > 0 {
		for _, name := range slices.Sorted(maps.Keys(m.cfg.Weights)) {
			m.changes = append(m.changes, m.registry.SetWeight(name, m.cfg.Weights[name]))
		}
	}
	m.weights = maps.Clone(m.registry.Weights())
	for name, weight := range m.weights { // in any order, which comes to the same
		m.alloc.SetWeight(name, weight)
	}
}
