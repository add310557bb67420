package ids

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/refusal"
)

func TestFormats(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{string(FrameworkIDFor("m", 0)), "m-0000"},
		{string(FrameworkIDFor("m", 42)), "m-0042"},
		{string(FrameworkIDFor("m", 12345)), "m-12345"},
		{string(AgentIDFor("m", 0)), "m-S0"},
		{string(OfferIDFor("m", 12345)), "m-O12345"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, id := range []TaskID{"a", "...", "a b", "ünïcode", "a:b@c", TaskID(strings.Repeat("x", 255))} {
		if err := Validate(id); err != nil {
			t.Errorf("Validate(%q) = %v", id, err)
		}
	}
	for _, id := range []TaskID{"", ".", "..", "a/b", `a\b`, "a\nb", "\x00", "\x7f", TaskID(strings.Repeat("x", 256))} {
		if err := Validate(id); refusal.ReasonOf(err) != refusal.Invalid {
			t.Errorf("Validate(%q) = %v, want an invalid ID", id, err)
		}
	}
}

func TestContainerID(t *testing.T) {
	root := ContainerID("r")
	leaf := root.Child("a").Child("b")
	if leaf != "r.a.b" || leaf.Root() != root || leaf.Value() != "b" || !leaf.Nested() {
		t.Errorf("leaf %q: root %q, value %q, nested %t", leaf, leaf.Root(), leaf.Value(), leaf.Nested())
	}
	if parent, ok := leaf.Parent(); parent != "r.a" || !ok {
		t.Errorf("Parent = %q, %t", parent, ok)
	}
	if _, ok := root.Parent(); ok || root.Nested() || root.Value() != "r" || root.Root() != root {
		t.Errorf("the root has a parent")
	}
}

func TestUPID(t *testing.T) {
	u, err := ParseUPID("slave(1)@127.0.0.1:5051")
	if err != nil {
		t.Fatal(err)
	}
	if u.Process() != "slave(1)" || u.Address() != "127.0.0.1:5051" {
		t.Errorf("process %q, address %q", u.Process(), u.Address())
	}
	if want := netip.MustParseAddrPort("127.0.0.1:5051"); u.AddrPort() != want || UPIDFor("slave(1)", want) != u {
		t.Errorf("AddrPort = %v", u.AddrPort())
	}
	for _, s := range []string{"", "a", "a@", "a@b", "a@1.2.3.4", "a@1.2.3.4:x", "a@1.2.3.4:65536", "a/b@1.2.3.4:5", "a@b@1.2.3.4:5"} {
		if u, err := ParseUPID(s); refusal.ReasonOf(err) != refusal.Invalid {
			t.Errorf("ParseUPID(%q) = %q, %v", s, u, err)
		}
	}
	if (UPID("x").AddrPort() != netip.AddrPort{}) {
		t.Error("a UPID without an address has one")
	}
}

func FuzzParseUPID(f *testing.F) {
	for _, seed := range []string{"master@127.0.0.1:5050", "@0.0.0.0:0", "x@[::1]:80", "a@b", "@"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseUPID(s)
		if err != nil {
			return
		}
		if again, err := ParseUPID(string(u)); err != nil || again != u {
			t.Errorf("%q parses to %q, which parses to %q, %v", s, u, again, err)
		}
		if string(u) != u.Process()+"@"+u.Address() {
			t.Errorf("%q is not %q at %q", u, u.Process(), u.Address())
		}
	})
}
