package xfs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/meseta-project/meseta/resources"
)

// fake counts projects as XFS would, in memory.
type fake struct {
	projects map[string]uint32
	quotas   map[uint32]Quota
	off      error
}

func newFake() *fake { return &fake{projects: map[string]uint32{}, quotas: map[uint32]Quota{}} }

func (f *fake) project(path string) (uint32, error) { return f.projects[path], nil }

func (f *fake) setProject(path string, id uint32) error {
	if path == "" {
		return errors.New("no path")
	}
	f.projects[path] = id
	return nil
}

func (f *fake) quota(_ string, id uint32) (Quota, error) { return f.quotas[id], nil }

func (f *fake) setQuota(_ string, id uint32, soft, hard uint64) error {
	f.quotas[id] = Quota{Used: f.quotas[id].Used, Soft: soft, Hard: hard}
	return nil
}

func (f *fake) enabled(string) error { return f.off }

func folder(t *testing.T, parent, name string) string {
	t.Helper()
	dir := filepath.Join(parent, name)
	if err := os.MkdirAll(filepath.Join(dir, "inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, step := range []error{os.WriteFile(filepath.Join(dir, "inner/file"), nil, 0o600), os.Symlink("/etc", filepath.Join(dir, "link"))} {
		if step != nil {
			t.Fatal(step)
		}
	}
	return dir
}

// Each folder has a project of its own, with all that is in it, also after the
// agent's restart, and one whose folder is gone is another's when it holds nothing
// any more.
func TestProjects(t *testing.T) {
	k, top := newFake(), t.TempDir()
	ids := []resources.Range{{Begin: 7, End: 8}}
	p, err := open(k, []string{top}, ids, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := folder(t, top, "a"), folder(t, top, "b"), folder(t, top, "c")
	for _, dir := range []string{a, b, a} { // the second time it stays
		if err := p.Assign(dir); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]uint32{a: 7, a + "/inner": 7, a + "/inner/file": 7, b: 8, b + "/inner": 8, b + "/inner/file": 8}
	if fmt.Sprint(k.projects) != fmt.Sprint(want) {
		t.Errorf("%v", k.projects)
	}
	if e := folder(t, top, "e"); p.Share(e, a) != nil || k.projects[e+"/inner"] != 7 || p.Share(e, c) == nil {
		t.Errorf("%v", k.projects)
	}
	if err := p.Limit(a, 100, 200); err != nil {
		t.Error(err)
	}
	k.quotas[7] = Quota{Used: 50, Soft: 100, Hard: 200}
	if q, err := p.Quota(a); err != nil || q != (Quota{50, 100, 200}) {
		t.Errorf("%v, %v", q, err)
	}
	if p, err = open(k, []string{top}, ids, []string{a, b, c}); err != nil { // a restart
		t.Fatal(err)
	}
	if err := p.Assign(c); err == nil || !strings.Contains(err.Error(), "range exhausted") {
		t.Errorf("a third of two: %v", err)
	}
	if err := os.RemoveAll(a); err != nil {
		t.Fatal(err)
	}
	if err := p.Assign(c); err == nil {
		t.Error("a project was given on while it held blocks")
	}
	k.quotas[7] = Quota{Soft: 100, Hard: 200}
	if p.Reclaim(); k.quotas[7] != (Quota{}) {
		t.Errorf("limits stay: %v", k.quotas[7])
	}
	if total, free := p.Count(); total != 2 || free != 1 {
		t.Errorf("%d of %d projects are free", free, total)
	}
	if err := p.Assign(c); err != nil || k.projects[c] != 7 {
		t.Errorf("%v; project %d", err, k.projects[c])
	}
	k.projects[top+"/gone/v"], p.used[9] = 9, top+"/gone/v" // of an earlier range, which is as it was
	if p.Reclaim(); p.used[9] != "" {
		t.Error("a folder with none above it keeps its project")
	}
	if _, err := p.Quota(top); err == nil || !strings.Contains(err.Error(), "has no project") {
		t.Errorf("%v", err)
	}
	k.off = errors.New("off")
	if err := p.Assign(folder(t, top, "d")); err == nil {
		t.Error("a folder has a project where nothing is counted")
	}
	if _, err := open(k, []string{top}, ids, nil); err == nil {
		t.Error("opened where nothing is counted")
	}
}

func TestParseRange(t *testing.T) {
	for text, want := range map[string]string{
		"[5000-10000]":     "[{5000 10000}] <nil>",
		"[1-2,7-7]":        "[{1 2} {7 7}] <nil>",
		"[0-5]":            "project ids are from 1",
		"[5-4294967296]":   "project ids are from 1",
		"5000":             "has no project ids",
		"[]":               "has no project ids",
		"[9-1],something;": "",
	} {
		got, err := ParseRange(text)
		if out := fmt.Sprint(got, " ", err); !strings.Contains(out, want) || want == "" && err == nil {
			t.Errorf("%s: %s, want %s", text, out, want)
		}
	}
}

// unavailable skips the test on machines that lack what it needs, which the ones that
// decide do not.
func unavailable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// mounted returns a folder on an XFS file system of its own, mounted with project
// quotas if the kernel has them.
func mounted(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		unavailable(t, "only root mounts")
	}
	dir := t.TempDir()
	image, at := filepath.Join(dir, "image"), filepath.Join(dir, "at")
	for _, step := range []error{os.Mkdir(at, 0o755), os.WriteFile(image, nil, 0o600), os.Truncate(image, 320<<20)} {
		if step != nil {
			t.Fatal(step)
		}
	}
	for _, args := range [][]string{{"mkfs.xfs", "-q", image}, {"mount", "-o", "loop,prjquota", image, at}} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil && args[0] == "mount" { // a kernel without quotas of XFS
			out, err = exec.Command("mount", "-o", "loop", image, at).CombinedOutput()
		}
		if err != nil {
			unavailable(t, fmt.Sprintf("no XFS here: %v: %v: %s", args, err, out))
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", at).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return at
}

// TestKernel is of a real XFS: what is made in a folder of a project is of that
// project. Where the kernel counts projects, it refuses what is too much; where it
// does not, an agent is told so. There is none with quotas on every machine that
// runs this, so what hangs on them is tested with the fake as well.
func TestKernel(t *testing.T) {
	top := mounted(t)
	dir := folder(t, top, "a")
	k := linux{}
	for _, path := range []string{dir, dir + "/inner", dir + "/inner/file"} {
		if err := k.setProject(path, 5001); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir+"/inner/made", 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]uint32{dir: 5001, dir + "/inner/file": 5001, dir + "/inner/made": 5001, top: 0} {
		if got, err := k.project(path); got != want || err != nil {
			t.Errorf("%s is of project %d, %v", path, got, err)
		}
	}
	if err := k.setProject(dir+"/link", 5001); err == nil {
		t.Error("a link was followed")
	}
	p, err := Open([]string{top}, []resources.Range{{Begin: 1, End: 9}}, []string{dir})
	if err != nil {
		if !strings.Contains(err.Error(), "mount it with -o prjquota, on a kernel with CONFIG_XFS_QUOTA") {
			t.Error(err)
		}
		t.Log("this kernel does not count projects")
		return
	}
	refuses(t, p, folder(t, top, "b"))
}

func refuses(t *testing.T, p *Projects, dir string) {
	t.Helper()
	if err := errors.Join(p.Assign(dir), p.Limit(dir, 1<<20, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/half", make([]byte, 512<<10), 0o600); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(dir+"/large", make([]byte, 2<<20), 0o600); !errors.Is(err, unix.EDQUOT) && !errors.Is(err, unix.ENOSPC) {
		t.Errorf("two megabytes where one is allowed: %v", err)
	}
	if q, err := p.Quota(dir); err != nil || q.Used < 512<<10 || q.Used > 1<<20 || q.Hard != 1<<20 {
		t.Errorf("%v, %v", q, err)
	}
}

func TestNotXFS(t *testing.T) {
	if _, err := Open([]string{"/proc"}, nil, nil); err == nil || !strings.Contains(err.Error(), "not an XFS file system") {
		t.Errorf("%v", err)
	}
}
