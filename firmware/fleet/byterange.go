package fleet

import (
	"fmt"
	"strconv"
	"strings"
)

// Range is what a PUT of a part's bytes carries: Content-Range "bytes A-B/TOTAL"
// (RFC 9110 section 14.4), both ends included.
type Range struct{ From, To, Total int64 }

// Len is the number of bytes the range covers.
func (r Range) Len() int64 { return r.To - r.From + 1 }

func (r Range) String() string { return fmt.Sprintf("bytes %d-%d/%d", r.From, r.To, r.Total) }

// ParseRange reads a Content-Range header. Only the full form is taken: no
// "*", no other unit, no signs, no leading zeros, 0 <= A <= B < TOTAL.
func ParseRange(s string) (Range, error) {
	bad := fmt.Errorf("Content-Range %q: want \"bytes A-B/TOTAL\"", clip(s))
	rest, ok := strings.CutPrefix(s, "bytes ")
	if !ok {
		return Range{}, bad
	}
	span, total, ok := strings.Cut(rest, "/")
	if !ok {
		return Range{}, bad
	}
	from, to, ok := strings.Cut(span, "-")
	if !ok {
		return Range{}, bad
	}
	var r Range
	for _, f := range []struct {
		text string
		into *int64
	}{{from, &r.From}, {to, &r.To}, {total, &r.Total}} {
		n, err := strconv.ParseInt(f.text, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != f.text || n < 0 {
			return Range{}, bad
		}
		*f.into = n
	}
	if r.From > r.To || r.To >= r.Total {
		return Range{}, fmt.Errorf("Content-Range %q: the range is not within its total", clip(s))
	}
	return r, nil
}
