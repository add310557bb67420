package memory

import (
	"testing"

	"github.com/meseta-project/meseta/internal/masterd/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, false, func(*testing.T) func() storetest.Store {
		s := &Store{}
		return func() storetest.Store { return s }
	})
}
