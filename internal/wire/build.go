package wire

import (
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// A Build is what a server tells of the program that it is.
type Build struct {
	Version string // of the Mesos API, X.Y.Z
	Meseta  string
	Time    time.Time
}

// date is the time as people read it.
func (b Build) date() string { return b.Time.UTC().Format("2006-01-02 15:04:05 UTC") }

// BuildFields writes the members that /state begins with.
func (w *Writer) BuildFields(b Build) {
	w.Key("version").String(b.Version)
	w.Key("build_date").String(b.date())
	w.Key("build_time").Time(b.Time)
	w.Key("build_user").String("")
}

// Build writes what /version tells: its members by name, and our own version
// beside Mesos's.
func (w *Writer) Build(b Build) {
	w.BeginObject()
	w.Key("build_date").String(b.date())
	w.Key("build_time").Time(b.Time)
	w.Key("build_user").String("")
	w.Key("meseta_version").String(b.Meseta)
	w.Key("version").String(b.Version)
	w.EndObject()
}

// Info returns the answer to GET_VERSION.
func (b Build) Info() *mesos.VersionInfo {
	date, at, user := b.date(), float64(b.Time.Unix()), ""
	return &mesos.VersionInfo{Version: &b.Version, BuildDate: &date, BuildTime: &at, BuildUser: &user}
}
