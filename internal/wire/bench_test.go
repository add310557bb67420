package wire

import (
	"io"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/golden"
)

// state returns a GET_STATE reply with a handful of tasks.
func state(b *testing.B) ([]byte, *masterpb.Response) {
	text := golden.Read(b, "v1master/GET_STATE.json")
	var reply masterpb.Response
	if err := UnmarshalJSON(text, &reply); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	return text, &reply
}

func BenchmarkAppendJSON(b *testing.B) {
	text, reply := state(b)
	for b.Loop() {
		text = AppendJSON(text[:0], reply)
	}
}

func BenchmarkProtojsonMarshal(b *testing.B) {
	text, reply := state(b)
	for b.Loop() {
		text, _ = protojson.MarshalOptions{UseProtoNames: true}.MarshalAppend(text[:0], reply)
	}
}

func BenchmarkUnmarshalJSON(b *testing.B) {
	text, reply := state(b)
	for b.Loop() {
		if err := UnmarshalJSON(text, reply); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProtojsonUnmarshal(b *testing.B) {
	_, reply := state(b)
	text, err := protojson.Marshal(reply)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := protojson.Unmarshal(text, reply); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriterTask(b *testing.B) {
	_, reply := state(b)
	task := reply.GetState.GetTasks.Tasks[0]
	w := NewWriter(io.Discard)
	w.BeginArray()
	b.SetBytes(0)
	for b.Loop() {
		w.Task(task)
	}
}

func BenchmarkAppendDouble(b *testing.B) {
	var text []byte
	for b.Loop() {
		text = appendDouble(text[:0], 1795190221.860394)
	}
}
