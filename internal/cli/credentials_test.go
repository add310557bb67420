package cli

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOpenSecrets: who lets everybody on the machine read secrets is warned, for
// each file.
func TestOpenSecrets(t *testing.T) {
	for mode, open := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o604: true, 0o644: true, 0o602: true} {
		dir := t.TempDir()
		file := func(name, text string) string {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, mode); err != nil { // the umask has no say in it
				t.Fatal(err)
			}
			return path
		}
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		master := authenticationFlags{Credentials: file("credentials", "p s\n")}
		if _, err := master.load(logger); err != nil {
			t.Error(err)
		}
		agent := agentAuthenticationFlags{Credential: file("credential", "p s\n"), HTTPCredentials: file("http", "p s\n"), ExecutorKey: file("key", "k")}
		if _, err := agent.load(logger); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"credentials", "credential", "http", "key"} {
			warned := strings.Contains(log.String(), "level=WARN msg=\"a file of secrets is open to everybody on this machine\" file="+filepath.Join(dir, name)+" ")
			if warned != open {
				t.Errorf("%s of mode %v: warned %t\n%s", name, mode, warned, log.String())
			}
		}
	}
}
