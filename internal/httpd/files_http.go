package httpd

import (
	"maps"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/meseta-project/meseta/internal/authn"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/wire"
)

// Route adds /files/browse, /files/read, /files/download and /files/debug to
// a mux, each wrapped by wrap, which authenticates.
func (f *Files) Route(m *Mux, wrap func(http.Handler) http.Handler) {
	for name, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"browse":   f.browse,
		"read":     f.read,
		"download": f.download,
		"debug":    f.debug,
	} {
		m.Handle("files", name, wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := serve(w, r); err != nil {
				Refuse(w, err)
			}
		})))
	}
}

// requested returns the virtual path that a request is about.
func requested(r *http.Request) (string, error) {
	if name := r.URL.Query().Get("path"); name != "" {
		return name, nil
	}
	return "", refusal.Invalidf("Expecting 'path=value' in query.\n")
}

func (f *Files) browse(w http.ResponseWriter, r *http.Request) error {
	name, err := requested(r)
	if err != nil {
		return err
	}
	list, err := f.List(name, authn.Principal(r.Context()))
	if err != nil {
		return err
	}
	Render(w, r, func(out *wire.Writer) error {
		out.BeginArray()
		for _, info := range list {
			info.write(out)
		}
		out.EndArray()
		return nil
	})
	return nil
}

// write writes f as Mesos lists it: members sorted, as in all its objects
// built by hand.
func (f FileInfo) write(out *wire.Writer) {
	out.BeginObject()
	out.Key("gid").String(f.GID)
	out.Key("mode").String(f.Permissions())
	out.Key("mtime").Time(f.MTime)
	out.Key("nlink").Int(int64(f.Nlink))
	out.Key("path").String(f.Path)
	out.Key("size").Int(f.Size)
	out.Key("uid").String(f.UID)
	out.EndObject()
}

// read serves a part of a file. Without an offset, or with -1, it serves the
// file's size as the offset and no data: the pager asks so.
func (f *Files) read(w http.ResponseWriter, r *http.Request) error {
	name, err := requested(r)
	if err != nil {
		return err
	}
	offset, err := number(r, "offset")
	if err != nil {
		return err
	}
	length, err := number(r, "length")
	if err != nil {
		return err
	}
	size, data, err := f.Read(name, offset, length, authn.Principal(r.Context()))
	if err != nil {
		return err
	}
	if offset == -1 {
		offset = size
	}
	Render(w, r, func(out *wire.Writer) error {
		out.BeginObject()
		out.Key("data").String(strings.ToValidUTF8(string(data), "\uFFFD"))
		out.Key("offset").Int(offset)
		out.EndObject()
		return nil
	})
	return nil
}

// number returns a parameter of the query, -1 if it is absent.
func number(r *http.Request, name string) (int64, error) {
	if !r.URL.Query().Has(name) {
		return -1, nil
	}
	value := r.URL.Query().Get(name)
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil:
		return 0, refusal.Invalidf("Failed to parse %s: Failed to convert '%s' to number.\n", name, value)
	case n < -1:
		return 0, refusal.Invalidf("Negative %s provided: %d.\n", name, n)
	}
	return n, nil
}

// download serves a file whole, as an attachment that no browser runs.
func (f *Files) download(w http.ResponseWriter, r *http.Request) error {
	name, err := requested(r)
	if err != nil {
		return err
	}
	file, err := f.open(name, authn.Principal(r.Context()))
	if refusal.ReasonOf(err) == refusal.NotFound {
		NotFound(w)
		return nil
	} else if err != nil {
		return err
	}
	defer file.Close()
	info, err := regular(file, "download")
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(name)}))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	extend(w, int(info.Size()))
	http.ServeContent(w, r, "", info.ModTime(), file)
	return nil
}

// debug serves the table of what is attached.
func (f *Files) debug(w http.ResponseWriter, r *http.Request) error {
	attached := f.Attached()
	Render(w, r, func(out *wire.Writer) error {
		out.BeginObject()
		for _, virtual := range slices.Sorted(maps.Keys(attached)) {
			out.Key(virtual).String(attached[virtual])
		}
		out.EndObject()
		return nil
	})
	return nil
}
