package masterd

import (
	"bytes"
	"testing"
	"time"

	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/wire"
)

// TestWriteExplanations: what is left out where there is nothing to tell.
func TestWriteExplanations(t *testing.T) {
	reply := master.Reply{Omitted: 3, Explanations: []allocator.Explanation{{
		Framework: "f", Name: "cron", Role: "r", Share: 0.5, Position: 2, Seen: 4,
		Findings: []allocator.Finding{
			{Reason: allocator.RoleSuppressed, Message: "suppressed"},
			{Reason: allocator.Declined, Message: "declined", Agents: 4, Example: "a", Host: "h", Until: time.Unix(0, 0)},
		},
	}, {Framework: "g", Position: -1}}}
	var b bytes.Buffer
	out := wire.NewWriter(&b)
	writeExplanations(out, reply)
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	const want = `{"explanations":[{"framework_id":"f","framework_name":"cron","role":"r","share":0.5,"served_before":2,"agents":4,"findings":[` +
		`{"reason":"role suppressed","message":"suppressed","agents":0},` +
		`{"reason":"declined","message":"declined","agents":4,"example":{"agent_id":"a","hostname":"h"},"until":"1970-01-01T00:00:00Z"}]},` +
		`{"framework_id":"g","framework_name":"","role":"","share":0.0,"agents":0,"findings":[]}],"omitted":3}`
	if b.String() != want {
		t.Errorf("%s\nwant %s", b.String(), want)
	}
}

// FuzzQuestion: no body breaks the reader, and what is read is all that there
// was.
func FuzzQuestion(f *testing.F) {
	for _, seed := range []string{`{"framework_id":"f","role":"r","agent_id":"a"}`, `{"framework":"f"}`, `[]`, `{"role":1}`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if q, err := questionOf(body); err != nil && q.Framework != "" && len(body) == 0 {
			t.Errorf("%q: %+v, %v", body, q, err)
		}
	})
}
