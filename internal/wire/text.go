package wire

const hexDigits = "0123456789ABCDEF"

// escapes has, for a byte, the letter of its two-character escape, 'u' for a
// \u00XX one, and 0 for a byte that stands for itself.
var escapes = func() (table [256]byte) {
	for c := range 0x20 {
		table[c] = 'u'
	}
	for _, pair := range []string{"\bb", "\tt", "\nn", "\ff", "\rr", `""`, `\\`} {
		table[pair[0]] = pair[1]
	}
	return table
}()

// appendString appends s as a JSON string. As in Mesos only the quote, the
// backslash and control characters are escaped (hexadecimal digits in upper
// case), and bytes that are not UTF-8 pass as they are.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := range len(s) {
		letter := escapes[s[i]]
		if letter == 0 {
			continue
		}
		b = append(append(b, s[start:i]...), '\\', letter)
		if letter == 'u' {
			b = append(b, '0', '0', hexDigits[s[i]>>4], hexDigits[s[i]&0xf])
		}
		start = i + 1
	}
	return append(append(b, s[start:]...), '"')
}
