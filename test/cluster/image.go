package cluster

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// WriteImage writes the image NAME:TAG, with Debian's busybox-static in it, as an
// archive of docker save's kind into a folder.
func WriteImage(t *testing.T, dir, name string, config J) {
	t.Helper()
	layer := BusyboxRoot(t)
	text, err := json.Marshal(J{
		"architecture": runtime.GOARCH, "os": "linux", "config": config,
		"rootfs": J{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal([]J{{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range []struct {
		name string
		text []byte
	}{{"manifest.json", manifest}, {"config.json", text}, {"layer.tar", layer}} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.text))}); err != nil {
			t.Fatal(err)
		}
		w.Write(f.text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".tar"), out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
