package resources_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/resources"
)

// legacyText renders the fields as Mesos's endpoints do.
func legacyText(rs resources.Resources) string {
	var parts []string
	for _, f := range rs.Legacy() {
		value := fmt.Sprintf("%q", f.Text)
		if f.IsNumber() {
			value = f.Number.String()
			if !strings.Contains(value, ".") {
				value += ".0"
			}
		}
		parts = append(parts, fmt.Sprintf("%q:%s", f.Name, value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func TestLegacy(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", `{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":0.0}`},
		{
			"cpus:1;cpus(eng):0.5;ports:[3-4];ports(eng):[1-2];b:{y};a:{x};z:1",
			`{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":1.5,"z":1.0,"ports":"[1-4]","a":"{x}","b":"{y}"}`,
		},
		{
			"[" + cpus(1, `,"revocable":{}`) + "," + cpus(2, "") + "]",
			`{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":2.0,"cpus_revocable":1.0}`,
		},
	} {
		if got := legacyText(must(test.text)); got != test.want {
			t.Errorf("%s is rendered %s, want %s", test.text, got, test.want)
		}
	}
}

// slaves is what Mesos's /slaves says of resources.
type slaves struct {
	Slaves []struct {
		Resources  json.RawMessage   `json:"resources"`
		Unreserved []json.RawMessage `json:"unreserved_resources_full"`
		Used       json.RawMessage   `json:"used_resources"`
		UsedFull   []json.RawMessage `json:"used_resources_full"`
	} `json:"slaves"`
}

func fromJSON(t *testing.T, parts []json.RawMessage) []*mesos.Resource {
	var ms []*mesos.Resource
	for _, part := range parts {
		m := &mesos.Resource{}
		if err := protojson.Unmarshal(part, m); err != nil {
			t.Fatal(err)
		}
		ms = append(ms, m)
	}
	return ms
}

func TestAsMesosPrints(t *testing.T) {
	var sample slaves
	if err := json.Unmarshal(golden.Read(t, "master/slaves.json"), &sample); err != nil {
		t.Fatal(err)
	}
	for _, slave := range sample.Slaves {
		ms := fromJSON(t, slave.Unreserved)
		rs, err := resources.New(ms...)
		if err != nil {
			t.Fatal(err)
		}
		if got := legacyText(rs); got != string(slave.Resources) {
			t.Errorf("resources are %s, Mesos prints %s", got, slave.Resources)
		}
		sameMessages(t, rs.Endpoint(), ms)

		ms = fromJSON(t, slave.UsedFull)
		if rs, err = resources.New(ms...); err != nil {
			t.Fatal(err)
		}
		if got := legacyText(rs); got != string(slave.Used) {
			t.Errorf("used resources are %s, Mesos prints %s", got, slave.Used)
		}
		sameMessages(t, rs.Endpoint(), ms)
	}
}

func sameMessages(t *testing.T, got, want []*mesos.Resource) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d resources, Mesos prints %d", len(got), len(want))
	}
	for i := range want {
		if !proto.Equal(got[i], want[i]) {
			t.Errorf("%v, Mesos prints %v", got[i], want[i])
		}
	}
}
