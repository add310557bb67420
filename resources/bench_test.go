package resources_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/resources"
)

// agentText is what an agent has; taskText what a task takes of it.
const (
	agentText = "cpus:32;gpus:4;mem:131072;disk:1000000;ports:[31000-32000];cpus(eng):4;mem(eng):8192"
	taskText  = "cpus:0.5;mem:512;disk:32;ports:[31007-31007]"
)

// everyOther is ports with n ranges.
func everyOther(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d-%d,", 10000+4*i, 10001+4*i)
	}
	return "ports:[" + b.String() + "]"
}

// The sinks keep results from being optimised away.
var (
	sink           resources.Resources
	sinkBool       bool
	sinkQuantities resources.Quantities
)

func BenchmarkAdd(b *testing.B) {
	x, y := must(agentText), must(taskText)
	b.ReportAllocs()
	for b.Loop() {
		sink = x.Add(y)
	}
}

func BenchmarkSub(b *testing.B) {
	x, y := must(agentText), must(taskText)
	b.ReportAllocs()
	for b.Loop() {
		sink = x.Sub(y)
	}
}

func BenchmarkContains(b *testing.B) {
	x, y := must(agentText), must(taskText)
	b.ReportAllocs()
	for b.Loop() {
		sinkBool = x.Contains(y)
	}
}

func BenchmarkQuantities(b *testing.B) {
	x := must(agentText)
	b.ReportAllocs()
	for b.Loop() {
		sinkQuantities = x.ScalarQuantities()
	}
}

func BenchmarkAllocatedTo(b *testing.B) {
	x := must(agentText)
	b.ReportAllocs()
	for b.Loop() {
		sink = x.AllocatedTo("eng")
	}
}

func BenchmarkAllocatableTo(b *testing.B) {
	x := must(agentText)
	b.ReportAllocs()
	for b.Loop() {
		sink = x.AllocatableTo("ops")
	}
}

func BenchmarkTrusted(b *testing.B) {
	ms := must(taskText).AllocatedTo("eng").Proto()
	b.ReportAllocs()
	for b.Loop() {
		sink = resources.Trusted(ms)
	}
}

func BenchmarkProto(b *testing.B) {
	x := must(agentText)
	b.ReportAllocs()
	for b.Loop() {
		x.Proto()
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		sink, _ = resources.Parse(agentText, "*")
	}
}

func BenchmarkRanges(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		x, y := must(everyOther(n)), must("ports:[10000-10000,10005-10005]")
		b.Run(fmt.Sprintf("Sub/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = x.Sub(y)
			}
		})
		b.Run(fmt.Sprintf("Add/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = x.Add(y)
			}
		})
		b.Run(fmt.Sprintf("Contains/%d", n), func(b *testing.B) {
			for b.Loop() {
				sinkBool = x.Contains(x)
			}
		})
	}
}
