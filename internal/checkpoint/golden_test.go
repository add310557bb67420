package checkpoint

import (
	"encoding/hex"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
)

// dumps reads the files of a hex dump, by name below the work directory.
func dumps(t *testing.T, sample string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	name := ""
	line := regexp.MustCompile(`^[0-9a-f]{8}  ((?:[0-9a-f]{2} {1,2})+)`)
	for l := range strings.Lines(string(golden.Read(t, sample))) {
		if rest, ok := strings.CutPrefix(l, "=== "); ok {
			name, _, _ = strings.Cut(rest, " ")
			files[name] = nil
			continue
		}
		if m := line.FindStringSubmatch(l); m != nil && !strings.HasPrefix(l, "--") {
			b, err := hex.DecodeString(strings.ReplaceAll(m[1], " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			files[name] = append(files[name], b...)
		}
	}
	for name := range files {
		if !strings.HasPrefix(name, "meta/") || strings.Contains(name, "resource_provider_registry") {
			delete(files, name)
		}
	}
	return files
}

// mesosLinks are the links of Mesos's agent, which the dumps leave out.
func mesosLinks(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	link := func(name, target string) {
		if err := os.Symlink(filepath.Join(dir, target), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name := range files {
		if filepath.Base(name) == agentFile {
			link("meta/slaves/latest", filepath.Dir(name))
		}
		if filepath.Base(name) == "forked.pid" {
			run := filepath.Dir(filepath.Dir(name))
			link(filepath.Join(filepath.Dir(run), latestLink), run)
		}
	}
}

// records returns the records that make a state.
func records(s *meta.State) []meta.Record {
	out := []meta.Record{meta.Boot{ID: s.Boot}, meta.Agent{Info: s.Agent}, meta.Resources{State: s.Resources}}
	if s.Drain != nil {
		out = append(out, meta.Drain{Config: s.Drain})
	}
	for fid, f := range s.Frameworks {
		out = append(out, meta.Framework{Info: f.Info, PID: f.PID})
		for xid, x := range f.Executors {
			for c, r := range x.Runs {
				run := meta.Run{Framework: fid, Executor: xid, Container: c}
				out = append(out, meta.Executor{Run: run, Info: x.Info, Generated: x.Generated}, meta.ForkedPID{Run: run, PID: r.ForkedPID})
				if r.HTTP || r.Driver != "" {
					out = append(out, meta.Connected{Run: run, Driver: r.Driver})
				}
				if r.Ended {
					out = append(out, meta.Ended{Run: run})
				}
				for id, task := range r.Tasks {
					out = append(out, meta.Task{Run: run, Task: task.Info})
					out = append(out, history(run, id, task)...)
				}
			}
		}
	}
	return out
}

// history returns the records of a task as Mesos wrote them: it acknowledges
// nothing before the last update has come, in these samples.
func history(run meta.Run, id ids.TaskID, t *meta.TaskState) (out []meta.Record) {
	for _, u := range t.Updates {
		out = append(out, meta.Update{Run: run, Task: id, Record: &messages.StatusUpdateRecord{Type: messages.StatusUpdateRecord_UPDATE.Enum(), Update: u}})
	}
	for _, a := range t.Acks {
		out = append(out, meta.Update{Run: run, Task: id, Record: &messages.StatusUpdateRecord{Type: messages.StatusUpdateRecord_ACK.Enum(), Uuid: a}})
	}
	return out
}

// TestReadsAndWritesMesossFiles reads the files of Mesos's agent, writes what
// they say, and compares the bytes.
func TestReadsAndWritesMesossFiles(t *testing.T) {
	running := dumps(t, "task_environment/files_tasks_running.txt")
	gone := maps.Clone(running) // the sample has only what changed
	maps.Copy(gone, dumps(t, "task_environment/files_framework_gone.txt"))
	drained := dumps(t, "task_environment/files_agent_drained.txt")
	for sample, files := range map[string]map[string][]byte{"running": running, "gone": gone, "drained": drained} {
		t.Run(sample, func(t *testing.T) {
			theirs, ours := t.TempDir(), t.TempDir()
			for name, data := range files {
				name = filepath.Join(theirs, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			mesosLinks(t, theirs, files)
			state, err := Open(OS{}, theirs).Read(true)
			if err != nil {
				t.Fatal(err)
			}
			if err := Open(OS{}, ours).Write(records(state)); err != nil {
				t.Fatal(err)
			}
			compare(t, ours, files)
		})
	}
}

func compare(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	var written []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, name)
			written = append(written, rel)
			if _, ok := files[rel]; !ok {
				t.Errorf("%s is written, and Mesos has no such file", rel)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if !slices.Contains(written, name) {
			t.Errorf("%s is not written", name)
			continue
		}
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(name) == updatesFile {
			sameLog(t, name, got, want)
		} else if string(got) != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, hex.Dump(got), hex.Dump(want))
		}
	}
}

// sameLog compares logs as sets of records: in what order acknowledgements come
// between updates is not the store's doing.
func sameLog(t *testing.T, name string, got, want []byte) {
	t.Helper()
	split := func(b []byte) (all []string) {
		recs, _, err := sequence(b, func() *messages.StatusUpdateRecord { return &messages.StatusUpdateRecord{} })
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, r := range recs {
			raw, err := appendMessage(nil, r)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, hex.EncodeToString(raw))
		}
		slices.Sort(all)
		return all
	}
	if len(got) != len(want) || !slices.Equal(split(got), split(want)) {
		t.Errorf("%s:\n%s\nwant\n%s", name, hex.Dump(got), hex.Dump(want))
	}
}

// TestModesAreMesoss compares the permissions of what is written with a listing
// of Mesos's.
func TestModesAreMesoss(t *testing.T) {
	dir := t.TempDir()
	umask(t)
	life(Open(OS{}, dir), nil)
	listing := modes(t)
	err := filepath.WalkDir(filepath.Join(dir, "meta"), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		key := filepath.Base(name)
		if d.IsDir() && filepath.Base(filepath.Dir(name)) == "runs" {
			key = "(run)"
		}
		if want, ok := listing[key]; ok && info.Mode().String() != want {
			t.Errorf("%s is %s, want %s", name, info.Mode(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// modes returns the permissions in Mesos's listing, by the last part of the
// name.
func modes(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for l := range strings.Lines(string(golden.Read(t, "task_environment/listing_2_tasks_running.txt"))) {
		f := strings.Fields(l)
		if len(f) < 3 || !strings.HasPrefix(f[2], "meta/") || strings.HasPrefix(f[0], "l") {
			continue
		}
		key := filepath.Base(f[2])
		if filepath.Base(filepath.Dir(filepath.Clean(f[2]))) == "runs" {
			key = "(run)"
		}
		out[key] = f[0]
	}
	return out
}

// TestFieldsOfTheOldForm keeps the fields that only Mesos's own files have.
func TestFieldsOfTheOldForm(t *testing.T) {
	files := dumps(t, "task_environment/files_agent_drained.txt")
	for name, data := range files {
		if filepath.Base(name) != agentFile {
			continue
		}
		info := &mesos.AgentInfo{}
		if err := oneMessage(data, info); err != nil {
			t.Fatal(err)
		}
		if len(info.ProtoReflect().GetUnknown()) > 0 {
			t.Errorf("fields of slave.info are not known: %x", info.ProtoReflect().GetUnknown())
		}
		if again, err := appendMessage(nil, proto.CloneOf(info)); err != nil || string(again) != string(data) {
			t.Errorf("slave.info becomes %x (%v)", again, err)
		}
	}
}
