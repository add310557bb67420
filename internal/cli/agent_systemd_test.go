package cli

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnitOf(t *testing.T) {
	for text, want := range map[string]string{
		"0::/system.slice/meseta.service\n":                                             "meseta.service",
		"1:name=systemd:/system.slice/mesos-agent.service/x\n4:memory:/other.service\n": "mesos-agent.service",
		"4:memory:/other.service\n0::/user.slice/session-1.scope\n":                     "",
		"nonsense": "",
	} {
		if got := unitOf(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzUnitOf(f *testing.F) {
	f.Add("0::/system.slice/meseta.service\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got := unitOf(text); got != "" && (!strings.HasSuffix(got, ".service") || strings.Contains(got, "/")) {
			t.Errorf("%q is no unit", got)
		}
	})
}

func TestSystemdKillMode(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	cgroup := filepath.Join(dir, "cgroup")
	if err := os.WriteFile(cgroup, []byte("0::/system.slice/meseta.service\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		mode, want string
		f          systemdFlags
	}{
		{"echo KillMode=process", "", systemdFlags{true, dir}},
		{"echo KillMode=control-group", "say KillMode=process", systemdFlags{true, dir}},
		{"exit 1", "cannot ask systemd", systemdFlags{true, dir}},
		{"echo KillMode=control-group", "", systemdFlags{false, dir}},
		{"echo KillMode=control-group", "", systemdFlags{true, dir + "/none"}},
	} {
		if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte("#!/bin/sh\n"+test.mode+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		test.f.check(cgroup, slog.New(slog.NewTextHandler(&log, nil)))
		if got := log.String(); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%+v: %q, want %q", test, got, test.want)
		}
	}
}
