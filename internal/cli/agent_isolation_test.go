package cli

import (
	"log/slog"
	"strings"
	"testing"
)

// Without root, and without an OCI runtime, isolators of plain processes do.
func TestIsolation(t *testing.T) {
	for _, test := range []struct{ isolation, launcher, want string }{ // want "plain": plain processes; else an error
		{"posix/cpu,posix/mem", "posix", "plain"},
		{"posix/cpu, posix/rlimits,environment_secret,filesystem/posix,disk/du", "posix", "plain"},
		{"filesystem/linux,docker/runtime", "posix", "needs --launcher=oci or lxc"},
		{"posix/cpu,volume/csi", "posix", "is not built here: mount such volumes"},
		{"gpu/nvidia", "linux", "is not built here"},
		{"posix/cpus", "oci", "unknown isolator"},
	} {
		f := newAgentFlags()
		if _, err := f.Set.Parse([]string{"--isolation=" + test.isolation, "--launcher=" + test.launcher, "--master=x:1", "--work_dir=/x"}, nil); err != nil {
			t.Fatal(err)
		}
		l, err := f.Isolation.open(f.Set, t.TempDir(), "", nil, slog.New(slog.DiscardHandler))
		switch {
		case test.want == "plain" && (l != nil || err != nil):
			t.Errorf("%s: %v, %v", test.isolation, l, err)
		case test.want != "plain" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", test.isolation, err, test.want)
		}
	}
}
