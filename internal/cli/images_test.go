package cli

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestImageGCConfig(t *testing.T) {
	var f imageFlags
	good := `{"image_disk_headroom": 0.1, "image_disk_watch_interval": {"nanoseconds": 3600000000000},
		"excluded_images": [{"type": "DOCKER", "docker": {"name": "busybox"}}]}`
	if err := f.gc([]byte(good)); err != nil || f.GC.Headroom != 0.1 || f.GC.Interval != time.Hour || f.GC.Excluded[0].GetDocker().GetName() != "busybox" {
		t.Errorf("%+v, %v", f.GC, err)
	}
	for _, bad := range []string{
		`{}`, `[]`, `{"image_disk_headroom": 2, "image_disk_watch_interval": {"nanoseconds": 1}}`, `{"image_disk_headroom": 0.1}`,
		`{"image_disk_headroom": 0.1, "image_disk_watch_interval": {"nanoseconds": 0}}`,
		`{"image_disk_headroom": 0.1, "image_disk_watch_interval": {"nanoseconds": 1}, "excluded_images": [{"type": "X"}]}`,
	} {
		if err := f.gc([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestOpenImages(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config.json")
	if err := os.WriteFile(config, []byte(`{"auths": {}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args     []string
		want, ok bool
	}{
		{nil, false, true},
		{[]string{"--image_providers=DOCKER"}, true, true},
		{[]string{"--image_providers=DOCKER", "--docker_config=" + config, "--image_provisioner_backend=copy"}, true, true},
		{[]string{"--image_providers=DOCKER", `--docker_config={"auths": {}}`}, true, true},
		{[]string{"--image_providers=DOCKER", "--docker_config=/no/such/file"}, false, false},
		{[]string{"--image_providers=DOCKER", "--docker_config=nonsense"}, false, false},
		{[]string{"--image_providers=DOCKER", "--image_provisioner_backend=aufs"}, false, false},
		{[]string{"--image_providers=APPC"}, false, false},
	} {
		f := newAgentFlags()
		if _, err := f.Set.Parse(append(test.args, "--master=x:1", "--work_dir="+dir, "--docker_store_dir="+filepath.Join(dir, "store")), nil); err != nil {
			t.Fatal(err)
		}
		images, err := f.openImages(slog.New(slog.DiscardHandler))
		if (images != nil) != test.want || (err == nil) != test.ok {
			t.Errorf("%v: %v, %v", test.args, images, err)
		}
	}
}
