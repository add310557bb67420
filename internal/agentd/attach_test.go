package agentd

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/recordio"
)

func inputRecord(of string) string {
	return string(recordio.Append(nil, []byte(`{"type":"ATTACH_CONTAINER_INPUT","attach_container_input":`+of+`}`)))
}

// FuzzAttachInput: whatever comes as input is taken record by record, or refused with
// a status that says that it is the client's fault.
func FuzzAttachInput(f *testing.F) {
	f.Add([]byte(inputRecord(`{"type":"PROCESS_IO","process_io":{"type":"DATA","data":{"type":"STDIN","data":"eA=="}}}`)), true)
	f.Add([]byte(inputRecord(`{"type":"PROCESS_IO","process_io":{"type":"DATA","data":{"type":"STDIN","data":""}}}`)), false)
	f.Add([]byte(inputRecord(`{"type":"PROCESS_IO","process_io":{"type":"CONTROL","control":{"type":"TTY_INFO","tty_info":{"window_size":{"rows":50,"columns":120}}}}}`)), true)
	f.Add([]byte(inputRecord(`{"type":"PROCESS_IO","process_io":{"type":"CONTROL","control":{"type":"HEARTBEAT","heartbeat":{}}}}`)), true)
	f.Add([]byte("99999999\n{"), false)
	f.Add([]byte("3\nabc"), false)
	f.Fuzz(func(t *testing.T, body []byte, terminal bool) {
		request := httptest.NewRequest(http.MethodPost, "/api/v1", strings.NewReader(
			inputRecord(`{"type":"CONTAINER_ID","container_id":{"value":"c"}}`)+string(body)))
		request.Header.Set("Content-Type", wire.RecordIO)
		request.Header.Set("Message-Content-Type", wire.JSON)
		call, given := new(agentpb.Call), &counted{}
		_, rest, err := httpd.ReadAgentCall(duplex{httptest.NewRecorder()}, request, callLimit, call)
		if err == nil {
			err = httpd.Validated("agent::Call", validate.AgentCall(call))
		}
		if err != nil || call.GetAttachContainerInput().GetContainerId().GetValue() != "c" {
			t.Fatalf("the first record is %v (%v)", call, err)
		}
		closed, err := copyInput(given, terminal, rest)
		if err != nil && httpd.Status(err)/100 != 4 {
			t.Errorf("%q: %v", body, err)
		}
		if terminal && given.closed || !terminal && given.resized || given.closed != closed {
			t.Errorf("%q: with a terminal %v, closed %v %v, resized %v", body, terminal, given.closed, closed, given.resized)
		}
		if given.bytes > len(body) {
			t.Errorf("%q: %d bytes are given", body, given.bytes)
		}
	})
}

// counted takes input and counts it.
type counted struct {
	bytes           int
	closed, resized bool
}

func (c *counted) Write(data []byte) (int, error) {
	c.bytes += len(data)
	return len(data), nil
}

func (c *counted) Resize(uint16, uint16) error {
	c.resized = true
	return nil
}

func (c *counted) CloseInput() error {
	c.closed = true
	return nil
}

// duplex is a recorder that one can read from while writing.
type duplex struct{ *httptest.ResponseRecorder }

func (duplex) EnableFullDuplex() error { return nil }
