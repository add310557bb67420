package oci

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseNetCls(t *testing.T) {
	for in, want := range map[[2]string]string{
		{"", "0x1,0x2"}:        "<nil> <nil>",
		{"0x12", ""}:           "&{18 1 65535} <nil>",
		{"0x12", "0x1, 0xff"}:  "&{18 1 255} <nil>",
		{"0", ""}:              "primary_handle: \"0\" is no handle",
		{"0x10000", ""}:        "is no handle",
		{"0x1", "0x2"}:         "is no range",
		{"0x1", "0x2,0x1"}:     "there is nothing from 0x2 to 0x1",
		{"0x1", "0,0x1"}:       "is no handle",
		{"0x1", "0x1,0x2,0x3"}: "is no handle",
	} {
		got, err := ParseNetCls(in[0], in[1])
		if text := fmt.Sprint(got, " ", err); !strings.Contains(text, want) {
			t.Errorf("%q: %s, want %s", in, text, want)
		}
	}
}

// Every container has a class that no other has, until there are none left.
func TestClasses(t *testing.T) {
	c := newClasses(&NetCls{Primary: 0xa, Low: 3, High: 5}, cgroups{})
	var got []string
	take := func(id string) {
		class, err := c.take(id)
		got = append(got, fmt.Sprintf("%s:%x:%t", id, class, err == nil))
	}
	take("a")
	take("b")
	take("a")
	c.leave("a")
	take("c")
	take("d")
	take("e")
	c.leave("b")
	c.leave("nobody")
	take("f")
	if want := "a:a0003:true b:a0004:true a:a0003:true c:a0005:true d:a0003:true e:0:false f:a0004:true"; strings.Join(got, " ") != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What containers of an earlier life have is known, those in others among them: these
// are in the class of the one that they are in unless they have their own.
func TestClassesOfAnEarlierLife(t *testing.T) {
	dir := t.TempDir()
	for group, class := range map[string]uint32{
		"mesos/a": 0xa0001, "mesos/a/mesos/shares": 0xa0001, "mesos/b": 0xa0002, "mesos/b/mesos/owns": 0xa0003, "mesos/others": 0xb0004,
	} {
		file := filepath.Join(dir, group, "net_cls.classid")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, fmt.Appendln(nil, class), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := newClasses(&NetCls{Primary: 0xa, Low: 1, High: 9}, cgroups{Machine{Controllers: map[string]string{"net_cls": dir}}, "mesos", nil})
	if want := map[uint16]string{1: "mesos/a", 2: "mesos/b", 3: "mesos/b/mesos/owns"}; !maps.Equal(c.used, want) {
		t.Errorf("%v, want %v", c.used, want)
	}
}

func TestNoNetClsInVersion2(t *testing.T) {
	_, err := Isolators("cgroups/net_cls", Machine{Unified: true, Controllers: map[string]string{}})
	if err == nil || !strings.Contains(err.Error(), "needs control groups of version 1") {
		t.Errorf("%v", err)
	}
}
