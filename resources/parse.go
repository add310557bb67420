package resources

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/role"
)

// Parse reads the value of an agent's --resources flag: either
// "cpus:4;mem(role):1024;ports:[31000-32000];names:{a,b}", where a role makes
// a static reservation, or a JSON array of Resource messages. What names no
// role gets the default one, "*" for none. As on Mesos's command line, what
// only operations and estimators can make is refused: persistent volumes,
// dynamic reservations and revocable resources. Errors are refusal.Invalid.
func Parse(text, defaultRole string) (Resources, error) {
	all, err := parse(text, defaultRole)
	if err != nil {
		return Resources{}, err
	}
	if err := validateCommandLine(all); err != nil {
		return Resources{}, err
	}
	return all, nil
}

// MustParse returns the resources that text describes in one of the forms that
// Parse reads, of all sorts. It panics if it cannot, and is for texts that
// stand in programs and tests.
func MustParse(text string) Resources {
	all, err := parse(text, role.Default)
	if err != nil {
		panic(err)
	}
	return all
}

func parse(text, defaultRole string) (Resources, error) {
	read := parseSimple
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		read = parseJSON
	}
	rs, err := read(text, defaultRole)
	if err != nil {
		return Resources{}, err
	}
	for _, r := range rs {
		if err := Validate(r); err != nil {
			return Resources{}, err
		}
	}
	return Trusted(rs), nil
}

func validateCommandLine(all Resources) error {
	types := map[string]mesos.Value_Type{}
	for _, r := range all.entries {
		switch {
		case r.IsPersistentVolume():
			return refusal.Invalidf("Persistent volumes cannot be specified at the command line")
		case r.IsRevocable():
			return refusal.Invalidf("Revocable resources cannot be specified at the command line; do" +
				" not include a 'revocable' key in the resources JSON")
		case r.IsDynamicallyReserved():
			return refusal.Invalidf("Dynamic reservations cannot be specified at the command line; do" +
				" not include a reservation with DYNAMIC type in the resources JSON")
		}
		if typ, seen := types[r.Name()]; seen && typ != r.Type() {
			return refusal.Invalidf("Resources with the same name ('%s') but different types"+
				" are not allowed", r.Name())
		}
		types[r.Name()] = r.Type()
	}
	return nil
}

