package flags

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// width is that of the help on a terminal.
const width = 79

// Usage writes what each flag is and does, in groups, for a terminal.
func (s *Set) Usage(w io.Writer) error {
	var b strings.Builder
	for title, flags := range s.groups() {
		if title != "" {
			fmt.Fprintf(&b, "\n%s:\n", title)
		}
		for _, f := range flags {
			fmt.Fprintf(&b, "  %s%s\n", f.synopsis(), f.condition(" (%s)"))
			wrap(&b, f.explanation(), "        ")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Markdown writes the same as a reference, a table for each group.
func (s *Set) Markdown(w io.Writer) error {
	var b strings.Builder
	for title, flags := range s.groups() {
		if title != "" {
			fmt.Fprintf(&b, "\n## %s\n\n", title)
		}
		b.WriteString("| flag | default | meaning |\n|---|---|---|\n")
		for _, f := range flags {
			def := ""
			switch {
			case f.required:
				def = "required"
			case !f.optional:
				def = "`" + f.def + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", cell(f.synopsis()), cell(def), cell(f.explanation()))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// groups yields the flags by the titles of their groups, both in the order of
// definition.
func (s *Set) groups() func(yield func(string, []*Flag) bool) {
	return func(yield func(string, []*Flag) bool) {
		var done []string
		for _, first := range s.flags {
			if slices.Contains(done, first.group) {
				continue
			}
			done = append(done, first.group)
			var members []*Flag
			for _, f := range s.flags {
				if f.group == first.group {
					members = append(members, f)
				}
			}
			if !yield(first.group, members) {
				return
			}
		}
	}
}

func (f *Flag) synopsis() string {
	if _, boolean := f.value.(*binding[bool]); boolean {
		return "--[no-]" + f.name
	}
	return "--" + f.name + "=" + f.value.kind()
}

// condition is the flag's default, or that it must be given, put into format;
// nothing if it is neither.
func (f *Flag) condition(format string) string {
	switch {
	case f.required:
		return fmt.Sprintf(format, "required")
	case f.optional || f.def == "":
		return ""
	}
	return fmt.Sprintf(format, f.def)
}

// explanation is the help and the flag's other names.
func (f *Flag) explanation() string {
	var text strings.Builder
	text.WriteString(f.help)
	for _, n := range f.names[1:] {
		what := "Also"
		if n.deprecated {
			what = "Deprecated name:"
		}
		fmt.Fprintf(&text, " %s --%s.", what, n.text)
	}
	return text.String()
}

// wrap writes text in lines of at most width letters, after indent.
func wrap(b *strings.Builder, text, indent string) {
	line := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == 0:
			b.WriteString(indent)
			line = len(indent)
		case line+1+len(word) > width:
			b.WriteString("\n" + indent)
			line = len(indent)
		default:
			b.WriteByte(' ')
			line++
		}
		b.WriteString(word)
		line += len(word)
	}
	b.WriteByte('\n')
}

// cell makes text fit for a cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
