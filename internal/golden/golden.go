// Package golden finds samples captured from Apache Mesos, for tests that
// compare what Meseta writes with what Mesos wrote. The samples are not part
// of the repository.
package golden

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/meseta-project/meseta/internal/skip"
)

// Dir returns the folder of the samples: $MESETA_GOLDEN, or shared/golden in
// the nearest folder above the checkout that has one. Without samples the test
// is skipped, or fails if $CI is set.
func Dir(t testing.TB) string {
	t.Helper()
	if dir := find(os.Getenv("MESETA_GOLDEN")); dir != "" {
		return dir
	}
	skip.Lacking(t, "the golden samples: set MESETA_GOLDEN to their folder")
	return ""
}

// Path returns the path of the named sample, such as "master/state.json".
func Path(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(Dir(t), filepath.FromSlash(name))
}

// Read returns the named sample, such as "master/state.json".
func Read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// find returns the samples' folder: the one told, else the nearest one above
// the working directory, else "".
func find(told string) string {
	if told != "" {
		return told
	}
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for parent := filepath.Dir(dir); parent != dir; dir, parent = parent, filepath.Dir(parent) {
		samples := filepath.Join(dir, "shared", "golden")
		if info, err := os.Stat(samples); err == nil && info.IsDir() {
			return samples
		}
	}
	return ""
}
