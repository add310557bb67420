package masterd

import (
	"bytes"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/master"
)

// TestWhitelist: the core hears of the file when it changes, and what it said
// last stays when it cannot be read.
func TestWhitelist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "whitelist")
	var log bytes.Buffer
	s := &Server{log: slog.New(slog.NewTextHandler(&log, nil))}
	l := &whitelist{path: path}
	for _, step := range []struct {
		text string // "-": there is no file
		want []string
	}{
		{"-", nil},
		{"h1\nh2\r\n\n", []string{"h1", "h2"}},
		{"h1\nh2\r\n\n", nil},
		{"-", nil},
		{"", []string{}},
		{"", nil},
		{"h3", []string{"h3"}},
	} {
		log.Reset()
		if step.text == "-" {
			_ = os.Remove(path)
		} else if err := os.WriteFile(path, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var told []master.Input
		s.update(l, func(in master.Input) { told = append(told, in) })
		var got map[string]bool
		for _, in := range told {
			got = in.(master.Whitelist).Hosts
		}
		if (len(told) > 0) != (step.want != nil) || !slices.Equal(slices.Sorted(maps.Keys(got)), step.want) {
			t.Errorf("%q: told %v, want %v", step.text, told, step.want)
		}
		if unread := strings.Contains(log.String(), "cannot read the agent whitelist"); unread != (step.text == "-") {
			t.Errorf("%q: log %s", step.text, log.String())
		}
	}
}
