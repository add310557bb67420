// Package version says which versions this binary speaks for.
package version

import "runtime/debug"

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
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return info.Main.Version
}
