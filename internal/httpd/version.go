package httpd

import (
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/meseta-project/meseta/internal/version"
	"github.com/meseta-project/meseta/internal/wire"
)

// Build is what this program tells of itself.
func Build() wire.Build { return build() }

var build = sync.OnceValue(func() wire.Build {
	b := wire.Build{Version: version.Mesos, Meseta: version.Meseta(), Time: version.Revised()}
	if b.Time.IsZero() {
		b.Time = linked()
	}
	return b
})

// linked returns the age of the program's file, for programs that do not know
// their revision.
func linked() time.Time {
	path, err := os.Executable()
	if err != nil {
		return time.Time{}
	}
	file, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return file.ModTime().UTC().Truncate(time.Second)
}

// ServeVersion is /version.
func ServeVersion(w http.ResponseWriter, r *http.Request) {
	Render(w, r, func(out *wire.Writer) error {
		out.Build(Build())
		return nil
	})
}

// ServeFlags is /flags: flags by their names.
func ServeFlags(w http.ResponseWriter, r *http.Request, flags map[string]string) {
	Render(w, r, func(out *wire.Writer) error {
		out.BeginObject()
		out.Key("flags").StringMap(flags)
		out.EndObject()
		return nil
	})
}
