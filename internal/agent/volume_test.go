package agent

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// TestVolumes: where the folders of persistent volumes are, by the disk that they
// are on.
func TestVolumes(t *testing.T) {
	for _, test := range []struct {
		role, disk string
		want       Volume
	}{
		{"eng", ``, Volume{Path: "/w/volumes/roles/eng/v", At: "data"}},
		{"eng/dev", ``, Volume{Path: "/w/volumes/roles/eng dev/v", At: "data"}},
		{"eng", `"source":{"type":"PATH","path":{"root":"/disk1"}},`, Volume{Path: "/disk1/volumes/roles/eng/v", At: "data"}},
		{"eng", `"source":{"type":"PATH","path":{"root":"disk1"}},`, Volume{Path: "/w/disk1/volumes/roles/eng/v", At: "data"}},
		{"eng", `"source":{"type":"MOUNT","mount":{"root":"/mnt/a"}},`, Volume{Path: "/mnt/a", Mount: true, At: "data"}},
		{"eng", `"source":{"type":"MOUNT","mount":{"root":"mnt"}},`, Volume{Path: "/w/mnt", Mount: true, At: "data"}},
	} {
		r := &mesos.Resource{}
		text := `{"name":"disk","type":"SCALAR","scalar":{"value":64},"reservations":[{"type":"DYNAMIC","role":"` + test.role + `"}],
			"disk":{` + test.disk + `"persistence":{"id":"v"},"volume":{"container_path":"data","mode":"RW"}}}`
		if err := protojson.Unmarshal([]byte(text), r); err != nil {
			t.Fatal(err)
		}
		plain := &mesos.Resource{Name: new("cpus"), Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: new(1.0)}}
		if got := Volumes("/w", []*mesos.Resource{plain, r}); !slices.Equal(got, []Volume{test.want}) {
			t.Errorf("%s: %+v, want %+v", text, got, test.want)
		}
	}
}
