package main

import (
	"io"
	"slices"
	"testing"

	"github.com/meseta-project/meseta/resources"
)

func quantities(t *testing.T, text string) resources.Quantities {
	t.Helper()
	q, err := resources.ParseQuantities(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestDominant(t *testing.T) {
	total := quantities(t, "cpus:9;mem:18432")
	for _, tc := range []struct {
		has, name string
		share     float64
	}{
		{"cpus:3;mem:12288", "mem", 2. / 3},
		{"cpus:6;mem:2048", "cpus", 2. / 3},
		{"", "", 0},
	} {
		if name, share := dominant(quantities(t, tc.has), total); name != tc.name || share != tc.share {
			t.Errorf("%q: %s %v", tc.has, name, share)
		}
	}
}

// The account of what a framework has follows what it says.
func TestNote(t *testing.T) {
	f := newFramework("batch")
	for _, text := range []string{
		`{"msg":"subscribed","framework":"F"}`,
		`{"msg":"launched","task":"a","agent":"S0","resources":"cpus:1; mem:4096"}`,
		`{"msg":"launched","task":"b","agent":"S1","resources":"cpus:1; mem:4096"}`,
		`{"msg":"status","task":"a","state":"TASK_RUNNING"}`,
		`{"msg":"status","task":"b","state":"TASK_STARTING"}`,
		`{"msg":"status","task":"b","state":"TASK_FAILED"}`,
		`not JSON`,
	} {
		f.note(parse(f, []byte(text)))
	}
	if f.id != "F" || !f.has.Equal(quantities(t, "cpus:1;mem:4096")) || len(f.running) != 1 || f.places["a"] != "S0" {
		t.Errorf("%+v", f)
	}
}

func TestWhy(t *testing.T) {
	c := &cluster{total: quantities(t, "cpus:9;mem:18432")}
	batch, service := newFramework("batch"), newFramework("service")
	batch.other, service.other = service, batch
	check := func(want string) {
		t.Helper()
		if got := why(c, batch); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	check("nobody else is there")
	service.id = "F"
	check("both have 0%")
	service.has = quantities(t, "cpus:3;mem:1024")
	check("its 0% is less than service's 33%")
	batch.has = quantities(t, "cpus:2;mem:8192")
	check("service has less, but holds another offer or declined this")
}

func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"cpus:1;mem:512": "1 CPU, 0.5 GB", "cpus:4;mem:5120;disk:9": "4 CPUs, 5 GB", "": "nothing",
	} {
		if got := words(quantities(t, text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestEachLine(t *testing.T) {
	lines := make(chan string, 10)
	w := eachLine(func(line []byte) { lines <- string(line) })
	for _, part := range []string{"a\nb", "c\n", "\nd\n"} {
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	got := []string{<-lines, <-lines, <-lines, <-lines}
	if !slices.Equal(got, []string{"a", "bc", "", "d"}) {
		t.Errorf("%q", got)
	}
}
