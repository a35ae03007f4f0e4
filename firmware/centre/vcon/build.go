package vcon

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"deskset/firmware/fleet"
	"deskset/firmware/record"
)

// Input is everything that a vCon is built from.
type Input struct {
	Centre      string
	BaseURL     string // of the centre's parts, "" if unknown
	Manifest    fleet.Manifest
	ManifestSHA string
	Parts       []PartRecord
	Facts       []record.Fact // in the order of writing
	Problems    []string      // of opening them
	Received    time.Time
	RetainUntil time.Time
}

// maxJSON bounds a vCon, in bytes: a signed one must fit signed.MaxSize.
const maxJSON = 2 << 20

// Build makes the vCon. Facts may be missing at any place: a recovered
// recording gives what is there. More facts than a vCon holds are left out,
// with a word: the sealed ones are kept.
func Build(in Input) (VCon, error) {
	var v VCon
	for _, limit := range []int{5000, 100, 0} {
		var size int
		var err error
		if v, size, err = build(in, limit); err != nil || size <= maxJSON {
			return v, err
		}
	}
	return v, fmt.Errorf("vCon of %s: it does not fit", in.Manifest.ID)
}

// build takes at most limit facts of each kind, and says how large it became.
func build(in Input, limit int) (VCon, int, error) {
	b := builder{in: in}
	b.call = Call{
		Format: CallFormat, Recording: in.Manifest.ID, Seat: in.Manifest.Seat, Seq: in.Manifest.Seq,
		Firmware: in.Manifest.Firmware, End: in.Manifest.End, Centre: in.Centre,
		Parts: in.Parts, ManifestSHA: in.ManifestSHA, Problems: in.Problems,
		Received: in.Received.UTC(), RetainUntil: in.RetainUntil.UTC(),
	}
	seen, left := map[record.Kind]int{}, 0
	for _, f := range in.Facts {
		kind := f.Kind
		if !known[kind] {
			kind = ""
		}
		if seen[kind]++; seen[kind] > limit {
			left++
			continue
		}
		b.fact(f)
	}
	if left > 0 {
		b.call.Problems = append(slices.Clone(in.Problems), fmt.Sprintf("%d facts are left out here: there are more than a record holds", left))
	}
	b.closeSpans()
	v, err := b.vcon()
	if err != nil {
		return v, 0, err
	}
	j, err := json.Marshal(v)
	if err != nil {
		return v, 0, fmt.Errorf("vCon of %s: %w", in.Manifest.ID, err)
	}
	return v, len(j), nil
}

// known are the kinds that have a place of their own.
var known = map[record.Kind]bool{
	record.Offered: true, record.Answered: true, record.Codec: true, record.Held: true, record.Resumed: true,
	record.Muted: true, record.Unmuted: true, record.Paused: true, record.Unpaused: true, record.DTMF: true,
	record.Transferred: true, record.Gap: true, record.Transcoded: true, record.HeadsetLost: true,
	record.HeadsetBack: true, record.Quality: true, record.Released: true,
}

// maxText bounds one text of a fact, in bytes.
const maxText = 256

