package cluster

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Registry is a registry of images in this process, for those who know a password.
type Registry struct {
	Host string

	mu   sync.Mutex
	gate chan struct{} // no layer is sent to its end while it is open; nil: all are
}

// What a registry wants to hear.
const (
	User     = "somebody"
	Password = "of-no-secret"
)

// StartRegistry starts a registry on loopback, until the test ends.
func StartRegistry(t *testing.T) *Registry {
	t.Helper()
	r := &Registry{}
	images := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		if user, password, _ := in.BasicAuth(); user != User || password != Password {
			w.Header().Set("WWW-Authenticate", `Basic realm="images"`)
			http.Error(w, `{"errors": [{"code": "UNAUTHORIZED"}]}`, http.StatusUnauthorized)
			return
		}
		if in.Method == http.MethodGet && strings.Contains(in.URL.Path, "/blobs/") {
			w = &slowly{ResponseWriter: w, registry: r}
		}
		images.ServeHTTP(w, in)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(r.Open)
	r.Host = strings.TrimPrefix(server.URL, "http://")
	return r
}

// Hold keeps layers from being sent to their ends, until [Registry.Open].
func (r *Registry) Hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gate = make(chan struct{})
}

// Open lets everything be sent.
func (r *Registry) Open() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gate != nil {
		close(r.gate)
		r.gate = nil
	}
}

// Push puts an image into the registry, made as by [WriteImage].
func (r *Registry) Push(t *testing.T, image string, config J) {
	t.Helper()
	dir := t.TempDir()
	WriteImage(t, dir, "image:1", config)
	made, err := tarball.ImageFromPath(filepath.Join(dir, "image:1.tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	at, err := name.ParseReference(r.Host + "/" + image)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(at, made, remote.WithAuth(&authn.Basic{Username: User, Password: Password})); err != nil {
		t.Fatal(err)
	}
}

// slowly sends the beginning of what is large, and the rest when it may.
type slowly struct {
	http.ResponseWriter
	registry *Registry
	sent     int
}

// beginning is more than any configuration has, and less than a layer.
const beginning = 64 << 10

func (s *slowly) Write(b []byte) (int, error) {
	s.registry.mu.Lock()
	gate := s.registry.gate
	s.registry.mu.Unlock()
	if gate == nil || s.sent+len(b) < beginning {
		s.sent += len(b)
		return s.ResponseWriter.Write(b)
	}
	half := len(b) / 2
	if n, err := s.ResponseWriter.Write(b[:half]); err != nil {
		return n, err
	}
	s.ResponseWriter.(http.Flusher).Flush()
	<-gate
	n, err := s.ResponseWriter.Write(b[half:])
	s.sent += half + n
	return half + n, err
}
