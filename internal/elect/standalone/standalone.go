// Package standalone is for masters that nobody elects: a master that is alone
// leads, and those who look for it are told its address. A list of addresses
// is followed to whichever of them leads, however they elect it.
package standalone

import (
	"context"
	"iter"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// Alone is the election of a master that has no others beside it.
type Alone struct{ info *mesos.MasterInfo }

// New returns the election of the master that info tells of.
func New(info *mesos.MasterInfo) *Alone { return &Alone{info} }

// Contend returns at once: the master leads, until ctx is done.
func (*Alone) Contend(ctx context.Context, _ *mesos.MasterInfo) (lost <-chan struct{}, err error) {
	return ctx.Done(), context.Cause(ctx)
}

// Detect yields the master, and then nothing until ctx is done.
func (a *Alone) Detect(ctx context.Context) iter.Seq[*mesos.MasterInfo] {
	return func(yield func(*mesos.MasterInfo) bool) {
		if yield(a.info) {
			<-ctx.Done()
		}
	}
}
