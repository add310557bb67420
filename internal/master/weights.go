package master

import (
	"maps"
	"slices"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/validate"
)

// updateWeights answers UPDATE_WEIGHTS: all of the weights given are set, or
// none. They take effect once they are durable.
func (m *Master) updateWeights(id RequestID, infos []*mesos.WeightInfo) *refusal.Error {
	if err := validate.Weights(infos); err != nil {
		return refusal.Invalidf("%s", err)
	}
	weights := map[string]float64{}
	for _, info := range infos {
		name := strings.TrimSpace(info.GetRole())
		if !m.isListed(name) {
			return refusal.Invalidf("Failed to validate update weights request JSON: Unknown role '%s'", name)
		}
		weights[name] = info.GetWeight()
	}
	m.persistFor(id, m.registry.SetWeights(weights), weightsSet{id, weights})
	return nil
}

// weightsInForce goes on once weights are durable. All offers are rescinded if
// they would go to others now.
func (m *Master) weightsInForce(set weightsSet) {
	m.weights = maps.Clone(m.weights)
	maps.Copy(m.weights, set.weights)
	for _, name := range slices.Sorted(maps.Keys(set.weights)) {
		m.alloc.SetWeight(name, set.weights[name])
	}
	if m.someFrameworkIn(set.weights) {
		m.recall(true)
	}
	m.reply(set.request, nil)
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
		m.puts = append(m.puts, m.registry.SetWeights(m.cfg.Weights)...)
	}
	m.weights = maps.Clone(m.registry.Weights())
	for _, name := range slices.Sorted(maps.Keys(m.weights)) {
		m.alloc.SetWeight(name, m.weights[name])
	}
}
