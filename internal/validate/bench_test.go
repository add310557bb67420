package validate_test

import (
	"testing"

	"github.com/meseta-project/meseta/internal/validate"
)

// A master validates each task it launches in its only loop.
func BenchmarkTask(b *testing.B) {
	task, f, a, o := goodTask(), framework(), agent(), offered()
	b.ReportAllocs()
	for b.Loop() {
		if err := validate.Task(task, f, a, o); err != nil {
			b.Fatal(err)
		}
	}
}
