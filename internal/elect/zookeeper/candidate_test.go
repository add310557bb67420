package zookeeper

import "testing"

func TestLowest(t *testing.T) {
	for _, c := range []struct {
		children []string
		want     string
	}{
		{nil, ""},
		{[]string{"log_replicas", "registry", "json.info_x", "info_"}, ""},
		{[]string{"json.info_0000000003", "json.info_0000000002", "log_replicas"}, "json.info_0000000002"},
		{[]string{"json.info_0000000003", "info_0000000001", "0000000002"}, "info_0000000001"},
		{[]string{"json.info_0000000003", "json.info_-2147483647"}, "json.info_-2147483647"}, // after 2³¹ candidates
	} {
		got, ok := lowest(c.children)
		if got.name != c.want || ok != (c.want != "") {
			t.Errorf("of %v, %q leads, want %q", c.children, got.name, c.want)
		}
	}
}

func FuzzCandidate(f *testing.F) {
	f.Add("json.info_0000000001", []byte(`{"address":{"hostname":"h","ip":"127.0.0.1","port":5050},"id":"i","ip":16777343,"pid":"master@127.0.0.1:5050","port":5050}`))
	f.Add("info_0000000001", []byte("\n\x01i\x10\x01\x18\x02"))
	f.Add("0000000001", []byte("master@127.0.0.1:5050"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		c, ok := parseName(name)
		if !ok {
			return
		}
		info, err := c.decode(data)
		if err == nil && info.GetPid() == "" {
			t.Errorf("%q in %q is a master without an address", data, name)
		}
	})
}
