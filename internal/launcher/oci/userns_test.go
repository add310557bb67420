package oci

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/skip"
)

func TestParseUserIDs(t *testing.T) {
	for text, want := range map[string]string{
		"1879048192-1879113727": "{1879048192 65536} <nil>",
		"100000-4294967294":     "{100000 4294867295} <nil>",
		"100000":                "is no range",
		"200000-100000":         "is no range",
		"x-y":                   "is no range",
		"0-65535":               "above those that the machine's own users have",
		"100000-100001":         "it takes 65536 ids",
		"100000-4294967295":     "it takes 65536 ids",
	} {
		got, err := ParseUserIDs(text)
		if out := fmt.Sprint(got, " ", err); !strings.Contains(out, want) {
			t.Errorf("%s: %s, want %s", text, out, want)
		}
	}
}

// TestGive: a tree becomes the namespace's but for what has another name elsewhere,
// links are not followed, and what is the namespace's already stays.
func TestGive(t *testing.T) {
	skip.UnlessRoot(t)
	dir, other := t.TempDir(), filepath.Join(t.TempDir(), "other")
	for _, step := range []error{
		os.WriteFile(other, nil, 0o600), os.WriteFile(filepath.Join(dir, "tool"), nil, 0o755), os.Chmod(filepath.Join(dir, "tool"), 0o755|os.ModeSetuid),
		os.Symlink(other, filepath.Join(dir, "link")), os.Link(other, filepath.Join(dir, "name")),
		os.Mkdir(filepath.Join(dir, "far"), 0o755), os.Chown(filepath.Join(dir, "far"), 200007, 70000),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	ids := UserIDs{First: 200000, Count: 65536}
	for range 2 { // the second changes nothing
		if err := ids.give(dir, false); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]uint32{dir: 200000, dir + "/tool": 200000, dir + "/name": 0, other: 0, dir + "/far": 200007} {
		if got := OwnerOf(t, name); got != want {
			t.Errorf("%s is of user %d", name, got)
		}
	}
	if info, err := os.Stat(dir + "/tool"); err != nil || info.Mode()&os.ModeSetuid == 0 {
		t.Errorf("setuid is lost: %v, %v", info.Mode(), err)
	}
	if err := ids.give(dir, true); err != nil || OwnerOf(t, other) != 200000 {
		t.Errorf("with links: %v, %d", err, OwnerOf(t, other))
	}
}

func TestRefusedUserNamespaces(t *testing.T) {
	ids := UserIDs{1 << 20, 1 << 16}
	for want, o := range map[string]Options{
		"needs --user_namespace_ids": {Isolation: []string{"namespaces/pid", "namespaces/user"}},
		"needs namespaces/pid":       {Isolation: []string{"namespaces/user"}, UserIDs: ids},
	} {
		if err := o.checkUsers(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	o := &Options{Machine: all()["v1"], Isolation: []string{"namespaces/pid", "namespaces/user"}, UserIDs: ids}
	for want, spec := range map[string]*launcher.Spec{
		"cannot share": {Container: linux(&mesos.LinuxInfo{SharePidNamespace: new(true)})},
		"stays in it":  {Mounts: []launcher.Mount{{Source: "/a", Target: "/b", Host: true, Both: true}}},
	} {
		if _, err := Build(spec, "/b", o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
