package agentd

import (
	"slices"
	"testing"

	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/meta"
)

// diary is a store that notes when it is written to, and what else is.
type diary []string

func (d *diary) Write([]meta.Record) error {
	*d = append(*d, "written")
	return nil
}

// TestVolumesAreGoneFirst: of a volume that was destroyed nothing is left when that is
// durable, also where the same round makes it anew.
func TestVolumesAreGoneFirst(t *testing.T) {
	l := &diary{}
	p := newPersister(l, func(agent.Message) {}, func(a agent.ContainerAction) {
		switch a := a.(type) {
		case agent.RemoveVolume:
			*l = append(*l, "remove "+a.Path)
		case agent.EmptyVolume:
			*l = append(*l, "empty "+a.Path)
		case agent.MakeVolume:
			*l = append(*l, "make "+a.Path)
		}
	}, func(error) {})
	p.add(&agent.Effects{Persist: []meta.Record{meta.Resources{}}, Containers: []agent.ContainerAction{agent.RemoveVolume{Path: "a"}, agent.EmptyVolume{Path: "disk"}}})
	p.add(&agent.Effects{Persist: []meta.Record{meta.Resources{}}, Containers: []agent.ContainerAction{agent.MakeVolume{Path: "a"}}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.run()
	}()
	if err := p.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.close()
	<-done
	if want := []string{"remove a", "empty disk", "written", "remove a", "empty disk", "make a"}; !slices.Equal(*l, want) {
		t.Errorf("%q, want %q", *l, want)
	}
}
