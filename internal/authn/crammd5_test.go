package authn_test

import (
	"testing"
	"time"

	"github.com/meseta-project/meseta/internal/authn"
)

// TestAnswer: the example of RFC 2195.
func TestAnswer(t *testing.T) {
	challenge := []byte("<1896.697170952@postoffice.reston.mci.net>")
	if got := authn.NewChallenge(1896, time.Unix(697170952, 0), "postoffice.reston.mci.net"); string(got) != string(challenge) {
		t.Errorf("challenge %s", got)
	}
	answer := authn.Answer("tim", "tanstaaftanstaaf", challenge)
	if string(answer) != "tim b913a602c7eda7a495b4e6e7334d3890" {
		t.Errorf("answer %s", answer)
	}
}

func TestVerifyAnswer(t *testing.T) {
	c := authn.Credentials{"tim": "tanstaaftanstaaf", "a b": "s", "": ""}
	challenge := []byte("<1@h>")
	for _, x := range []struct {
		answer, principal string
		ok                bool
	}{
		{string(authn.Answer("tim", "tanstaaftanstaaf", challenge)), "tim", true},
		{string(authn.Answer("a b", "s", challenge)), "a b", true},
		{string(authn.Answer("tim", "wrong", challenge)), "tim", false},
		{string(authn.Answer("tim", "tanstaaftanstaaf", []byte("<2@h>"))), "tim", false},
		{string(authn.Answer("tom", "", challenge)), "tom", false},
		{string(authn.Answer("", "", challenge)), "", false},
		{"tim ", "tim", false},
		{"tim", "", false},
		{"", "", false},
	} {
		if principal, ok := c.VerifyAnswer(challenge, []byte(x.answer)); principal != x.principal || ok != x.ok {
			t.Errorf("%q: %q %t", x.answer, principal, ok)
		}
	}
}

func TestParseCredential(t *testing.T) {
	for text, want := range map[string]authn.Credential{
		`{"principal": "p", "secret": "s t"}`: {Principal: "p", Secret: "s t"},
		"p s\n":                               {Principal: "p", Secret: "s"},
		"\n p\ts":                             {Principal: "p", Secret: "s"},
	} {
		if got, err := authn.ParseCredential([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "p", "p s t", "p s\nq t", "{", `{"principal": ""}`, `{"secret": "s"}`} {
		if got, err := authn.ParseCredential([]byte(bad)); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func FuzzParseCredentials(f *testing.F) {
	f.Add([]byte(`{"credentials": [{"principal": "p", "secret": "s"}]}`), []byte("p 0123"))
	f.Add([]byte("p s\nq t\n"), []byte(" "))
	f.Fuzz(func(t *testing.T, text, answer []byte) {
		c, err := authn.ParseCredentials(text)
		if err != nil {
			return
		}
		for principal, secret := range c {
			if principal == "" || !c.Verify(principal, secret) {
				t.Errorf("%q is no principal", principal)
			}
			if got, ok := c.VerifyAnswer(answer, authn.Answer(principal, secret, answer)); !ok || got != principal {
				t.Errorf("%q: right answer refused", principal)
			}
		}
		c.VerifyAnswer([]byte("challenge"), answer)
	})
}
