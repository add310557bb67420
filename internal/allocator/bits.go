package allocator

// A bitset is a set of small numbers. The zero value is empty.
type bitset []uint64

func (b *bitset) add(i uint32) {
	if int(i/64) >= len(*b) {
		*b = append(*b, make(bitset, int(i/64)-len(*b)+1)...)
	}
	(*b)[i/64] |= 1 << (i % 64)
}

func (b bitset) remove(i uint32) {
	if int(i/64) < len(b) {
		b[i/64] &^= 1 << (i % 64)
	}
}

func (b bitset) has(i uint32) bool {
	return int(i/64) < len(b) && b[i/64]&(1<<(i%64)) != 0
}

// removeAll removes what is in o.
func (b bitset) removeAll(o bitset) {
	for i := range min(len(b), len(o)) {
		b[i] &^= o[i]
	}
}

// within reports whether all of b is in o.
func (b bitset) within(o bitset) bool { return b.withinEither(o, nil) }

// withinEither reports whether all of b is in o or p.
func (b bitset) withinEither(o, p bitset) bool {
	for i, w := range b {
		if w&^o.word(i)&^p.word(i) != 0 {
			return false
		}
	}
	return true
}

// word returns 64 of the bits.
func (b bitset) word(i int) uint64 {
	if i < len(b) {
		return b[i]
	}
	return 0
}
