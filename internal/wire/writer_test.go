package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

func ExampleWriter() {
	w := NewWriter(os.Stdout)
	w.BeginObject()
	w.Key("cluster").String("test")
	w.Key("activated_slaves").Double(1)
	w.Key("leader_info").MasterInfo(&mesos.MasterInfo{Id: new("m"), Port: new(uint32(5050))})
	w.Key("unreachable_tasks").BeginArray()
	w.EndArray()
	w.EndObject()
	if err := w.Flush(); err != nil {
		fmt.Println(err)
	}
	// Output: {"cluster":"test","activated_slaves":1.0,"leader_info":{"id":"m","pid":"","port":5050,"hostname":""},"unreachable_tasks":[]}
}

func TestWriterValues(t *testing.T) {
	got := rendered(t, func(w *Writer) {
		w.BeginArray()
		w.String("a\"b")
		w.Bool(true)
		w.Int(-1)
		w.Double(math.Inf(-1))
		w.Time(time.Time{})
		w.Time(time.Unix(1795190109, 226889984))
		w.Strings([]string{"x", "y"})
		w.BeginObject()
		w.Key("k").BeginArray()
		w.EndArray()
		w.Key("l").Message(&mesos.TaskID{Value: new("t")})
		w.EndObject()
		w.EndArray()
	})
	want := `["a\"b",true,-1,"-Infinity",0.0,1795190109.22689,["x","y"],{"k":[],"l":{"value":"t"}}]`
	if got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

// TestWriterStreams checks that much is written in pieces and arrives whole.
func TestWriterStreams(t *testing.T) {
	var out pieces
	w := NewWriter(&out)
	long := strings.Repeat("x", 1000)
	w.BeginArray()
	for range 1000 {
		w.String(long)
	}
	w.EndArray()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	var all []string
	if err := json.Unmarshal(out.Bytes(), &all); err != nil || len(all) != 1000 || all[999] != long {
		t.Errorf("%d strings arrived: %v", len(all), err)
	}
	if out.largest > 2*bufferSize {
		t.Errorf("a piece has %d bytes", out.largest)
	}
}

// pieces is a stream that remembers its largest write.
type pieces struct {
	bytes.Buffer
	largest int
}

func (p *pieces) Write(b []byte) (int, error) {
	p.largest = max(p.largest, len(b))
	return p.Buffer.Write(b)
}

// broken is a stream that fails, and must not be written to again.
type broken struct{ writes int }

func (b *broken) Write([]byte) (int, error) {
	b.writes++
	return 0, errors.New("connection reset")
}

func TestWriterKeepsError(t *testing.T) {
	var out broken
	w := NewWriter(&out)
	w.BeginArray()
	for range 10 * bufferSize {
		w.Int(7)
	}
	w.EndArray()
	if err := w.Flush(); err == nil || w.Err() == nil {
		t.Error("the error was lost")
	}
	if out.writes != 1 {
		t.Errorf("%d writes after the first failed", out.writes-1)
	}
}
