package master

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	"github.com/meseta-project/meseta/resources"
)

// operatorCall makes a call whose answer is printed.
func (w *world) operatorCall(c *masterpb.Call) {
	w.requests++
	w.waits[w.requests] = true
	w.step(OperatorCall{Request: w.requests, Call: c})
}

// amounts reads "cpus:2;mem:64", of which "-" is none. Values may be such as
// NaN.
func amounts(text string) map[string]*mesos.Value_Scalar {
	all := map[string]*mesos.Value_Scalar{}
	if text == "-" {
		return all
	}
	for one := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(one, ":")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil && !math.IsInf(v, 0) {
			panic(err)
		}
		all[name] = &mesos.Value_Scalar{Value: &v}
	}
	return all
}

func quotaCommand(w *world, l line) {
	call := &masterpb.Call_UpdateQuota{}
	args := l.rest(0)
	if args[0] == "force" {
		call.Force, args = new(true), args[1:]
	}
	for a := range slices.Chunk(args, 3) {
		call.QuotaConfigs = append(call.QuotaConfigs, &quotapb.QuotaConfig{
			Role: &a[0], Guarantees: amounts(a[1]), Limits: amounts(a[2]),
		})
	}
	w.operatorCall(&masterpb.Call{Type: masterpb.Call_UPDATE_QUOTA.Enum(), UpdateQuota: call})
}

func setQuotaCommand(w *world, l line) {
	request, args := &quotapb.QuotaRequest{}, l.rest(0)
	if args[0] == "force" {
		request.Force, args = new(true), args[1:]
	}
	request.Role = &args[0]
	wanted := amounts(args[1])
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		request.Guarantee = append(request.Guarantee, &mesos.Resource{
			Name: &name, Type: mesos.Value_SCALAR.Enum(), Scalar: wanted[name],
		})
	}
	w.operatorCall(&masterpb.Call{
		Type: masterpb.Call_SET_QUOTA.Enum(), SetQuota: &masterpb.Call_SetQuota{QuotaRequest: request},
	})
}

func removeQuotaCommand(w *world, l line) {
	w.operatorCall(&masterpb.Call{
		Type: masterpb.Call_REMOVE_QUOTA.Enum(), RemoveQuota: &masterpb.Call_RemoveQuota{Role: new(l.at(0))},
	})
}

func weightsCommand(w *world, l line) {
	call := &masterpb.Call_UpdateWeights{}
	for a := range slices.Chunk(l.rest(0), 2) {
		weight, _ := strconv.ParseFloat(a[1], 64)
		call.WeightInfos = append(call.WeightInfos, &mesos.WeightInfo{Role: &a[0], Weight: &weight})
	}
	w.operatorCall(&masterpb.Call{Type: masterpb.Call_UPDATE_WEIGHTS.Enum(), UpdateWeights: call})
}

func parseWeights(pairs []string) map[string]float64 {
	all := map[string]float64{}
	for _, pair := range pairs {
		name, weight, _ := strings.Cut(pair, ":")
		all[name], _ = strconv.ParseFloat(weight, 64)
	}
	return all
}

func whitelistCommand(w *world, l line) {
	hosts := map[string]bool{}
	for _, host := range l.rest(0) {
		hosts[host] = true
	}
	if l.HasArg("any") {
		hosts = nil
	}
	w.step(Whitelist{hosts})
}

func (w *world) printQuotas() {
	s := w.m.Snapshot()
	for _, name := range slices.Sorted(maps.Keys(s.Quotas)) {
		q := s.Quotas[name]
		w.printf("%s: guarantees %s, limits %s", name,
			resources.QuantitiesFromProto(q.Guarantees), resources.LimitsFromProto(q.Limits))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Weights)) {
		w.printf("%s weighs %g", name, s.Weights[name])
	}
}

// TestGuaranteesStayWithinBounds: sums of quotas do not overflow, even if an
// operator forces any number of the largest.
func TestGuaranteesStayWithinBounds(t *testing.T) {
	w := newWorld(DefaultConfig())
	w.quiet = true
	call := &masterpb.Call_UpdateQuota{Force: new(true)}
	for i := range 10_000 {
		call.QuotaConfigs = append(call.QuotaConfigs, &quotapb.QuotaConfig{
			Role: new("r" + strconv.Itoa(i)), Guarantees: amounts("cpus:1e12"),
		})
	}
	w.operatorCall(&masterpb.Call{Type: masterpb.Call_UPDATE_QUOTA.Enum(), UpdateQuota: call})
	w.advance(0)
	if got := w.out.String(); !strings.Contains(got, "invalid: Invalid QuotaConfig: the guarantees of cpus of all roles together are too large") {
		t.Errorf("%s", got)
	}
	if s := w.m.Snapshot(); len(s.Quotas) != 0 || len(w.store) != 1 {
		t.Errorf("quotas %v, records %d", s.Quotas, len(w.store))
	}
}
