package checkpoint

import (
	"fmt"
	"strconv"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/meta"
)

// BenchmarkLaunches remembers command tasks that are launched together, as a
// write does that has gathered them: the time is that of one task.
func BenchmarkLaunches(b *testing.B) {
	for _, together := range []int{1, 10, 100} {
		b.Run(strconv.Itoa(together), func(b *testing.B) {
			s := Open(OS{}, b.TempDir())
			life(s, nil)
			n := 0
			for b.Loop() {
				var records []meta.Record
				for range together {
					n++
					id := fmt.Sprintf("t%d", n)
					r := run("f", id, "c"+id)
					info := &mesos.ExecutorInfo{ExecutorId: &mesos.ExecutorID{Value: &id}, FrameworkId: &mesos.FrameworkID{Value: new("f")}}
					records = append(records, meta.Executor{Run: r, Info: info, Generated: true}, meta.Task{Run: r, Task: taskOf(r, id)})
				}
				if err := s.Write(records); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "µs/task")
		})
	}
}
