package httpd

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A Mux finds the handler of a path as libprocess does: the first segment, if
// it is one of ours, is the process ("master", "slave(1)", "files"), raw or
// percent-encoded; a path that names none belongs to the delegate. So /state
// and /master/state are one. The handler with the longest prefix of the rest
// takes the request and finds what is left as r.PathValue("rest").
//
// Empty segments and a slash at the end do not matter, and a last segment may
// end in ".json", as older clients have it. Routes are added before the Mux
// serves.
type Mux struct {
	delegate  string
	processes map[string]map[string]http.Handler // process → path → handler
}

// NewMux returns a Mux without routes whose delegate is a process.
func NewMux(delegate string) *Mux {
	return &Mux{delegate: delegate, processes: map[string]map[string]http.Handler{}}
}

// Handle has h take the requests to a path of a process, such as "state",
// "api/v1" or, for the process itself, "".
func (m *Mux) Handle(process, path string, h http.Handler) {
	if m.processes[process] == nil {
		m.processes[process] = map[string]http.Handler{}
	}
	m.processes[process][path] = h
}

// ServeHTTP has the request's handler answer it, or answers 404.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, rest := m.find(r.URL); h != nil {
		r.SetPathValue("rest", rest)
		h.ServeHTTP(w, r)
		return
	}
	NotFound(w)
}

// NotFound answers 404 as for a path that nobody serves.
func NotFound(w http.ResponseWriter) { Text(w, http.StatusNotFound, "404 Not Found.") }

// Canonical returns the path of u with the process in it, as redirects to the
// leader have it: /state is /master/state.
func (m *Mux) Canonical(u *url.URL) string {
	path := u.EscapedPath()
	head, _, _ := strings.Cut(strings.TrimLeft(path, "/"), "/")
	if process, err := url.PathUnescape(head); err == nil && m.processes[process] != nil {
		return path
	}
	return "/" + m.delegate + path
}

func (m *Mux) find(u *url.URL) (h http.Handler, rest string) {
	process, segments, ok := m.split(u)
	if !ok {
		return nil, ""
	}
	paths := m.processes[process]
	path := strings.Join(segments, "/")
	if h, ok := paths[path]; ok {
		return h, ""
	}
	if alias, ok := strings.CutSuffix(path, ".json"); ok && paths[alias] != nil {
		return paths[alias], ""
	}
	for n := range slices.Backward(segments) {
		if n == 0 && process == m.delegate {
			break // its root is a page, not all that nobody else serves
		}
		if h, ok := paths[strings.Join(segments[:n], "/")]; ok {
			return h, strings.Join(segments[n:], "/")
		}
	}
	return nil, ""
}

// split returns the process and the segments of the path after it, decoded.
// Paths that climb lead nowhere.
func (m *Mux) split(u *url.URL) (process string, segments []string, ok bool) {
	for segment := range strings.SplitSeq(u.EscapedPath(), "/") {
		decoded, err := url.PathUnescape(segment)
		switch {
		case err != nil || strings.HasPrefix(decoded, ".."):
			return "", nil, false
		case decoded != "":
			segments = append(segments, decoded)
		}
	}
	if len(segments) > 0 && m.processes[segments[0]] != nil {
		return segments[0], segments[1:], true
	}
	return m.delegate, segments, true
}
