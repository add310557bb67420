package compat

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/test/cluster"
)

// TestLayout compares the agent's work_dir under running tasks with the captured
// one: which files there are, their modes, where links point. An Apache Mesos
// agent started on it would have to find what it looks for, and the other way
// round.
func TestLayout(t *testing.T) {
	t.Parallel()
	golden.Dir(t)
	c := cluster.New(t, 1)
	info := pysched("eng")
	info["checkpoint"] = true
	s := cluster.Subscribe(t, c.Master, info)
	offer := s.AwaitOffer()
	command := cluster.Task(offer, "t-cmd", "")
	command["command"] = J{"value": "sleep 1000", "uris": []J{{"value": "file:///etc/hosts", "output_file": "fetched_hosts"}}}
	custom := cluster.Task(offer, "t-exec", "")
	delete(custom, "command")
	custom["executor"] = cluster.Executor("custom")
	s.Launch(offer, 3600, command, custom)
	running := map[string]bool{}
	for len(running) < 2 {
		status := s.Await("UPDATE", nil).Get("update.status")
		s.Acknowledge(status)
		if status.Text("state") == "TASK_RUNNING" {
			running[status.Text("task_id.value")] = true
		}
	}
	want := capturedLayout(string(golden.Read(t, "task_environment/listing_2_tasks_running.txt")))
	cluster.Eventually(t, cluster.Patience, func() error { return sameLayout(want, layout(t, c.Agents[0].WorkDir)) })
}

// ids of one run, by the places where they stand.
var (
	agentID     = regexp.MustCompile(`[0-9a-f-]{36}-S\d+`)
	frameworkID = regexp.MustCompile(`[0-9a-f-]{36}-\d{4}`)
	containerID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
)

func anonymous(path string) string {
	path = agentID.ReplaceAllString(path, "AGENT")
	path = frameworkID.ReplaceAllString(path, "FRAMEWORK")
	return containerID.ReplaceAllString(path, "CONTAINER")
}

// otherwise are the parts of the captured directory that another workload made,
// that belong to parts of Mesos kept differently here, or that tell how an
// executor is connected.
var otherwise = regexp.MustCompile(`pod-executor|t-vol|t-argv|^volumes/|^meta/resources/|resource_provider_registry|provisioner/` +
	`|libprocess\.pid|http\.marker|operations/$`)

// capturedLayout reads a listing: mode, size, path, and where a link points.
func capturedLayout(listing string) map[string]string {
	_, listing, _ = strings.Cut(listing, "== /var/lib/mesos-a1\n")
	listing, _, _ = strings.Cut(listing, "\n== ")
	files := map[string]string{}
	for line := range strings.Lines(listing) {
		words := strings.Fields(line)
		if len(words) < 3 || otherwise.MatchString(words[2]) {
			continue
		}
		about := words[0]
		if len(words) > 4 {
			about += " -> " + anonymous(strings.TrimPrefix(words[4], "/var/lib/mesos-a1/"))
		}
		files[anonymous(words[2])] = about
	}
	return files
}

// layout lists a directory like that.
func layout(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // gone while we looked
		}
		info, err := entry.Info()
		if err != nil {
			return nil //nolint:nilerr // the same
		}
		name, _ := filepath.Rel(root, path)
		about := strings.ToLower(info.Mode().String())
		switch {
		case name == ".":
			name, about = "./", "drwxr-xr-x"
		case entry.IsDir():
			name += "/"
		case info.Mode()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			about += " -> " + anonymous(strings.TrimPrefix(target, root+"/"))
		}
		if !otherwise.MatchString(name) && !strings.HasPrefix(name, "run") && !strings.HasPrefix(name, "fetch") {
			files[anonymous(name)] = about
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// sameLayout lists the differences of two directories.
func sameLayout(want, got map[string]string) error {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if about, ok := got[name]; !ok {
			lines = append(lines, name+" is missing")
		} else if about != want[name] {
			lines = append(lines, fmt.Sprintf("%s is %s, in Mesos %s", name, about, want[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			lines = append(lines, name+" is there, in Mesos it is not")
		}
	}
	if len(lines) > 0 {
		return fmt.Errorf("the directory differs:\n%s", strings.Join(lines, "\n"))
	}
	return nil
}
