package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/meseta-project/meseta/internal/flags"
)

var update = flag.Bool("update", false, "write the references anew")

// reference compares a file below docs/reference with what the program says of
// itself, so that the one follows the other.
func reference(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("..", "..", "docs", "reference", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(old) != text {
		t.Errorf("docs/reference/%s is out of date: go test ./internal/cli -run Reference -update", name)
	}
}

func TestFlagReference(t *testing.T) {
	for name, set := range map[string]*flags.Set{"master": newMasterFlags().Set, "agent": newAgentFlags().Set} {
		newLogFlags(set, "INFO")
		var b bytes.Buffer
		fmt.Fprintf(&b, "# Flags of `meseta %s`\n\nEach may also be given as a variable of the environment, such as `MESOS_WORK_DIR`.\n\n", name)
		if err := set.Markdown(&b); err != nil {
			t.Fatal(err)
		}
		// This default depends on who asks.
		reference(t, name+"-flags.md", strings.ReplaceAll(b.String(), defaultRuntimeDir(), "/var/run/mesos"))
	}
}

// TestDaemonHelp: --help has the flags of daemons in their groups, as text.
func TestDaemonHelp(t *testing.T) {
	for _, name := range []string{"master", "agent", "execute"} {
		root, out := Root(), &bytes.Buffer{}
		root.SetArgs([]string{name, "--help"})
		root.SetOut(out)
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"\nUsage:\n  meseta " + name + " --", "\nExamples:\n", "\n  --[no-]", "\n  --logging_level="} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the help of %s lacks %q:\n%s", name, want, out)
			}
		}
		if strings.ContainsRune(out.String(), 0) {
			t.Errorf("the help of %s is no text", name)
		}
	}
}

// TestEndpointReference asks a running master and agent what they serve and
// measure.
func TestEndpointReference(t *testing.T) {
	log, err := newLogFlags(flags.New(""), "INFO").open("test", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	c, err := openDev(&devOptions{Agents: 1, IP: "127.0.0.1", WorkDir: t.TempDir()}, log, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	defer work.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	work.Go(func() { _ = c.master.run(ctx) }) // ends with the test
	work.Go(func() { _ = c.agents[0].run(ctx) })
	if err := c.ready(ctx, ctx); err != nil {
		t.Fatal(err)
	}
	at := c.master.info.GetAddress()
	for name, address := range map[string]string{
		"master": fmt.Sprintf("%s:%d", at.GetIp(), at.GetPort()), "agent": c.agents[0].address.String(),
	} {
		reference(t, name+"-endpoints.md", endpoints(t, name, address))
		reference(t, name+"-metrics.md", metricNames(t, name, address))
	}
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, response.Status, err)
	}
	return body
}

func endpoints(t *testing.T, name, address string) string {
	t.Helper()
	var help struct {
		Processes []struct {
			ID        string
			Endpoints []struct{ Name, Text string }
		}
	}
	if err := json.Unmarshal(get(t, "http://"+address+"/help?format=json"), &help); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Endpoints of the %s\n\n| path | what |\n|---|---|\n", name)
	for _, p := range help.Processes {
		for _, e := range p.Endpoints {
			lines := strings.Split(strings.TrimSpace(e.Text), "\n")
			fmt.Fprintf(&b, "| `/%s%s` | %s |\n", p.ID, e.Name, lines[len(lines)-1])
		}
	}
	return b.String()
}

func metricNames(t *testing.T, name, address string) string {
	t.Helper()
	metrics := map[string]float64{}
	if err := json.Unmarshal(get(t, "http://"+address+"/metrics/snapshot"), &metrics); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Metrics of the %s\n\nThey are at `/metrics/snapshot`, and for Prometheus at `/metrics/prometheus`.\n"+
		"Names that hold a role, a framework or an executor appear with these.\n\n", name)
	for _, metric := range slices.Sorted(maps.Keys(metrics)) {
		fmt.Fprintf(&b, "- `%s`\n", metric)
	}
	return b.String()
}
