package masterd

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/wire"
)

// A question is the body of POST /api/v1/explain, and the query of GET /explain.
type question struct {
	Framework string `json:"framework_id"`
	Role      string `json:"role"`
	Agent     string `json:"agent_id"`
}

// serveExplain is GET /explain, an endpoint that Mesos does not have.
func (s *Server) serveExplain(w http.ResponseWriter, r *http.Request) error {
	if err := httpd.Method(r, http.MethodGet); err != nil {
		return err
	}
	q, text, err := questionIn(r.URL.Query())
	if err != nil {
		return err
	}
	return s.explain(w, r, q, text)
}

// questionIn reads a question in a query, and whether the answer is to be text.
// What it does not know is an error, as in a body.
func questionIn(query url.Values) (q question, text bool, err error) {
	for _, key := range slices.Sorted(maps.Keys(query)) {
		value := query.Get(key)
		switch key {
		case "framework_id":
			q.Framework = value
		case "role":
			q.Role = value
		case "agent_id":
			q.Agent = value
		case "format":
			if text = value == "text"; !text && value != "json" {
				return q, text, refusal.Invalidf("There is no format '%s' of explanations, but text and json", value)
			}
		case "jsonp": // of the answer, for who renders it
		default:
			return q, text, refusal.Invalidf("The query has '%s'; a question has framework_id, role, agent_id and format", key)
		}
	}
	return q, text, nil
}

// serveExplainCall is POST /api/v1/explain: the same as a call of operators.
func (s *Server) serveExplainCall(w http.ResponseWriter, r *http.Request) error {
	if err := httpd.Method(r, http.MethodPost); err != nil {
		return err
	}
	body, err := httpd.ReadBody(w, r, bodyLimit)
	if err != nil {
		return err
	}
	q, err := questionOf(body)
	if err != nil {
		return err
	}
	return s.explain(w, r, q, false)
}

// questionOf reads a question in JSON. What it does not know is an error: a
// question that is not understood must not be answered as another.
func questionOf(body []byte) (q question, err error) {
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&q); err != nil {
		return q, refusal.Invalidf("Failed to read the question, an object of framework_id, role and agent_id: %v", err)
	}
	return q, nil
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request, q question, text bool) error {
	if q.Framework == "" && q.Role == "" {
		return refusal.Invalidf("Name a framework_id or a role, or both, to explain")
	}
	reply, err := s.ask(r, func(id master.RequestID) master.Input {
		return master.Explain{
			Request: id, Framework: ids.FrameworkID(q.Framework), Role: q.Role, Agent: ids.AgentID(q.Agent),
		}
	})
	if err != nil {
		return err
	}
	if text {
		httpd.Text(w, http.StatusOK, explainText(reply))
		return nil
	}
	httpd.Render(w, r, func(out *wire.Writer) error {
		writeExplanations(out, reply)
		return nil
	})
	return nil
}

func explainText(reply master.Reply) string {
	var b strings.Builder
	for _, e := range reply.Explanations {
		fmt.Fprintln(&b, e)
	}
	if reply.Omitted > 0 {
		fmt.Fprintf(&b, "and %d more: name a framework and a role to see them\n", reply.Omitted)
	}
	return b.String()
}

func writeExplanations(w *wire.Writer, reply master.Reply) {
	w.BeginObject()
	w.Key("explanations").BeginArray()
	for _, e := range reply.Explanations {
		writeExplanation(w, e)
	}
	w.EndArray()
	w.Key("omitted").Int(int64(reply.Omitted))
	w.EndObject()
}

func writeExplanation(w *wire.Writer, e allocator.Explanation) {
	w.BeginObject()
	w.Key("framework_id").String(string(e.Framework))
	w.Key("framework_name").String(e.Name)
	w.Key("role").String(e.Role)
	w.Key("share").Double(e.Share)
	if e.Position >= 0 {
		w.Key("served_before").Int(int64(e.Position))
	}
	w.Key("agents").Int(int64(e.Seen))
	w.Key("findings").BeginArray()
	for _, f := range e.Findings {
		writeFinding(w, f)
	}
	w.EndArray()
	w.EndObject()
}

func writeFinding(w *wire.Writer, f allocator.Finding) {
	w.BeginObject()
	w.Key("reason").String(string(f.Reason))
	w.Key("message").String(f.Message)
	w.Key("agents").Int(int64(f.Agents))
	if f.Example != "" {
		w.Key("example").BeginObject()
		w.Key("agent_id").String(string(f.Example))
		w.Key("hostname").String(f.Host)
		w.EndObject()
	}
	if !f.Until.IsZero() {
		w.Key("until").String(f.Until.UTC().Format(time.RFC3339Nano))
	}
	w.EndObject()
}
