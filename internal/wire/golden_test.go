package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	_ "github.com/meseta-project/meseta/api/messages"
	_ "github.com/meseta-project/meseta/api/messages/v0"
	"github.com/meseta-project/meseta/internal/golden"
)

// rewritten checks that text survives being read into m and written again.
func rewritten(t *testing.T, text []byte, m proto.Message) {
	t.Helper()
	if err := UnmarshalJSON(text, m); err != nil {
		t.Error(err)
		return
	}
	got, err := MarshalJSON(m)
	if err != nil {
		t.Error(err)
	}
	if !bytes.Equal(got, text) {
		t.Errorf("wrote\n%s\nMesos wrote\n%s", got, text)
	}
}

func TestGoldenReplies(t *testing.T) {
	for folder, reply := range map[string]proto.Message{
		"v1master": &masterpb.Response{},
		"v1agent":  &agentpb.Response{},
	} {
		files, err := filepath.Glob(golden.Path(t, folder+"/*.json"))
		if err != nil || len(files) == 0 {
			t.Fatal("no samples", err)
		}
		for _, file := range files {
			t.Run(folder+"/"+filepath.Base(file), func(t *testing.T) {
				text := read(t, file)
				rewritten(t, text, reply)
				twin := strings.TrimSuffix(file, ".json") + ".pb"
				if _, err := os.Stat(twin); err == nil {
					sameMessage(t, text, read(t, twin), reply)
				}
			})
		}
	}
}

// sameMessage checks that the two encodings of a reply say the same and that
// the protocol buffer survives.
func sameMessage(t *testing.T, text, pb []byte, m proto.Message) {
	other := proto.Clone(m)
	if err := Unmarshal(pb, other); err != nil {
		t.Fatal(err)
	}
	if got := AppendJSON(nil, other); !bytes.Equal(got, text) {
		t.Errorf("from protobuf\n%s\nfrom JSON\n%s", got, text)
	}
	if got, err := Marshal(other); err != nil || !bytes.Equal(got, pb) {
		t.Errorf("protobuf changed: %v\n%x\n%x", err, got, pb)
	}
}

func TestGoldenStreams(t *testing.T) {
	for file, event := range map[string]proto.Message{
		"v1master/SUBSCRIBE.stream":        &masterpb.Event{},
		"v1master/SUBSCRIBE_events.stream": &masterpb.Event{},
		"sched1/stream.raw":                &schedulerpb.Event{},
		"sched_group/stream.raw":           &schedulerpb.Event{},
	} {
		t.Run(file, func(t *testing.T) {
			rest := golden.Read(t, file)
			if _, body, found := bytes.Cut(rest, []byte("\r\n\r\n")); found {
				rest = body
			}
			for len(rest) > 0 {
				length, tail, _ := bytes.Cut(rest, []byte("\n"))
				n, err := strconv.Atoi(string(length))
				if err != nil {
					t.Fatal(err)
				}
				rewritten(t, tail[:min(n, len(tail))], event)
				rest = tail[min(n, len(tail)):]
			}
		})
	}
}

// TestGoldenInner decodes and encodes every protobuf message between masters,
// agents, executors and drivers.
func TestGoldenInner(t *testing.T) {
	for _, folder := range []string{"inner_registration", "v0_driver", "executor_http"} {
		files, err := filepath.Glob(golden.Path(t, folder+"/*.jsonl"))
		if err != nil || len(files) == 0 {
			t.Fatal("no samples", err)
		}
		for _, file := range files {
			t.Run(folder+"/"+filepath.Base(file), func(t *testing.T) {
				for line := range bytes.Lines(read(t, file)) {
					var sample struct {
						N                int
						Kind, Type, Body string
						Headers          [][2]string
					}
					if err := json.Unmarshal(line, &sample); err != nil {
						t.Fatal(err)
					}
					if sample.Type == "" {
						continue
					}
					body, err := base64.StdEncoding.DecodeString(sample.Body)
					if err != nil {
						t.Fatal(err)
					}
					unchanged(t, sample.N, sample.Type, body, slices.Contains(sample.Headers, [2]string{"Content-Type", JSON}))
				}
			})
		}
	}
}

func unchanged(t *testing.T, n int, name string, body []byte, text bool) {
	typ, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
	if err != nil {
		t.Errorf("%d: %v", n, err)
		return
	}
	m := typ.New().Interface()
	if text {
		rewritten(t, body, m)
		return
	}
	if err := Unmarshal(body, m); err != nil {
		t.Errorf("%d %s: %v", n, name, err)
		return
	}
	got, err := Marshal(m)
	if event, ok := m.(*executorpb.Event); ok && event.GetSubscribed().GetAgentInfo().GetCheckpoint() {
		// Here Mesos carries the field over from its v0 message as one that it
		// does not know, behind all others.
		slices.Sort(got)
		slices.Sort(body)
	}
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d %s: %v\nwrote %x\nMesos %x", n, name, err, got, body)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestGoldenErrors sends the bad bodies of the samples.
func TestGoldenErrors(t *testing.T) {
	for name, call := range map[string]proto.Message{
		"agent_exec_post":              &executorpb.Call{},
		"bad_json":                     &masterpb.Call{},
		"json_array":                   &masterpb.Call{},
		"sched_subscribe_missing_user": &schedulerpb.Call{},
	} {
		t.Run(name, func(t *testing.T) {
			sample := string(golden.Read(t, "errors/"+name+".txt"))
			command, answer, _ := strings.Cut(sample, "\n")
			_, body, _ := strings.Cut(command, " -d ")
			body, _, _ = strings.Cut(body, " http://")
			_, want, _ := strings.Cut(strings.ReplaceAll(answer, "\r", ""), "\n\n")
			if err := Decode(JSON, []byte(body), call); err == nil || err.Error() != strings.TrimSuffix(want, "\n") {
				t.Errorf("%s\n got %v\nwant %s", body, err, want)
			}
		})
	}
}
