package masterd

import (
	"testing"

	"github.com/meseta-project/meseta/internal/httpd"
)

// TestWatcherGoneBeforeItsSnapshot: an operator who hangs up before the loop has
// come to him is kept nowhere.
func TestWatcherGoneBeforeItsSnapshot(t *testing.T) {
	all, gone := &watchers{max: 2}, &watcher{stream: &httpd.Stream{}}
	all.remove(gone)
	all.add(gone)
	if all.len() != 0 {
		t.Error("he is kept, in the place of one who is there")
	}
}