func clip(s string) string {
	if len(s) > maxText {
		return strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

type builder struct {
	in      Input
	call    Call
	start   time.Time // of the recording's time line
	lastMs  int64
	history []History
	open    map[*[]Span]bool
}

func (b *builder) fact(f record.Fact) {
	for _, s := range []*string{&f.Direction, &f.From, &f.To, &f.Queue, &f.CallID, &f.Agent, &f.Seat, &f.Basis, &f.By, &f.Leg, &f.Text, &f.Clock, (*string)(&f.Kind)} {
		*s = clip(*s)
	}
	at := f.At.UTC()
	c := &b.call
	c.LastFact = &at
	switch {
	case f.Clock == "":
	case c.Clock == "":
		c.Clock = f.Clock
	case c.Clock != f.Clock:
		c.Clock = "mixed"
	}
	b.lastMs = max(b.lastMs, f.Ms, f.UntilMs)
	if b.start.IsZero() && f.Ms >= 0 {
		b.start = at.Add(-time.Duration(f.Ms) * time.Millisecond)
	}
	set(&c.Basis, f.Basis)
	set(&c.Agent, f.Agent)
	set(&c.CallID, f.CallID)
	switch f.Kind {
	case record.Offered:
		if c.DialTime == nil {
			c.DialTime = &at
		}
		set(&c.Direction, f.Direction)
		set(&c.From, f.From)
		set(&c.To, f.To)
		set(&c.Queue, f.Queue)
		b.event(b.originator(), at, "join")
	case record.Answered:
		if c.AnswerTime == nil {
			c.AnswerTime = &at
		}
		b.event(1-b.originator(), at, "join")
	case record.Codec:
		if f.Text != "" && !slices.Contains(c.Codecs, f.Text) {
			c.Codecs = append(c.Codecs, f.Text)
		}
	case record.Held:
		b.begin(&c.Holds, f)
		b.event(customer, at, "hold")
	case record.Resumed:
		b.end(&c.Holds, f)
		b.event(customer, at, "unhold")
	case record.Muted:
		b.begin(&c.Mutes, f)
		b.event(agent, at, "mute")
	case record.Unmuted:
		b.end(&c.Mutes, f)
		b.event(agent, at, "unmute")
	case record.Paused:
		b.begin(&c.Pauses, f)
	case record.Unpaused:
		b.end(&c.Pauses, f)
	case record.HeadsetLost:
		b.begin(&c.NoHeadset, f)
	case record.HeadsetBack:
		b.end(&c.NoHeadset, f)
	case record.DTMF:
		c.DTMFDigits += max(f.Count, 0)
	case record.Transferred:
		c.Transfers = append(c.Transfers, Transfer{At: at, To: f.To, How: f.Text})
	case record.Gap:
		c.Gaps = append(c.Gaps, Span{FromMs: f.Ms, ToMs: f.UntilMs, Leg: f.Leg, Reason: f.Text})
	case record.Transcoded:
		c.Transcoded = append(c.Transcoded, Span{FromMs: f.Ms, ToMs: f.UntilMs, Leg: f.Leg, Reason: f.Text})
	case record.Quality:
		if f.Stats != nil {
			c.Quality = f.Stats
		}
	case record.Released:
		if c.Released == nil {
			c.Released = &Release{At: at, By: f.By, Reason: f.Text}
			b.drop(at, f.By)
		}
	default:
		c.OtherFacts = append(c.OtherFacts, f)
	}
}

func set(to *string, v string) {
	if v != "" {
		*to = v
	}
}

func (b *builder) originator() int {
	if b.call.Direction == "out" {
		return agent
	}
	return customer
}

func (b *builder) event(party int, at time.Time, what string) {
	b.history = append(b.history, History{Party: party, Time: at, Event: what})
}

// drop lets those who joined leave, the one who released first.
func (b *builder) drop(at time.Time, by string) {
	order := []int{customer, agent}
	if by == "agent" {
		order = []int{agent, customer}
	}
	for _, p := range order {
		if slices.ContainsFunc(b.history, func(h History) bool { return h.Party == p && h.Event == "join" }) {
			b.event(p, at, "drop")
		}
	}
}

func (b *builder) begin(s *[]Span, f record.Fact) {
	if b.open == nil {
		b.open = map[*[]Span]bool{}
	}
	if b.open[s] {
		return // said twice
	}
	at := f.At.UTC()
	*s = append(*s, Span{FromMs: f.Ms, At: &at, By: f.By, Reason: f.Text, Leg: f.Leg, Open: true})
	b.open[s] = true
}

func (b *builder) end(s *[]Span, f record.Fact) {
	if !b.open[s] {
		return // its beginning was lost
	}
	last := &(*s)[len(*s)-1]
	last.ToMs, last.Open = max(f.Ms, last.FromMs), false
	b.open[s] = false
}

// closeSpans ends what was never ended at the end of the recording.
func (b *builder) closeSpans() {
	end := b.lengthMs()
	for s, open := range b.open {
		if open {
			last := &(*s)[len(*s)-1]
			last.ToMs = max(end, last.FromMs)
			last.Open = b.call.Released == nil // a call's end ends everything
		}
	}
}

// lengthMs is the recording's length: what the facts say, and at least what
// was sealed, for segments hold up to a second each.
func (b *builder) lengthMs() int64 {
	if b.call.Released != nil {
		return b.lastMs
	}
	var segs int
	for _, p := range b.in.Parts {
		if p.Kind == fleet.Voice {
			segs += p.Segments
		}
	}
	return max(b.lastMs, int64(segs)*1000)
}

func (b *builder) voice() (parts []PartRecord) {
	for _, p := range b.in.Parts {
		if p.Kind == fleet.Voice {
			parts = append(parts, p)
		}
	}
	return parts
}

func (b *builder) vcon() (VCon, error) {
	c := &b.call
	v := VCon{
		UUID: c.Recording, CreatedAt: c.Received,
		Parties: []Party{agent: {Type: "person", Org: c.Centre}, customer: {Type: "person"}, centre: {Type: "organization", Name: c.Centre}},
	}
	ours, theirs := c.To, c.From
	if c.Direction == "out" {
		ours, theirs = c.From, c.To
	}
	address(&v.Parties[agent], ours)
	address(&v.Parties[customer], theirs)
	if c.Agent != "" {
		v.Parties[agent].Name = "agent " + c.Agent
	}
	d := b.dialog()
	v.Dialog = append(v.Dialog, d)
	for _, t := range c.Transfers {
		p := Party{Type: "person"}
		address(&p, t.To)
		v.Parties = append(v.Parties, p)
		v.Dialog = append(v.Dialog, Dialog{
			Type: "transfer", Start: t.At, Transferee: ref(customer), Transferor: ref(agent),
			TransferTarget: ref(len(v.Parties) - 1), Original: ref(0),
		})
	}
	if c.Basis != "" {
		a, err := attach(PurposeBasis, d.Start, basis(c))
		if err != nil {
			return VCon{}, err
		}
		v.Attachments = append(v.Attachments, a)
	}
	a, err := attach(PurposeCall, d.Start, c)
	if err != nil {
		return VCon{}, err
	}
	v.Attachments = append(v.Attachments, a)
	return v, nil
}

// first is when the call began, as well as is known.
func (b *builder) first() time.Time {
	c := &b.call
	switch {
	case !b.start.IsZero():
		return b.start
	case c.AnswerTime != nil:
		return *c.AnswerTime
	case c.DialTime != nil:
		return *c.DialTime
	}
	return c.Received
}

func (b *builder) dialog() Dialog {
	c := &b.call
	voice := b.voice()
	d := Dialog{Start: b.first(), Application: "deskset", History: b.history}
	if len(voice) == 0 {
		d.Type, d.Disposition = "incomplete", disposition(c)
		if c.AnswerTime != nil {
			// It was answered, only nothing of it is held: the draft has no other word.
			d.Disposition = "failed"
		}
		return d
	}
	length := float64(b.lengthMs()) / 1000
	d.Type, d.Duration = "recording", &length
	d.Parties, d.Originator = []int{agent, customer}, nil
	if b.originator() == customer {
		d.Originator = ref(customer)
	}
	d.MediaType, d.Filename = "audio/ogg", c.Recording+".ogg"
	// A URL can name one file. Where a recording has several parts, Call lists
	// them with their hashes.
	if len(voice) == 1 && b.in.BaseURL != "" {
		d.URL = fmt.Sprintf("%s/v1/audit/recordings/%s/parts/%s", strings.TrimSuffix(b.in.BaseURL, "/"), c.Recording, voice[0].Name())
		if sum, err := hex.DecodeString(voice[0].SHA512); err == nil {
			d.ContentHash = "sha512-" + base64.RawURLEncoding.EncodeToString(sum)
		}
	}
	return d
}

func disposition(c *Call) string {
	if c.Released == nil {
		return "failed"
	}
	why := strings.ToLower(c.Released.Reason)
	switch {
	case strings.Contains(why, "busy") || strings.Contains(why, "486"):
		return "busy"
	case c.Released.By == "customer" && c.Direction == "in" || c.Released.By == "agent" && c.Direction == "out":
		return "hung-up"
	case c.Released.By == "timer" || strings.Contains(why, "no answer") || strings.Contains(why, "no-answer") || strings.Contains(why, "rona"):
		return "no-answer"
	}
	return "failed"
}

var number = regexp.MustCompile(`^\+?[0-9*#]{1,32}$`)

// address puts what the PBX called a party where it belongs.
func address(p *Party, s string) {
	switch {
	case s == "":
	case number.MatchString(s):
		p.Tel = s
	case strings.Contains(s, "@"):
		p.SIP = s
	default:
		p.Name = s
	}
}

// basis is the place of consent and its proof. Until a seat records consent it
// holds only the basis under which the centre keeps the recording: nothing is
// claimed to be granted that nobody has proven.
func basis(c *Call) map[string]any {
	return map[string]any{
		"lawful_basis": c.Basis, "expiration": c.RetainUntil,
		"purpose_grants": []any{}, "proof_mechanisms": []any{},
	}
}

func attach(purpose string, at time.Time, body any) (Attachment, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return Attachment{}, fmt.Errorf("vCon %s: %w", purpose, err)
	}
	return Attachment{Purpose: purpose, Start: at, Party: centre, MediaType: "application/json", Encoding: "json", Body: b}, nil
}

func ref(i int) *int { return &i }
