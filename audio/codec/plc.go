package codec

// plc conceals lost packets of 8 kHz speech after the idea of ITU-T G.711
// appendix I: the last pitch period is repeated, fading out from 10 ms on to
// nothing at 60 ms. Other than there, nothing is delayed: the seam at the start
// of a loss is closed by a correction that dies away, not by an overlap.
type plc struct {
	hist   [plcHist]int16 // what was played last, oldest first
	period [plcMaxPitch]int16
	pitch  int // length of period; 0 while packets come
	at     int // next sample of period
	run    int // samples concealed in this loss
	seam   int // correction at the start of the loss
}

const (
	plcMinPitch = 40  // 5 ms: 200 Hz
	plcMaxPitch = 120 // 15 ms: 66 Hz
	plcWindow   = 160 // 20 ms compared
	plcHist     = plcMaxPitch + plcWindow + plcMaxPitch/4
	plcSeam     = 24                  // 3 ms
	plcHold     = g711Rate / 100      // 10 ms at full level
	plcFade     = 5 * g711Rate / 100  // then 50 ms down to nothing
	plcRejoin   = 4 * g711Rate / 1000 // 4 ms crossing over into the next good packet
)

// good passes a received packet, crossing over from the concealment before it.
func (p *plc) good(pcm []int16) {
	if p.pitch > 0 {
		var tail [plcRejoin]int16
		p.fill(tail[:])
		n := min(plcRejoin, len(pcm))
		for i := range n {
			pcm[i] = int16((int(tail[i])*(n-i) + int(pcm[i])*i) / n)
		}
		p.pitch, p.run = 0, 0
	}
	p.keep(pcm)
}

// lost writes the guess.
func (p *plc) lost(pcm []int16) {
	if p.pitch == 0 {
		p.start()
	}
	p.fill(pcm)
	p.keep(pcm)
}

func (p *plc) keep(pcm []int16) {
	if len(pcm) >= plcHist {
		copy(p.hist[:], pcm[len(pcm)-plcHist:])
		return
	}
	copy(p.hist[:], p.hist[len(pcm):])
	copy(p.hist[plcHist-len(pcm):], pcm)
}

// start finds the pitch and makes the period that will be repeated.
func (p *plc) start() {
	p.pitch = p.findPitch()
	end := plcHist
	period := p.period[:p.pitch]
	copy(period, p.hist[end-p.pitch:])
	// The last quarter crosses over into what came before the period, so that
	// its end flows into its beginning.
	q := p.pitch / 4
	for i := range q {
		at := p.pitch - q + i
		before := int(p.hist[end-p.pitch-q+i])
		period[at] = int16((int(period[at])*(q-i) + before*i) / q)
	}
	p.at, p.run = 0, 0
	p.seam = int(p.hist[end-1]) - int(p.hist[end-p.pitch-1])
}

// findPitch is the lag at which the last 20 ms are most like what came before
// (normalised correlation).
func (p *plc) findPitch() int {
	best, lag := 0.0, plcMaxPitch
	now := p.hist[plcHist-plcWindow:]
	for l := plcMinPitch; l <= plcMaxPitch; l++ {
		then := p.hist[plcHist-plcWindow-l:]
		var xy, yy float64
		for i, x := range now {
			y := float64(then[i])
			xy += float64(x) * y
			yy += y * y
		}
		if xy > 0 && yy > 0 {
			if c := xy * xy / yy; c > best {
				best, lag = c, l
			}
		}
	}
	return lag
}

func (p *plc) fill(pcm []int16) {
	for i := range pcm {
		if p.run >= plcHold+plcFade {
			clear(pcm[i:])
			return
		}
		v := int(p.period[p.at])
		if p.run < plcSeam {
			v += p.seam * (plcSeam - p.run) / plcSeam
		}
		if p.run > plcHold {
			v = v * (plcHold + plcFade - p.run) / plcFade
		}
		pcm[i] = int16(min(max(v, -1<<15), 1<<15-1))
		p.run++
		if p.at++; p.at == p.pitch {
			p.at = 0
		}
	}
}
