package masterd

import (
	"net/url"
	"testing"
)

// TestQuestionIn: a question that is not understood is not answered as another.
func TestQuestionIn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		query string
		want  question
		text  bool
		err   string
	}{
		{"framework_id=f&role=r&agent_id=a&format=text", question{"f", "r", "a"}, true, ""},
		{"role=r&format=json&jsonp=f", question{Role: "r"}, false, ""},
		{"", question{}, false, ""},
		{"role=r&agent=a", question{}, false, "The query has 'agent'; a question has framework_id, role, agent_id and format"},
		{"role=r&format=xml", question{}, false, "There is no format 'xml' of explanations, but text and json"},
	} {
		query, err := url.ParseQuery(test.query)
		if err != nil {
			t.Fatal(err)
		}
		q, text, err := questionIn(query)
		switch {
		case test.err != "" && (err == nil || err.Error() != test.err):
			t.Errorf("%s: %v, want %s", test.query, err, test.err)
		case test.err == "" && (err != nil || q != test.want || text != test.text):
			t.Errorf("%s: %v %v %v", test.query, q, text, err)
		}
	}
}
