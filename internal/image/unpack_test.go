package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/meseta-project/meseta/internal/skip"
)

// tree lists a folder's files, one a line: path, kind, and content or target.
func tree(t testing.TB, root string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		switch {
		case d.IsDir():
			rel += "/"
		case d.Type()&os.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			rel += " -> " + target
		case d.Type().IsRegular():
			text, _ := os.ReadFile(path)
			rel += " " + string(text)
		default:
			rel += " " + d.Type().String()
		}
		fmt.Fprintln(&out, rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// backends are those that work on this machine.
func backends(t *testing.T) []string {
	if os.Getuid() == 0 {
		return []string{"overlay", "copy"}
	}
	t.Log("not root: overlay is not tested")
	return []string{"copy"}
}

// What layers hide stays hidden, whichever way they are put together.
func TestWhiteouts(t *testing.T) {
	below := []file{
		dir("a/"),
		{name: "a/1", body: "one"},
		{name: "a/2", body: "two"},
		dir("b/"),
		{name: "b/1", body: "one"},
		{name: "c", body: "see"},
		{name: "d", kind: tar.TypeSymlink, link: "/a"},
		dir("e/"),
		{name: "e/1", body: "one"},
	}
	for _, test := range []struct {
		name  string
		above []file
		want  string
	}{
		{"file", []file{{name: "a/.wh.1"}, {name: ".wh.c"}}, "a/\na/2 two\nb/\nb/1 one\nd -> /a\ne/\ne/1 one\n"},
		{"folder", []file{{name: ".wh.a"}, {name: ".wh.b"}, {name: ".wh.e"}}, "c see\nd -> /a\n"},
		{"opaque", []file{dir("a/"), {name: "a/.wh..wh..opq"}, {name: "a/3", body: "three"}, {name: ".wh.b"}, {name: ".wh.e"}}, "a/\na/3 three\nc see\nd -> /a\n"},
		{"anew", []file{{name: ".wh.a"}, dir("a/"), {name: "a/3", body: "three"}, dir("b/"), {name: ".wh.b"}, {name: ".wh.e"}}, "a/\na/3 three\nb/\nc see\nd -> /a\n"},
		{"kind", []file{{name: "a", body: "file"}, {name: ".wh.b"}, dir("c/"), {name: "c/1", body: "one"}, {name: ".wh.e"}}, "a file\nc/\nc/1 one\nd -> /a\n"},
		{"over link", []file{dir("d/"), {name: "d/new", body: "x"}, {name: ".wh.b"}, {name: ".wh.e"}, {name: ".wh.c"}, {name: ".wh.a"}}, "d/\nd/new x\n"},
		{"aufs", []file{{name: ".wh..wh.plnk"}, {name: ".wh..wh.aufs"}, {name: ".wh.b"}, {name: ".wh.e"}, {name: ".wh.c"}, {name: ".wh.d"}, {name: ".wh.a"}}, ""},
	} {
		for _, backend := range backends(t) {
			t.Run(test.name+"/"+backend, func(t *testing.T) {
				w := newWorld(t, func(c *Config) { c.Backend = backend })
				w.push("x", imageOf(t, v1.Config{}, layer(t, below...), layer(t, test.above...)))
				if got := tree(t, w.must("c", "x").Path); got != test.want {
					t.Errorf("got:\n%swant:\n%s", got, test.want)
				}
			})
		}
	}
}

// Owner, mode with its special bits, attributes and links survive.
func TestDescription(t *testing.T) {
	skip.UnlessRoot(t)
	for _, backend := range backends(t) {
		w := newWorld(t, func(c *Config) { c.Backend = backend })
		w.push("x", imageOf(t, v1.Config{}, layer(t,
			file{name: "./", kind: tar.TypeDir, mode: 0o751, uid: 7},
			file{name: "closed/", kind: tar.TypeDir, mode: 0o500, uid: 8}, file{name: "closed/in", body: "x", mode: 0o400},
			file{name: "suid", body: "x", mode: 0o4755, uid: 9, attributes: map[string]string{
				"user.note": "kept", "trusted.overlay.redirect": "/etc", "trusted.overlay.metacopy": "", "user.overlay.opaque": "y",
			}},
			file{name: "twin", kind: tar.TypeLink, link: "/suid"},
			file{name: "pipe", kind: tar.TypeFifo, mode: 0o640},
			file{name: "dev/sda", kind: tar.TypeBlock, mode: 0o666}, file{name: "dev/hidden", kind: tar.TypeChar},
		)))
		root := w.must("c", "x").Path
		for path, want := range map[string][3]uint32{
			".": {unix.S_IFDIR | 0o751, 7, 0}, "closed": {unix.S_IFDIR | 0o500, 8, 0}, "closed/in": {unix.S_IFREG | 0o400, 0, 1},
			"suid": {unix.S_IFREG | 0o4755, 9, 2}, "twin": {unix.S_IFREG | 0o4755, 9, 2}, "pipe": {unix.S_IFIFO | 0o640, 0, 1},
		} {
			var st unix.Stat_t
			if err := unix.Lstat(filepath.Join(root, path), &st); err != nil {
				t.Error(err)
			} else if st.Mode != want[0] || st.Uid != want[1] || want[2] != 0 && uint32(st.Nlink) != want[2] {
				t.Errorf("%s: %s: mode %o, owner %d, %d names, want %o, %d, %d", backend, path, st.Mode, st.Uid, st.Nlink, want[0], want[1], want[2])
			}
		}
		suid := filepath.Join(w.store.layerPath(onlyLayer(t, w)), "suid")
		names := make([]byte, 1000)
		if n, err := unix.Llistxattr(suid, names); err == nil && string(names[:n]) != "user.note\x00" {
			t.Errorf("attributes %q", names[:n])
		}
		for _, device := range []string{"sda", "hidden"} {
			if _, err := os.Lstat(filepath.Join(root, "dev", device)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the layer brought the device %s: %v", device, err)
			}
		}
	}
}

func onlyLayer(t *testing.T, w *world) string {
	t.Helper()
	entries, err := os.ReadDir(w.store.path("layers"))
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	return strings.TrimPrefix(entries[0].Name(), layerPrefix)
}

// hostile are layers that try to reach what is not theirs. VICTIM stands for a
// folder outside with a file "canary".
var hostile = map[string][]file{
	"dot":                 {{name: "../VICTIM/canary", body: "pwned"}},
	"dot within":          {dir("a/"), {name: "a/../../VICTIM/canary", body: "pwned"}},
	"absolute":            {{name: "VICTIM/canary", body: "pwned"}},
	"absolute link":       {{name: "a", kind: tar.TypeSymlink, link: "VICTIM"}, {name: "a/canary", body: "pwned"}},
	"relative link":       {{name: "a", kind: tar.TypeSymlink, link: "../../../../../../../../../..VICTIM"}, {name: "a/canary", body: "pwned"}},
	"link of links":       {{name: "a", kind: tar.TypeSymlink, link: "b"}, {name: "b", kind: tar.TypeSymlink, link: "VICTIM"}, {name: "a/canary", body: "pwned"}},
	"link as file":        {{name: "a", kind: tar.TypeSymlink, link: "VICTIM/canary"}, {name: "a", body: "pwned"}},
	"link as folder":      {{name: "a", kind: tar.TypeSymlink, link: "VICTIM"}, dir("a/"), {name: "a/canary", body: "pwned"}},
	"folder then link":    {{name: "a/", kind: tar.TypeDir, mode: 0o777, uid: 4711}, {name: "a", kind: tar.TypeSymlink, link: "VICTIM"}},
	"hard link":           {{name: "a", kind: tar.TypeLink, link: "VICTIM/canary"}, {name: "a", body: "pwned"}},
	"hard link dots":      {{name: "a", kind: tar.TypeLink, link: "../../../../../../../../VICTIM/canary"}},
	"hard link by a link": {{name: "l", kind: tar.TypeSymlink, link: "VICTIM"}, {name: "a", kind: tar.TypeLink, link: "l/canary"}},
	"link to a link":      {{name: "l", kind: tar.TypeSymlink, link: "VICTIM/canary"}, {name: "a", kind: tar.TypeLink, link: "l"}, {name: "a", body: "pwned", mode: 0o777}},
	"whiteout by a link":  {{name: "a", kind: tar.TypeSymlink, link: "VICTIM"}, {name: "a/.wh.canary"}},
	"whiteout dots":       {{name: ".wh..."}, {name: "a/.wh..."}, {name: ".wh.."}, {name: ".wh."}},
	"opaque by a link":    {{name: "a", kind: tar.TypeSymlink, link: "VICTIM"}, {name: "a/.wh..wh..opq"}},
	"own root":            {{name: ".", kind: tar.TypeSymlink, link: "VICTIM"}, {name: "canary", body: "pwned"}},
	"proc":                {{name: "a", kind: tar.TypeSymlink, link: "/proc/self/cwd"}, {name: "a/canary", body: "pwned"}},
	"magic link":          {{name: "proc/self/root", kind: tar.TypeSymlink, link: "/"}, {name: "proc/self/rootVICTIM/canary", body: "pwned"}},
}

// Layers cannot reach outside of their root, neither when they are unpacked nor
// when they are put together. Some are refused, others do no harm.
func TestHostileLayers(t *testing.T) {
	for name, files := range hostile {
		for _, backend := range backends(t) {
			t.Run(name+"/"+backend, func(t *testing.T) {
				victim := t.TempDir()
				canary := filepath.Join(victim, "canary")
				if err := os.WriteFile(canary, []byte("alive"), 0o600); err != nil {
					t.Fatal(err)
				}
				before, _ := os.Stat(victim)
				var set []file
				for _, f := range files {
					f.name, f.link = strings.ReplaceAll(f.name, "VICTIM", victim), strings.ReplaceAll(f.link, "VICTIM", victim)
					set = append(set, f)
				}
				w := newWorld(t, func(c *Config) { c.Backend = backend })
				// Once alone, once over a layer with a link to what it aims at.
				lower := layer(t, file{name: "a", kind: tar.TypeSymlink, link: victim}, file{name: "canary", kind: tar.TypeSymlink, link: canary})
				w.push("one", imageOf(t, v1.Config{}, layer(t, set...)))
				w.push("two", imageOf(t, v1.Config{}, lower, layer(t, append(set, dir("a/"), file{name: "a/canary", body: "pwned"})...)))
				_, one := w.provision("c1", "one")
				_, two := w.provision("c2", "two")
				t.Log(one, two)
				text, err := os.ReadFile(canary)
				info, _ := os.Stat(canary)
				after, _ := os.Stat(victim)
				if err != nil || string(text) != "alive" || info.Mode() != 0o600 || after.Mode() != before.Mode() || info.Sys() == nil {
					t.Errorf("the layer got out: %q, %v, %v, %v", text, err, info, after)
				}
				if entries, _ := os.ReadDir(victim); len(entries) != 1 {
					t.Errorf("the layer left %v outside", entries)
				}
			})
		}
	}
}

func TestLimits(t *testing.T) {
	many := make([]file, 30)
	for i := range many {
		many[i] = dir(fmt.Sprint("d", i))
	}
	zeros := file{name: "zeros", body: strings.Repeat("\x00", 1<<20)}
	small := Limits{LayerBytes: 100 << 10, LayerFiles: 20, Layers: 3}
	for name, layers := range map[string][]v1.Layer{
		"bomb":   {layer(t, zeros)},
		"files":  {layer(t, many...)},
		"layers": {layer(t), layer(t), layer(t), layer(t)},
	} {
		w := newWorld(t, func(c *Config) { c.Limits = small })
		w.push("x", imageOf(t, v1.Config{}, layers...))
		if _, err := w.provision("c", "x"); err == nil {
			t.Errorf("%s: it was taken", name)
		}
		if left, _ := filepath.Glob(w.store.path("staging", "*")); len(left) > 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
	}
}

// A header may promise more than the layer sends: a hole in a sparse file.
func TestSparseBomb(t *testing.T) {
	text := sparse(t, 1<<50)
	err := unpack(t.TempDir(), bytes.NewReader(text), Limits{LayerBytes: 1 << 30, LayerFiles: 10})
	if !errors.Is(err, errTooLarge) {
		t.Error(err)
	}
}

// sparse returns a tar file with one file that is a hole.
func sparse(t *testing.T, size int64) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	body := "0\n" // no parts with data
	body += strings.Repeat("\x00", 512-len(body))
	h := &tar.Header{Name: "GNUSparseFile.0/hole", Mode: 0o644, Size: int64(len(body)), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	h.PAXRecords = map[string]string{"MESETA.note": "x"}
	if err := w.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, body)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// The writer refuses the records of sparse files, so they are put in by hand.
	records := ""
	for _, r := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=hole", fmt.Sprint("GNU.sparse.realsize=", size)} {
		n := len(r) + 4
		if n >= 100 {
			n++
		}
		records += fmt.Sprintf("%d %s\n", len(fmt.Sprintf("%d %s\n", n, r)), r)
	}
	all := out.Bytes()
	copy(all[512:1024], make([]byte, 512))
	copy(all[512:], records)
	copy(all[124:136], fmt.Sprintf("%011o\x00", len(records)))
	checksum(all[:512])
	return all
}

func checksum(block []byte) {
	copy(block[148:156], "        ")
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

func FuzzUnpack(f *testing.F) {
	for _, files := range hostile {
		f.Add(archive(f, files...))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		outer := t.TempDir()
		inner, canary := filepath.Join(outer, "in", "ner"), filepath.Join(outer, "canary")
		if err := errors.Join(os.MkdirAll(inner, 0o700), os.WriteFile(canary, []byte("alive"), 0o600)); err != nil {
			t.Fatal(err)
		}
		_ = unpack(inner, bytes.NewReader(text), Limits{LayerBytes: 1 << 20, LayerFiles: 100})
		if got := tree(t, outer); !strings.HasPrefix(got, "canary alive\nin/\nin/ner/\n") {
			t.Errorf("got out:\n%s", got)
		}
		if err := removeTree(outer); err != nil {
			t.Error(err)
		}
	})
}
