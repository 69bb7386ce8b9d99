package dhcp

import "slices"

// Offsets of a DHCP message (RFC 2131 section 2), and the options that its parsing goes by.
const (
	snameAt   = 44
	fileAt    = 108
	cookieAt  = 236
	optionsAt = 240

	optionPad      = 0
	optionOverload = 52
	optionEnd      = 255
)

// unfold moves the options that a server put into the fields file and sname (option 52,
// RFC 2131 section 4.1) behind the others, in this order (RFC 3396 section 7), where the
// parser looks. The message stays as it is where there are none, or more than most bytes
// would come of it.
func unfold(m []byte, most int) []byte {
	if len(m) < optionsAt {
		return m
	}
	end, overload := scanOptions(m[optionsAt:])
	if overload&3 == 0 {
		return m
	}
	out := slices.Clone(m[:optionsAt+end])
	for _, field := range []struct {
		flag     byte
		from, to int
	}{{1, fileAt, cookieAt}, {2, snameAt, fileAt}} {
		if overload&field.flag != 0 {
			n, _ := scanOptions(m[field.from:field.to])
			out = append(out, m[field.from:field.from+n]...)
			clear(out[field.from:field.to])
		}
	}
	if out = append(out, optionEnd); len(out) > most {
		return m
	}
	return out
}

// scanOptions is how many bytes the options in b take, up to the end option or to where
// one is cut off, and the value of the option overload.
func scanOptions(b []byte) (end int, overload byte) {
	for end < len(b) && b[end] != optionEnd {
		if b[end] == optionPad {
			end++
			continue
		}
		if end+1 >= len(b) || end+2+int(b[end+1]) > len(b) {
			break
		}
		if b[end] == optionOverload && b[end+1] == 1 {
			overload = b[end+2]
		}
		end += 2 + int(b[end+1])
	}
	return end, overload
}
