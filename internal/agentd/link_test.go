package agentd

import "testing"

// TestLink: over a link that is broken nothing is sent, until there is another; the end
// of a connection to somebody else is none of its.
func TestLink(t *testing.T) {
	var l link
	l.set(1, "10.0.0.1:5050")
	l.broken("10.0.0.2:5050")
	if !l.is(1) || l.is(2) {
		t.Errorf("%+v", &l)
	}
	l.broken("10.0.0.1:5050")
	if l.is(1) {
		t.Errorf("%+v", &l)
	}
	if l.set(2, "10.0.0.1:5050"); !l.is(2) {
		t.Errorf("%+v", &l)
	}
}
