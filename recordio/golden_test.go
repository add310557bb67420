package recordio_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/recordio"
)

// The streams that Apache Mesos sent are read whole, and written again as the
// same bytes.
func TestGoldenStreams(t *testing.T) {
	for _, name := range []string{"sched1", "sched_group"} {
		_, stream, ok := bytes.Cut(golden.Read(t, name+"/stream.raw"), []byte("\r\n\r\n"))
		if !ok {
			t.Fatalf("%s: no end of the answer's head", name)
		}
		var again []byte
		var types []string
		for record, err := range recordio.NewReader(bytes.NewReader(stream), 0).All() {
			if err != nil {
				t.Fatal(name, err)
			}
			var event struct{ Type string }
			if err := json.Unmarshal(record, &event); err != nil {
				t.Fatal(name, err)
			}
			types = append(types, event.Type)
			again = recordio.Append(again, record)
		}
		if len(types) < 3 || types[0] != "SUBSCRIBED" || types[1] != "HEARTBEAT" || types[2] != "OFFERS" {
			t.Errorf("%s: events %v", name, types)
		}
		if !bytes.Equal(again, stream) {
			t.Errorf("%s: the stream is not written as it was read", name)
		}
	}
}