func parseJSON(text, defaultRole string) ([]*mesos.Resource, error) {
	var parts []json.RawMessage
	if err := json.Unmarshal([]byte(text), &parts); err != nil {
		return nil, refusal.Invalidf("Some JSON resources were not formatted properly: %s", err)
	}
	var rs []*mesos.Resource
	for _, part := range parts {
		r := &mesos.Resource{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(part, r); err != nil {
			return nil, refusal.Invalidf("Some JSON resources were not formatted properly: %s", err)
		}
		if r.Role == nil && len(r.Reservations) == 0 {
			r.Role = &defaultRole
		}
		rs = append(rs, r)
	}
	return rs, nil
}

func parseSimple(text, defaultRole string) ([]*mesos.Resource, error) {
	var rs []*mesos.Resource
	for token := range fields(text, ";") {
		pair := tokens(token, ":")
		if len(pair) != 2 {
			return nil, refusal.Invalidf("Bad value for resources, missing or extra ':' in %s", token)
		}
		name, reservedTo, err := parseName(pair[0], defaultRole)
		if err != nil {
			return nil, refusal.Invalidf("Bad value for resources, mismatched parentheses in %s", token)
		}
		r, err := parseResource(name, pair[1], reservedTo)
		if err != nil {
			return nil, err
		}
		rs = append(rs, r)
	}
	return rs, nil
}

// errParentheses stands for a name with an opening parenthesis alone.
var errParentheses = refusal.Invalidf("mismatched parentheses")

// parseName splits "name(role)".
func parseName(text, defaultRole string) (name, reservedTo string, err error) {
	name, rest, found := strings.Cut(text, "(")
	if !found {
		return trim(text), defaultRole, nil
	}
	reservedTo, _, found = strings.Cut(rest, ")")
	if !found || strings.Contains(name, ")") {
		return "", "", errParentheses
	}
	return trim(name), trim(reservedTo), nil
}

func parseResource(name, text, reservedTo string) (*mesos.Resource, error) {
	v, err := parseValue(text)
	if err != nil {
		return nil, refusal.Invalidf("Failed to parse resource %s value %s error %s", name, text, err)
	}
	if v.GetType() == mesos.Value_TEXT {
		return nil, refusal.Invalidf("Bad type for resource %s value %s type %s", name, text, v.GetType())
	}
	return &mesos.Resource{
		Name:   &name,
		Type:   v.Type,
		Scalar: v.Scalar,
		Ranges: v.Ranges,
		Set:    v.Set,
		Role:   &reservedTo,
	}, nil
}

// ParseAttributes reads the value of an agent's --attributes flag,
// "rack:r1;level:10;range:[1-5]": texts, numbers and ranges, separated by
// semicolons or line ends. Errors are refusal.Invalid.
func ParseAttributes(text string) ([]*mesos.Attribute, error) {
	var all []*mesos.Attribute
	for token := range fields(text, ";\n") {
		name, value, _ := strings.Cut(token, ":")
		if name == "" || value == "" {
			return nil, refusal.Invalidf("Invalid attribute key:value pair '%s'", token)
		}
		v, err := parseValue(value)
		if err != nil {
			return nil, refusal.Invalidf("Failed to parse attribute %s text %s error %s", name, value, err)
		}
		if v.GetType() == mesos.Value_SET {
			return nil, refusal.Invalidf("Bad type for attribute %s text %s type %s", name, value, v.GetType())
		}
		all = append(all, &mesos.Attribute{
			Name:   &name,
			Type:   v.Type,
			Scalar: v.Scalar,
			Ranges: v.Ranges,
			Text:   v.Text,
		})
	}
	return all, nil
}

// parseValue reads ranges in brackets, a set in braces, a number, or else a
// text, after taking out all blanks.
func parseValue(text string) (*mesos.Value, error) {
	text = strings.ReplaceAll(text, " ", "")
	if text == "" {
		return nil, refusal.Invalidf("Expecting non-empty string")
	}
	if !balanced(text, '{', '}') || !balanced(text, '[', ']') || !balanced(text, '(', ')') {
		return nil, refusal.Invalidf("Mismatched brackets")
	}
	switch bracket, brace := strings.IndexByte(text, '['), strings.IndexByte(text, '{'); {
	case bracket == 0:
		return parseRanges(text)
	case bracket > 0:
		return nil, refusal.Invalidf("Unexpected '[' found")
	case brace == 0:
		items := tokens(text, "{},\n")
		return &mesos.Value{Type: mesos.Value_SET.Enum(), Set: &mesos.Value_Set{Item: items}}, nil
	case brace > 0:
		return nil, refusal.Invalidf("Unexpected '{' found")
	default:
		return parseNumberOrText(text)
	}
}

func parseRanges(text string) (*mesos.Value, error) {
	bounds := tokens(text, "[]-,\n")
	if len(bounds)%2 != 0 {
		return nil, refusal.Invalidf("Expecting one or more \"ranges\"")
	}
	m := &mesos.Value_Ranges{}
	for i := 0; i < len(bounds); i += 2 {
		begin, err1 := parseUint(bounds[i])
		end, err2 := parseUint(bounds[i+1])
		if err1 != nil || err2 != nil {
			return nil, refusal.Invalidf("Expecting non-negative integers in '%s'", bounds[i])
		}
		m.Range = append(m.Range, &mesos.Value_Range{Begin: &begin, End: &end})
	}
	m.Range = coalesceValid(m.Range)
	return &mesos.Value{Type: mesos.Value_RANGES.Enum(), Ranges: m}, nil
}

// coalesceValid joins ranges that overlap or adjoin; if one is inverted they
// are left as they are, for validation to refuse.
func coalesceValid(rs []*mesos.Value_Range) []*mesos.Value_Range {
	for _, r := range rs {
		if r.GetBegin() > r.GetEnd() {
			return rs
		}
	}
	return rangesOf(&mesos.Value_Ranges{Range: rs}).proto().Range
}

func parseUint(text string) (uint64, error) {
	if hex, ok := cutHex(text); ok {
		return strconv.ParseUint(hex, 16, 64)
	}
	return strconv.ParseUint(text, 10, 64)
}

func cutHex(text string) (string, bool) {
	if hex, ok := strings.CutPrefix(text, "0x"); ok {
		return hex, true
	}
	return strings.CutPrefix(text, "0X")
}

// smallestNormal is the least float64 with full precision.
const smallestNormal = 0x1p-1022

// parseNumberOrText reads a non-negative number, decimal or hexadecimal, and
// takes everything else for a text.
func parseNumberOrText(text string) (*mesos.Value, error) {
	v, ok := parseFloat(text)
	switch {
	case ok && v != 0 && math.Abs(v) < smallestNormal:
		return nil, refusal.Invalidf("Subnormal values not supported")
	case !ok || v < 0:
		return &mesos.Value{Type: mesos.Value_TEXT.Enum(), Text: &mesos.Value_Text{Value: &text}}, nil
	default:
		return &mesos.Value{Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: &v}}, nil
	}
}

// parseFloat reads a finite number; words for others are no numbers.
func parseFloat(text string) (v float64, ok bool) {
	if hex, isHex := cutHex(text); isHex {
		n, err := strconv.ParseUint(hex, 16, 64)
		return float64(n), err == nil
	}
	if strings.Trim(text, "0123456789.+-eE") != "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil
}

// balanced reports whether every bracket in text has its partner.
func balanced(text string, opening, closing byte) bool {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case opening:
			depth++
		case closing:
			depth--
		}
		if depth < 0 {
			return false
		}
	}
	return depth == 0
}
