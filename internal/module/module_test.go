package module

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/meseta-project/meseta/allocation"
	"github.com/meseta-project/meseta/allocation/allocationtest"
	"github.com/meseta-project/meseta/allocation/module"
)

// TestMain is a module itself when it is told to be one.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "module" {
		serve(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

// serve serves a policy that does something wrong, by name.
func serve(name string) {
	switch name {
	case "priority":
		module.Serve(allocation.Priority{"role001": 1})
	case "dies":
		module.Serve(policy(func() { os.Exit(3) }))
	case "panics":
		module.Serve(policy(func() { panic("a bug") }))
	case "stalls":
		module.Serve(policy(func() { select {} }))
	case "errs":
		module.Serve(policy(nil))
	case "older":
		handshake := module.Handshake()
		handshake.ProtocolVersion++
		plugin.Serve(&plugin.ServeConfig{
			HandshakeConfig: handshake, GRPCServer: plugin.DefaultGRPCServer,
			Plugins: plugin.PluginSet{module.Name: &module.Plugin{Policy: allocation.DRF{}}},
		})
	}
}

// A policy does something when it is asked, and returns an error if it is left
// to.
type policy func()

func (p policy) Rank(allocation.Demand) (allocation.Ranking, error) {
	if p != nil {
		p()
	}
	return allocation.Ranking{}, errors.New("no idea")
}

func command(t *testing.T, name string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{self, "module", name}
}

func open(t *testing.T, name string) *Module {
	t.Helper()
	m, err := Open(command(t, name), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// asked is a module as a policy.
type asked struct {
	*Module
	t *testing.T
}

func (a asked) Rank(d allocation.Demand) (allocation.Ranking, error) {
	return a.Module.Rank(a.t.Context(), d)
}

// TestConformance has the suite for policies ask a process.
func TestConformance(t *testing.T) {
	m := open(t, "priority")
	allocationtest.Run(t, func(t *testing.T) allocation.Policy { return asked{m, t} })
}

// TestAnswer: what the policy says arrives.
func TestAnswer(t *testing.T) {
	d := allocation.Demand{Roles: []allocation.Role{{Name: "role001", Frameworks: []allocation.Framework{{ID: "f", Wants: true}}}}}
	if r, err := open(t, "priority").Rank(t.Context(), d); err != nil || r.Roles["role001"] != -1 {
		t.Errorf("%v, %v", r, err)
	}
}

// TestFailures: a module that does anything wrong is an error, and another
// process serves afterwards.
func TestFailures(t *testing.T) {
	for name, want := range map[string]string{"dies": "has died", "panics": "has died", "stalls": "does not answer"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := open(t, name)
			ctx := t.Context()
			if name == "stalls" {
				limited, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
				ctx = limited
			}
			if _, err := m.Rank(ctx, allocation.Demand{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
			m.mu.Lock()
			m.failed = time.Now().Add(time.Hour) // whatever the machine's speed
			m.mu.Unlock()
			if _, err := m.Rank(t.Context(), allocation.Demand{}); err == nil || !strings.Contains(err.Error(), "started again in") {
				t.Errorf("%v: it is started again at once", err)
			}
			m.mu.Lock()
			m.failed, m.command = time.Time{}, command(t, "priority")
			m.mu.Unlock()
			if _, err := m.Rank(t.Context(), allocation.Demand{}); err != nil {
				t.Errorf("it is not started again: %v", err)
			}
		})
	}
}

// TestPolicyErrors: the policy's own error is no reason to end its process.
func TestPolicyErrors(t *testing.T) {
	m := open(t, "errs")
	for range 2 {
		if _, err := m.Rank(t.Context(), allocation.Demand{}); err == nil || !strings.Contains(err.Error(), "no idea") {
			t.Error(err)
		}
	}
}

// TestOpenRefuses: what is wrong with a program that is no module, in words that
// say what to do.
func TestOpenRefuses(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, program := range map[string][]string{
		"there is no allocation module":          {"/nonexistent/module"},
		"there is no allocation module no-such":  {"no-such-module"},
		"may not be run":                         {text},
		"is no allocation module":                {"/bin/true"},
		"speaks another version of the protocol": command(t, "older"),
	} {
		if _, err := Open(program, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", program, err, want)
		}
	}
}
