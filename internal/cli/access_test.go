package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestUnknownNames: who asks about what the master does not know is told where
// to look.
func TestUnknownNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		command *cobra.Command
		status  int
		refusal string
		want    string
	}{
		{drainCommand(), 400, "Unknown agent", "'meseta agents' lists"},
		{teardownCommand(), 400, "No framework found with specified ID", "'meseta frameworks' lists"},
		{explainCommand(), 404, "There is no framework 'f', or it is completed", "'meseta frameworks' lists"},
		{explainCommand(), 404, "There is no agent 'a'", "'meseta agents' lists"},
	} {
		master := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.refusal))
		}))
		t.Cleanup(master.Close)
		test.command.SilenceUsage, test.command.SilenceErrors = true, true
		test.command.SetArgs([]string{"f", "--master", strings.TrimPrefix(master.URL, "http://")})
		err := test.command.ExecuteContext(t.Context())
		if err == nil || !strings.Contains(err.Error(), test.refusal+"\n"+test.want) {
			t.Errorf("%s: %v, want the refusal and then %q", test.command.Name(), err, test.want)
		}
	}
}
