package ring

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"unsafe"
)

func TestOrderAndDrops(t *testing.T) {
	r := New(8)
	if n := r.Write([]int16{1, 2, 3, 4, 5, 6}); n != 6 {
		t.Fatalf("wrote %d", n)
	}
	got := make([]int16, 4)
	if n := r.Read(got); n != 4 || got[0] != 1 || got[3] != 4 {
		t.Fatalf("read %d: %v", n, got)
	}
	if n := r.Write([]int16{7, 8, 9, 10, 11, 12, 13}); n != 6 || r.Dropped() != 1 {
		t.Fatalf("wrote %d, dropped %d", n, r.Dropped())
	}
	if r.Len() != 8 || r.Cap() != 8 {
		t.Fatalf("len %d cap %d", r.Len(), r.Cap())
	}
	if n := r.Peek(got); n != 4 || got[0] != 5 || r.Len() != 8 {
		t.Fatalf("peeked %d: %v, len %d", n, got, r.Len())
	}
	if r.Skip(3) != 3 || r.Skip(-1) != 0 {
		t.Fatal("skip")
	}
	all := make([]int16, 20)
	if n := r.Read(all); n != 5 || all[0] != 8 || all[4] != 12 {
		t.Fatalf("read %d: %v", n, all[:n])
	}
	if r.Skip(5) != 0 || r.Read(all) != 0 {
		t.Fatal("empty ring gives")
	}
}

func TestSizeIsPowerOfTwo(t *testing.T) {
	for _, n := range []int{0, 1, 3, 1000} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New(%d) did not refuse", n)
				}
			}()
			New(n)
		}()
	}
}

// TestTwoSides counts upwards through the ring from one goroutine to another;
// a lost, doubled or torn sample breaks the count.
func TestTwoSides(t *testing.T) {
	const total = 1 << 19
	r := New(1024)
	var wg sync.WaitGroup
	wg.Go(func() {
		rnd := rand.New(rand.NewPCG(1, 1))
		buf := make([]int16, 700)
		for at := 0; at < total; {
			n := min(rnd.IntN(len(buf))+1, total-at, r.Cap()-r.Len())
			for i := range n {
				buf[i] = int16(at + i)
			}
			if got := r.Write(buf[:n]); got != n {
				t.Errorf("wrote %d of %d where there was room", got, n)
				return
			}
			at += n
			if n == 0 {
				runtime.Gosched()
			}
		}
	})
	wg.Go(func() {
		rnd := rand.New(rand.NewPCG(2, 2))
		buf := make([]int16, 900)
		for at := 0; at < total; {
			b := buf[:rnd.IntN(len(buf))+1]
			n := 0
			switch rnd.IntN(4) {
			case 0:
				n = r.Skip(len(b) / 8)
				b = b[:0]
			case 1:
				n = r.Peek(b)
				b = b[:n]
				r.Skip(n)
			default:
				n = r.Read(b)
				b = b[:n]
			}
			for i, v := range b {
				if v != int16(at+i) {
					t.Errorf("sample %d is %d", at+i, v)
					return
				}
			}
			at += n
			if n == 0 {
				runtime.Gosched()
			}
		}
	})
	wg.Wait()
	if r.Dropped() != 0 || r.Len() != 0 {
		t.Errorf("dropped %d, left %d", r.Dropped(), r.Len())
	}
}

func TestLayout(t *testing.T) {
	var c Counters
	if unsafe.Sizeof(c) != 128 || unsafe.Offsetof(c.Dropped) != 8 || unsafe.Offsetof(c.Read) != 64 {
		t.Error("the layout that C relies on has changed")
	}
}

func TestNoAllocs(t *testing.T) {
	r, buf := New(1024), make([]int16, 480)
	if n := testing.AllocsPerRun(100, func() { r.Write(buf); r.Read(buf) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
