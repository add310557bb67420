package httpd

import (
	"maps"
	"math"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// Flags returns flags as GET_FLAGS answers, by name.
func Flags(flags map[string]string) []*mesos.Flag {
	out := make([]*mesos.Flag, 0, len(flags))
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		value := flags[name]
		out = append(out, &mesos.Flag{Name: &name, Value: &value})
	}
	return out
}

// Metrics returns metrics as GET_METRICS answers, by name, without what is no
// number.
func Metrics(all map[string]float64) []*mesos.Metric {
	out := make([]*mesos.Metric, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if value := all[name]; !math.IsNaN(value) && !math.IsInf(value, 0) {
			out = append(out, &mesos.Metric{Name: &name, Value: &value})
		}
	}
	return out
}

// FileInfos returns a listing as LIST_FILES answers.
func FileInfos(list []FileInfo) []*mesos.FileInfo {
	out := make([]*mesos.FileInfo, 0, len(list))
	for _, f := range list {
		nlink, size, mode, mtime := int32(f.Nlink), uint64(f.Size), f.unixMode(), f.MTime.UnixNano()
		out = append(out, &mesos.FileInfo{
			Path: &f.Path, Nlink: &nlink, Size: &size, Mtime: &mesos.TimeInfo{Nanoseconds: &mtime},
			Mode: &mode, Uid: &f.UID, Gid: &f.GID,
		})
	}
	return out
}

// unixMode returns the mode's bits as the kernel has them.
func (f FileInfo) unixMode() uint32 {
	return kinds[f.Permissions()[0]] | uint32(f.Mode.Perm())
}

var kinds = map[byte]uint32{'-': 0o100000, 'd': 0o040000, 'l': 0o120000, 'p': 0o010000, 's': 0o140000, 'b': 0o060000, 'c': 0o020000}
