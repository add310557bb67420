package resources

import (
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// String returns r as Mesos prints it in its messages:
// "cpus(allocated: eng)(reservations: [(DYNAMIC,eng,ops)]):0.5".
func (r Resource) String() string {
	var b strings.Builder
	r.kind.writeText(&b, r.allocation != "", r.allocation)
	b.WriteByte(':')
	switch r.kind.typ {
	case mesos.Value_SCALAR:
		b.WriteString(r.amount.String())
	case mesos.Value_RANGES:
		b.WriteString(r.list.numbers().String())
	case mesos.Value_SET:
		b.WriteString(setText(r.list.names()))
	default:
	}
	return b.String()
}

// String returns the entries as Mesos prints them in its messages, "{}" if
// there are none.
func (r Resources) String() string {
	if r.IsEmpty() {
		return "{}"
	}
	texts := make([]string, 0, len(r.entries))
	for _, e := range r.entries {
		texts = append(texts, e.String())
	}
	return strings.Join(texts, "; ")
}

// Text returns r, which need not be valid, as Resource.String does.
func Text(r *mesos.Resource) string {
	var b strings.Builder
	k := kind{
		name:         r.GetName(),
		reservations: r.GetReservations(),
		disk:         r.GetDisk(),
		revocable:    r.GetRevocable(),
		shared:       r.GetShared(),
	}
	k.writeText(&b, r.GetAllocationInfo() != nil, r.GetAllocationInfo().GetRole())
	b.WriteByte(':')
	switch r.GetType() {
	case mesos.Value_SCALAR:
		b.WriteString(FromFloat(r.GetScalar().GetValue()).String())
	case mesos.Value_RANGES:
		b.WriteString(rangesText(r.GetRanges().GetRange()))
	case mesos.Value_SET:
		b.WriteString(setText(r.GetSet().GetItem()))
	default:
	}
	return b.String()
}

// TextAll returns rs, which need not be valid, as Resources.String does.
func TextAll(rs []*mesos.Resource) string {
	if len(rs) == 0 {
		return "{}"
	}
	texts := make([]string, 0, len(rs))
	for _, r := range rs {
		texts = append(texts, Text(r))
	}
	return strings.Join(texts, "; ")
}

func rangesText(rs []*mesos.Value_Range) string {
	plain := make(Ranges, 0, len(rs))
	for _, r := range rs {
		plain = append(plain, Range{r.GetBegin(), r.GetEnd()})
	}
	return plain.String()
}

func setText(items []string) string { return "{" + strings.Join(items, ", ") + "}" }

func (k *kind) writeText(b *strings.Builder, allocated bool, allocation string) {
	b.WriteString(k.name)
	if allocated {
		b.WriteString("(allocated: " + allocation + ")")
	}
	if len(k.reservations) > 0 {
		b.WriteString("(reservations: [" + stackText(k.reservations) + "])")
	}
	if k.disk != nil {
		b.WriteString("[" + diskText(k.disk) + "]")
	}
	if k.revocable != nil {
		b.WriteString("{REV}")
	}
	if k.shared != nil {
		b.WriteString("<SHARED>")
	}
}

func stackText(stack []*mesos.Resource_ReservationInfo) string {
	texts := make([]string, 0, len(stack))
	for _, info := range stack {
		text := info.GetType().String() + "," + info.GetRole()
		if info.Principal != nil {
			text += "," + info.GetPrincipal()
		}
		if info.Labels != nil {
			text += "," + labelsText(info.Labels)
		}
		texts = append(texts, "("+text+")")
	}
	return strings.Join(texts, ",")
}

func labelsText(labels *mesos.Labels) string {
	texts := make([]string, 0, len(labels.GetLabels()))
	for _, l := range labels.GetLabels() {
		text := l.GetKey()
		if l.Value != nil {
			text += ": " + l.GetValue()
		}
		texts = append(texts, text)
	}
	return setText(texts)
}

func diskText(d *mesos.Resource_DiskInfo) string {
	var b strings.Builder
	if d.Source != nil {
		b.WriteString(sourceText(d.Source))
	}
	if d.Persistence != nil {
		if d.Source != nil {
			b.WriteByte(',')
		}
		b.WriteString(d.Persistence.GetId())
	}
	if d.Volume != nil {
		b.WriteString(":" + volumeText(d.Volume))
	}
	return b.String()
}

func sourceText(s *mesos.Resource_DiskInfo_Source) string {
	text := s.GetType().String()
	switch {
	case s.Id != nil || s.Profile != nil:
		text += "(" + s.GetVendor() + "," + s.GetId() + "," + s.GetProfile() + ")"
	case s.GetMount().GetRoot() != "":
		text += ":" + s.GetMount().GetRoot()
	case s.GetPath().GetRoot() != "":
		text += ":" + s.GetPath().GetRoot()
	}
	return text
}

func volumeText(v *mesos.Volume) string {
	if v.HostPath == nil {
		return v.GetContainerPath()
	}
	text := v.GetHostPath() + ":" + v.GetContainerPath()
	if v.Mode != nil {
		text += ":" + strings.ToLower(v.GetMode().String())
	}
	return text
}
