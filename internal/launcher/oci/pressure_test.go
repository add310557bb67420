package oci

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/skip"
)

const stallsText = "some avg10=92.95 avg60=91.14 avg300=94.89 total=18419466233\nfull avg10=0.00 avg60=1.50 avg300=0.00 total=12\n"

func TestStalls(t *testing.T) {
	dir := t.TempDir()
	for _, group := range []string{"mesos/c1", "mesos/c1/mesos/in"} {
		if err := os.MkdirAll(filepath.Join(dir, group), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, group, "cpu.pressure"), []byte(stallsText), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := cgroups{machine: Machine{Unified: true, Mount: dir}, root: "mesos"}
	want := launcher.Stalls{
		Some: launcher.Stall{Avg10: 92.95, Avg60: 91.14, Avg300: 94.89, Total: 18419466233 * time.Microsecond},
		Full: launcher.Stall{Avg60: 1.5, Total: 12 * time.Microsecond},
	}
	for _, id := range []string{"c1", "c1.in"} {
		if got := g.stalls(id); len(got) != 1 || got["cpu"] != want {
			t.Errorf("%s: %+v", id, got)
		}
	}
	if got := g.stalls("c2"); got != nil {
		t.Errorf("of a group that there is not: %+v", got)
	}
}

// What the kernel itself writes, where it has control groups of version 2 at all.
func TestStallsOfKernel(t *testing.T) {
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(mount, "memory.pressure")); err != nil {
			continue
		}
		g := cgroups{machine: Machine{Unified: true, Mount: mount}}
		if got := g.stalls(""); len(got) != 3 || got["cpu"].Some.Total == 0 {
			t.Errorf("%s: %+v", mount, got)
		}
		return
	}
	skip.Lacking(t, "a kernel that tells of pressure")
}

func FuzzParseStalls(f *testing.F) {
	f.Add(stallsText)
	f.Add("some avg10=NaN total=-1\nfull\n")
	f.Fuzz(func(t *testing.T, text string) {
		got := parseStalls(text)
		for _, s := range []launcher.Stall{got.Some, got.Full} {
			if !(s.Avg10 >= 0 && s.Avg60 >= 0 && s.Avg300 >= 0) || s.Total < 0 {
				t.Errorf("%+v", s)
			}
		}
	})
}
