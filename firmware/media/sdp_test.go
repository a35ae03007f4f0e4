package media

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"deskset/audio/codec"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/sdp/" + name + ".sdp")
	check(t, err)
	return b
}

func TestAnswersOfRealOffers(t *testing.T) {
	for _, c := range []struct {
		offer   string
		codecs  []codec.Codec
		codec   codec.Codec
		dir     Direction
		bitrate int
		want    []string // lines
		never   []string // parts
	}{
		{
			offer: "asterisk-offer", codec: codec.Opus, dir: SendRecv, bitrate: 16000,
			want:  []string{"a=group:BUNDLE audio-0", "a=mid:audio-0", "a=rtpmap:107 opus/48000/2", "a=rtpmap:101 telephone-event/8000", "a=ptime:20", "a=setup:active", "a=rtcp-mux", "a=sendrecv", "c=IN IP4 127.0.0.1"},
			never: []string{"PCM", "0.0.0.0", " 9 UDP"},
		},
		{
			offer: "asterisk-offer", codecs: []codec.Codec{codec.PCMA, codec.Opus}, codec: codec.PCMA, dir: SendRecv,
			want: []string{"a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000"}, never: []string{"opus"},
		},
		{offer: "asterisk-hold", codec: codec.Opus, dir: RecvOnly, bitrate: 16000, want: []string{"a=recvonly"}},
		{offer: "zero-address-hold", codec: codec.Opus, dir: RecvOnly, bitrate: 16000, want: []string{"a=recvonly", "c=IN IP4 127.0.0.1"}},
		{
			offer: "chrome-offer", codec: codec.Opus, dir: SendRecv,
			want:  []string{"a=group:BUNDLE 0", "m=video 0 UDP/TLS/RTP/SAVPF 96", "a=rtpmap:110 telephone-event/48000"},
			never: []string{"VP8", "red", "telephone-event/8000"},
		},
	} {
		t.Run(c.offer, func(t *testing.T) {
			l := newLeg(t, Config{Codecs: c.codecs, Connect: time.Second})
			raw, err := l.Answer(t.Context(), fixture(t, c.offer))
			check(t, err)
			if l.Codec() != c.codec || l.Direction() != c.dir || l.Bitrate() != c.bitrate {
				t.Errorf("%v %v %d", l.Codec(), l.Direction(), l.Bitrate())
			}
			lines := strings.Split(string(raw), "\r\n")
			for _, w := range c.want {
				if !contains(lines, w) {
					t.Errorf("no line %q in\n%s", w, raw)
				}
			}
			for _, n := range c.never {
				if strings.Contains(string(raw), n) {
					t.Errorf("%q in\n%s", n, raw)
				}
			}
			if _, err := parseRemote(raw); err != nil {
				t.Errorf("our own answer: %v", err)
			}
		})
	}
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// Each of these edits makes an offer that must be refused, so that the caller
// answers 488.
func TestBadOffersAreRefused(t *testing.T) {
	good := string(fixture(t, "asterisk-offer"))
	edit := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, offer := range map[string]string{
		"empty":             "",
		"not SDP":           "GET / HTTP/1.1\r\n\r\n",
		"half":              good[:len(good)/2],
		"too long":          good + strings.Repeat("a=x\r\n", maxSDP/5),
		"only video":        edit("m=audio", "m=video"),
		"audio refused":     edit("m=audio 17484", "m=audio 0"),
		"plain RTP":         edit("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
		"no common codec":   edit("107 0 8 101", "9 101"),
		"mono Opus":         strings.Replace(edit("107 0 8 101", "107"), "opus/48000/2", "opus/48000", 1),
		"no rtcp-mux":       edit("a=rtcp-mux\r\n", ""),
		"no fingerprint":    edit("a=fingerprint:SHA-256", "a=x:"),
		"SHA-1 only":        edit("SHA-256", "SHA-1"),
		"short fingerprint": edit("SHA-256 00:", "SHA-256 "),
		"no ICE":            edit("a=ice-ufrag:1b0a52d3\r\n", ""),
		"short password":    edit("3a9c1c1f6c5f3a1e2d40b7e55aa0d1c2", "3a9c"),
		"no setup":          edit("a=setup:actpass\r\n", ""),
		"holdconn":          edit("actpass", "holdconn"),
		"no connection":     edit("c=IN IP4 192.0.2.10\r\n", ""),
		"payload type":      edit("107 0 8 101", "107 0 8 999"),
		"rtpmap":            edit("a=rtpmap:107 opus/48000/2", "a=rtpmap:107 opus"),
		"injected mid":      edit("a=mid:audio-0", "a=mid:audio 0"),
		"many sections":     good + strings.Repeat("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", 8),
	} {
		l := newLeg(t, Config{})
		if _, err := l.Answer(t.Context(), []byte(offer)); !errors.Is(err, ErrDescription) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A refused re-offer leaves the call as it was.
func TestBadReoffersAreRefused(t *testing.T) {
	l := newLeg(t, Config{Connect: time.Second})
	good := fixture(t, "asterisk-offer")
	_, err := l.Answer(t.Context(), good)
	check(t, err)
	for name, edit := range map[string][2]string{
		"other certificate": {"SHA-256 00:07", "SHA-256 01:07"},
		"ICE restart":       {"1b0a52d3", "1b0a52d4"},
		"roles":             {"actpass", "active"},
		"codec":             {"107 0 8 101", "9"},
	} {
		offer := bytes.Replace(good, []byte(edit[0]), []byte(edit[1]), 1)
		if _, err := l.AnswerReoffer(offer); !errors.Is(err, ErrDescription) {
			t.Errorf("%s: %v", name, err)
		}
		if l.Codec() != codec.Opus || l.Direction() != SendRecv {
			t.Errorf("%s: changed the call", name)
		}
	}
	answer, err := l.AnswerReoffer(fixture(t, "asterisk-hold"))
	check(t, err)
	if v := l.loc.version; v != 2 || !bytes.Contains(answer, []byte(" 2 IN IP4 ")) {
		t.Errorf("version %d", v)
	}
}

// We hold the far end; when it re-offers meanwhile, it stays held.
func TestReofferWhileHolding(t *testing.T) {
	l := newLeg(t, Config{Connect: time.Second})
	good := fixture(t, "asterisk-offer")
	_, err := l.Answer(t.Context(), good)
	check(t, err)
	_, err = l.Reoffer(SendOnly)
	check(t, err)
	answer := bytes.Replace(redirect(good, "recvonly"), []byte("actpass"), []byte("passive"), 1)
	check(t, l.SetReanswer(answer))
	if l.Direction() != SendOnly {
		t.Fatal(l.Direction())
	}
	for _, c := range []struct {
		dir  string
		want Direction
	}{{"sendrecv", SendOnly}, {"sendonly", Inactive}, {"recvonly", SendOnly}} {
		_, err := l.AnswerReoffer(redirect(good, c.dir))
		check(t, err)
		if l.Direction() != c.want {
			t.Errorf("%s: %v", c.dir, l.Direction())
		}
	}
}

func FuzzDescription(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRemote(b)
		if err != nil {
			if !errors.Is(err, ErrDescription) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		// What was accepted can be answered, and the answer is well-formed.
		first, list, err := answerTo([]codec.Codec{codec.Opus, codec.PCMU, codec.PCMA}, r)
		if err != nil {
			if !errors.Is(err, ErrDescription) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		deal := newAgreed(first, list, r.payloads, r.dir.Reverse(), 1)
		if deal.recvCodec[deal.pt] != deal.codec || deal.codec == codec.None {
			t.Fatalf("%v under %d", deal.codec, deal.pt)
		}
		loc := local{
			session: 1, version: 1, fingerprint: identity().fingerprint, ufrag: "abcdefgh", pwd: "abcdefghijklmnopqrstuvwx",
			setup: "active", mid: r.mid, bundle: r.bundle, sections: r.sections, audio: r.audio, payloads: list,
			dir: deal.dir, cname: "x",
		}
		loc.addr = testAddr
		back, err := parseRemote(loc.marshal())
		if err != nil {
			t.Fatalf("our answer: %v\n%s", err, loc.marshal())
		}
		if len(back.sections) != len(r.sections) || back.audio != r.audio || back.dir != deal.dir || back.mid != r.mid {
			t.Fatalf("answer reads back as %+v", back)
		}
	})
}
