package cli

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
)

func TestContainerizers(t *testing.T) {
	for _, test := range []struct{ value, want string }{
		{"mesos", ""}, {"docker,mesos", "--docker_socket"}, {"docker", "--docker_socket"}, {"lxc", "unknown"}, {"", "want mesos"},
	} {
		f := newAgentFlags()
		args := []string{"--master=x:1", "--work_dir=/x", "--docker_socket=" + filepath.Join(t.TempDir(), "none"), "--containerizers=" + test.value}
		if _, err := f.Set.Parse(args, nil); err != nil {
			t.Fatal(err)
		}
		engine, err := f.Docker.open(&f.Images, slog.New(slog.DiscardHandler))
		if engine != nil || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v", test.value, engine, err)
		}
	}
}
