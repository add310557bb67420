package httpd

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/wire"
)

// Help is /help: what the paths of a server are for, in Markdown, or all at
// once in JSON with format=json.
type Help struct {
	delegate string
	texts    map[string]map[string]string // process → path → one sentence or more
}

// NewHelp returns a Help without texts, for a server whose Mux has the same
// delegate.
func NewHelp(delegate string) *Help {
	return &Help{delegate: delegate, texts: map[string]map[string]string{}}
}

// Add says what a path of a process is for.
func (h *Help) Add(process, path, text string) {
	if h.texts[process] == nil {
		h.texts[process] = map[string]string{}
	}
	h.texts[process][path] = text
}

// ServeHTTP answers for /help, /help/PROCESS and /help/PROCESS/PATH.
func (h *Help) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	process, path, _ := strings.Cut(r.PathValue("rest"), "/")
	texts, text := h.texts[process], h.texts[process][path]
	switch {
	case process == "" && r.URL.Query().Get("format") == "json":
		h.json(w, r)
	case process == "":
		h.list(w, "", slices.Sorted(maps.Keys(h.texts)))
	case texts == nil:
		Refuse(w, refusal.Invalidf("No help available for '/%s'.\n", process))
	case path == "":
		h.list(w, "/"+process, slices.Sorted(maps.Keys(texts)))
	case text == "":
		Refuse(w, refusal.Invalidf("No help available for '/%s/%s'.\n", process, path))
	default:
		markdown(w, h.page(process, path, text))
	}
}

func (h *Help) list(w http.ResponseWriter, below string, names []string) {
	var b strings.Builder
	b.WriteString("## Help" + strings.TrimSuffix(" for "+below, " for ") + "\n\n")
	for _, name := range names {
		b.WriteString("* [" + below + "/" + name + "](/help" + below + "/" + name + ")\n")
	}
	markdown(w, b.String())
}

func (h *Help) page(process, path, text string) string {
	usage := "    /" + process + "/" + path + "\n"
	if process == h.delegate {
		usage = "    /" + path + "\n" + usage
	}
	return "## /" + process + "/" + path + "\n\n" + usage + "\n" + text + "\n"
}

func markdown(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/x-markdown; charset=utf-8")
	extend(w, len(body))
	_, _ = w.Write([]byte(body)) // the client may be gone
}

func (h *Help) json(w http.ResponseWriter, r *http.Request) {
	Render(w, r, func(out *wire.Writer) error {
		out.BeginObject()
		out.Key("processes").BeginArray()
		for _, process := range slices.Sorted(maps.Keys(h.texts)) {
			h.jsonProcess(out, process)
		}
		out.EndArray()
		out.EndObject()
		return nil
	})
}

func (h *Help) jsonProcess(out *wire.Writer, process string) {
	out.BeginObject()
	out.Key("id").String(process)
	out.Key("endpoints").BeginArray()
	for _, path := range slices.Sorted(maps.Keys(h.texts[process])) {
		out.BeginObject()
		out.Key("name").String("/" + path)
		out.Key("text").String(h.page(process, path, h.texts[process][path]))
		out.EndObject()
	}
	out.EndArray()
	out.EndObject()
}
