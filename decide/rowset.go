package decide

// rowSet is a set of rows, one bit for each.
type rowSet [(MaxRows + 63) / 64]uint64

func (s *rowSet) add(row int) { s[row/64] |= 1 << (row % 64) }

// list lists the rows, ascending.
func (s rowSet) list() (rows []int) {
	for i := range len(s) * 64 {
		if s[i/64]&(1<<(i%64)) != 0 {
			rows = append(rows, i)
		}
	}
	return rows
}

// loser is what is known of a row that matched and did not fire: which rows went before it always, and which sometimes. Words
// about it are made of that.
type loser struct {
	lost              bool
	always, sometimes rowSet
}

// lose records a case with the rows that went before.
func (l *loser) lose(before rowSet) {
	if !l.lost {
		l.lost, l.always = true, before
	}
	for i := range before {
		l.always[i] &= before[i]
		l.sometimes[i] |= before[i]
	}
}
