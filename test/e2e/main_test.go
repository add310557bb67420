// Package e2e runs real meseta binaries with real frameworks on them: programs
// of others, built from their registries by exact version, and hand-written
// ones that behave badly. What it kills, it kills with SIGKILL.
package e2e

import (
	"os"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// J is a JSON object being written.
type J = cluster.J

func TestMain(m *testing.M) {
	cluster.ExecutorMain()
	cluster.VolumesMain()
	os.Exit(m.Run())
}
