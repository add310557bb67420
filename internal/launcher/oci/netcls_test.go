package oci

import (
	"fmt"
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
	c.leave("a")
	take("c")
	take("d")
	take("e")
	c.leave("b")
	c.leave("nobody")
	take("f")
	if want := "a:a0003:true b:a0004:true c:a0005:true d:a0003:true e:0:false f:a0004:true"; strings.Join(got, " ") != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestNoNetClsInVersion2(t *testing.T) {
	_, err := Isolators("cgroups/net_cls", Machine{Unified: true, Controllers: map[string]string{}})
	if err == nil || !strings.Contains(err.Error(), "needs control groups of version 1") {
		t.Errorf("%v", err)
	}
}
