package image

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// refuse answers as a registry that has nothing.
func refuse(out http.ResponseWriter, _ *http.Request) {
	http.Error(out, `{"errors": [{"code": "MANIFEST_UNKNOWN"}]}`, http.StatusNotFound)
}

func TestMirrors(t *testing.T) {
	mirror := newWorld(t, nil)
	mirror.push("a", small(t, "a"))
	w := newWorld(t, func(c *Config) {
		c.Mirrors = []string{"http://127.0.0.1:1", "http://" + mirror.host, "other.example=http://127.0.0.1:2"}
	})
	w.push("a", small(t, "a"))
	w.push("b", small(t, "b"))
	if got := tree(t, w.must("c1", "a").Path); got != "base same\nfile a\n" || w.blobs.Load() != 0 || mirror.blobs.Load() == 0 {
		t.Errorf("of the mirror: %q, %d blobs of the origin, %d of the mirror", got, w.blobs.Load(), mirror.blobs.Load())
	}
	w.must("c2", "b") // which the mirror has not
	asked := ""
	w.serve = func(out http.ResponseWriter, r *http.Request) {
		asked += r.URL.Path + "\n"
		if r.URL.Path != "/v2/" {
			refuse(out, r)
		}
	}
	_, err := w.provision("c3", "none")
	if err == nil || !strings.Contains(err.Error(), "from "+mirror.host) || !strings.Contains(err.Error(), "from "+w.host) || !strings.Contains(asked, "/v2/none/") {
		t.Errorf("where nobody has it: %v; asked of the origin: %s", err, asked)
	}
	if _, err := w.provision("c4", mirror.host+"/b"); err == nil || strings.Contains(err.Error(), "127.0.0.1:1:") {
		t.Errorf("a mirror of another registry was asked: %v", err)
	}
}

// A mirror that breaks off in the middle is no worse than none.
func TestMirrorBreaksOff(t *testing.T) {
	img := small(t, "a")
	mirror := newWorld(t, nil)
	broken := 0
	mirror.serve = func(out http.ResponseWriter, r *http.Request) {
		layers, err := img.Layers()
		if err != nil {
			t.Error(err)
		}
		if digest, _ := layers[len(layers)-1].Digest(); strings.HasSuffix(r.URL.Path, digest.String()) {
			broken++
			fmt.Fprint(out, "no layer")
			return
		}
		mirror.serveFrom(out, r, "", img)
	}
	w := newWorld(t, func(c *Config) { c.Mirrors = []string{"http://" + mirror.host} })
	w.push("a", img)
	if got := tree(t, w.must("c1", "a").Path); got != "base same\nfile a\n" || broken == 0 {
		t.Errorf("%q, broken %d times", got, broken)
	}
}

// Images of Docker's own registry are in library/ on its mirrors, too.
func TestMirrorOfDocker(t *testing.T) {
	var asked []string
	w := newWorld(t, func(c *Config) {
		c.Registry, c.Mirrors = "", []string{"https://m.example/", "quay.io=https://q.example"}
		c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.URL.Path, "/manifests/") || r.URL.Path == "/v2/" {
				asked = append(asked, r.URL.Host+r.URL.Path)
			}
			return nil, errors.New("no network")
		})
	})
	for image, want := range map[string]string{"box": "m.example", "quay.io/x/box": "q.example", "x.example/box": "x.example"} {
		asked = nil
		if _, err := w.provision("c", image); err == nil {
			t.Error(image, "was pulled")
		}
		if len(asked) == 0 || !strings.HasPrefix(asked[0], want) {
			t.Errorf("%s: asked %q", image, asked)
		}
	}
	ref, err := parseReference("box")
	if err != nil {
		t.Fatal(err)
	}
	all, err := w.store.sources(t.Context(), ref, keychain{})
	if err != nil || len(all) != 2 || all[0].name != "m.example" {
		t.Errorf("%v, %v", all, err)
	}
}

func TestBadMirrors(t *testing.T) {
	for _, bad := range []string{"", "m.example", "ftp://m.example", "https://", "=https://m.example", "x=", "https://a b"} {
		if got, err := parseMirrors([]string{bad}, "r.example"); err == nil {
			t.Errorf("%q was taken as %+v", bad, got)
		}
	}
}

func FuzzParseMirrors(f *testing.F) {
	f.Add("https://m.example")
	f.Add("quay.io=http://m.example:5000/")
	f.Fuzz(func(t *testing.T, text string) {
		if all, err := parseMirrors([]string{text}, "r.example"); err == nil && (len(all) != 1 || all[0].host == "" || all[0].of == "") {
			t.Errorf("%q is %+v", text, all)
		}
	})
}

// helper puts a credential helper into the PATH.
func helper(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, helperPrefix+name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestCredentialHelpers(t *testing.T) {
	helper(t, "one", `read url; [ "$1" = get ] && [ $url = r.example ] && echo '{"ServerURL": "r", "Username": "u", "Secret": "s"}' || { echo "credentials not found in native keychain"; exit 1; }`)
	helper(t, "token", `read url; echo '{"Username": "<token>", "Secret": "'$url'"}'`)
	helper(t, "broken", `echo "the vault is closed"; exit 1`)
	helper(t, "mad", `echo secret`)
	auth, err := EngineAuth([]byte(`{"credsStore": "one", "credHelpers": {"docker.io": "token", "b.example": "broken"}, "auths": {"w.example": {"username": "written"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for image, want := range map[string]string{
		"r.example/a": `{"username":"u","password":"s"}`, "busybox": `{"identitytoken":"https://index.docker.io/v1/"}`,
		"w.example/a": `{"username":"written"}`, "o.example/a": "", "b.example/a": "",
	} {
		text, err := base64.URLEncoding.DecodeString(auth(image))
		if err != nil || string(text) != want {
			t.Errorf("%s: %s, %v", image, text, err)
		}
	}
	for name, want := range map[string]string{"broken": "the vault is closed", "mad": "is no JSON"} {
		if _, _, err := askHelper(name, "r"); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Frameworks may not name programs that the agent runs.
func TestHelpersThatAreRefused(t *testing.T) {
	helper(t, "one", "exit 1")
	for text, want := range map[string]string{
		`{"credsStore": "one"}`: "only the agent's --docker_config", `{"credHelpers": {"r": "one"}, "auths": {}}`: "only the agent's",
	} {
		image := docker("a")
		image.Docker.Config = &mesos.Secret{Type: mesos.Secret_VALUE.Enum(), Value: &mesos.Secret_Value{Data: []byte(text)}}
		w := newWorld(t, nil)
		if _, err := w.store.Provision(t.Context(), &Request{Container: "c", Image: image}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{`{"credsStore": "missing"}`: "executable file not found", `{"credsStore": "../one"}`: "want a name"} {
		cfg := Config{Dir: t.TempDir(), Containers: t.TempDir(), Auth: []byte(text)}
		if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := parseConfig([]byte(`{"credsStore": ""}`), false); err != nil {
		t.Error(err)
	}
}
