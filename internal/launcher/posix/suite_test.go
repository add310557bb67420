package posix_test

import (
	"testing"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/launchertest"
	"github.com/meseta-project/meseta/internal/launcher/posix"
)

func TestSuite(t *testing.T) {
	launchertest.Suite(t, func(t *testing.T) (launcher.Launcher, func() launcher.Launcher) {
		again := func() launcher.Launcher {
			l, err := posix.New()
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		return again(), again
	})
}
