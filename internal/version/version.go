// Package version says which versions this binary speaks for.
package version

import (
	"runtime/debug"
	"time"
)

// Mesos is the version of the Mesos API that is implemented. Clients split it
// at its dots and compare the numbers, so it is that and nothing more.
const Mesos = "1.11.0"

// Meseta returns the version of the program itself: that of the module if it
// was built as one, else the revision.
func Meseta() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if revision := setting(info, "vcs.revision"); len(revision) >= 12 {
		return revision[:12]
	}
	return info.Main.Version
}

// Revised returns the time of the revision that the program was built from, or
// zero if that is not known.
func Revised() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, setting(info, "vcs.time"))
	if err != nil {
		return time.Time{}
	}
	return at
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
