// Package roster keeps the centre's list of seats: who they are, their leave
// to enrol, their certificates, and the policy that each is given.
package roster

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
	"unicode"

	"deskset/firmware/centre/authority"
	"deskset/firmware/centre/settings"
	"deskset/firmware/centre/store"
	"deskset/firmware/fleet"
)

// Keys is what the roster needs of authority.Authority.
type Keys interface {
	Signer() crypto.Signer
	PublicPEM() ([]byte, error)
	CA() []byte
	SignSeat(csr *x509.CertificateRequest, seat string, now time.Time) (*x509.Certificate, error)
	SeatChain(leaf *x509.Certificate) string
	Recipients() (facts, voice []fleet.Recipient, err error)
}

// Config is what a Roster needs; all must be given.
type Config struct {
	Seats    store.Seats
	Tokens   store.Tokens
	Events   store.Log
	Keys     Keys
	Settings func() (settings.File, error) // as it stands now
	PBXCA    func(settings.File) (string, error)
	Now      func() time.Time
	Log      *slog.Logger
}

// Roster is safe for concurrent use.
type Roster struct{ c Config }

// NewRoster wires a roster; it does nothing yet.
func NewRoster(c Config) *Roster { return &Roster{c} }

// New is what a seat is added with. Empty members take the centre's defaults.
type New struct {
	Name     string
	URL      string
	Domain   string
	User     string
	Auth     string
	Password string
	CA       string // PEM
	Agents   []string
}

// check returns the CSV column that is wrong beside the error.
func (n New) check() (column string, err error) {
	if err := fleet.SeatName(n.Name); err != nil {
		return "seat", err
	}
	if n.URL != "" {
		if err := settings.CheckPBXURL(n.URL); err != nil {
			return "pbx_url", err
		}
	}
	for _, f := range []struct{ column, v string }{{"pbx_domain", n.Domain}, {"pbx_user", n.User}, {"pbx_auth", n.Auth}, {"pbx_password", n.Password}} {
		if len(f.v) > 128 || strings.IndexFunc(f.v, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }) >= 0 {
			return f.column, errors.New("too long, or has blanks or unprintable characters") // never the value: it may be the password
		}
	}
	if n.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(n.CA)) {
		return "pbx_url", errors.New("the PBX's CA file holds no PEM certificate")
	}
	if err := settings.CheckAgents(n.Agents); err != nil {
		return "agents", err
	}
	return "", nil
}

// Added is what to hand to the technician. The token is shown once.
type Added struct {
	Seat    string    `json:"seat"`
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// Add makes a seat's record and its first enrolment token.
func (r *Roster) Add(ctx context.Context, n New, life time.Duration) (Added, error) {
	if _, err := n.check(); err != nil {
		return Added{}, fmt.Errorf("seat %s: %w", n.Name, err)
	}
	f, err := r.c.Settings()
	if err != nil {
		return Added{}, err
	}
	s := store.Seat{Name: n.Name, Created: r.c.Now().UTC(), Agents: n.Agents}
	x, err := pbx(n, f)
	if err != nil {
		return Added{}, fmt.Errorf("seat %s: %w", n.Name, err)
	}
	if s.PBX = []fleet.PBX{x}; x.CA == "" {
		if s.PBX[0].CA, err = r.c.PBXCA(f); err != nil {
			return Added{}, err
		}
	}
	if err := r.c.Seats.Create(ctx, s); err != nil {
		if errors.Is(err, store.ErrConflict) {
			err = errors.New("it is there already; for a new token use: deskfleet seats token " + n.Name)
		}
		return Added{}, fmt.Errorf("seat %s: %w", n.Name, err)
	}
	r.event(ctx, "seat added", n.Name, "")
	return r.Token(ctx, n.Name, life)
}

func pbx(n New, f settings.File) (fleet.PBX, error) {
	x := fleet.PBX{URL: n.URL, Domain: n.Domain, User: n.User, Auth: n.Auth, Password: n.Password, CA: n.CA, Expires: f.PBX.Expires}
	if x.URL == "" {
		x.URL = f.PBX.URL
	}
	if x.URL == "" {
		return x, errors.New("no PBX: give --pbx-url, or set pbx.url in centre.toml")
	}
	if x.Domain == "" && n.URL == "" {
		x.Domain = f.PBX.Domain
	}
	if x.Domain == "" {
		u, err := url.Parse(x.URL)
		if err != nil {
			return x, err
		}
		x.Domain = u.Hostname()
	}
	if x.User == "" {
		x.User = n.Name
	}
	return x, nil
}

// Token makes one more enrolment token for a seat and ends the others.
func (r *Roster) Token(ctx context.Context, seat string, life time.Duration) (Added, error) {
	if life < time.Minute || life > 30*24*time.Hour {
		return Added{}, fmt.Errorf("token life %v: use a minute to 30 days", life)
	}
	s, err := r.c.Seats.Seat(ctx, seat)
	if err != nil {
		return Added{}, err
	}
	if s.Revoked {
		return Added{}, fmt.Errorf("seat %s is revoked", seat)
	}
	if err := r.c.Tokens.Drop(ctx, seat); err != nil {
		return Added{}, err
	}
	b := make([]byte, 20) // 160 bits
	rand.Read(b)
	text := "dk1-" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)
	now := r.c.Now().UTC()
	t := store.Token{Hash: hash(text), Seat: seat, Created: now, Expires: now.Add(life)}
	if err := r.c.Tokens.Add(ctx, t); err != nil {
		return Added{}, err
	}
	r.event(ctx, "token made", seat, "")
	return Added{Seat: seat, Token: text, Expires: t.Expires}, nil
}

// hash is what the store keeps. A token has 160 random bits, so it needs no
// slow hash, and looking a hash up tells nothing of its token.
func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// ErrToken says that a token opens nothing; why is for the log, not the caller.
var ErrToken = errors.New("the enrolment token is wrong, used or expired")

// Enrol certifies a seat's key for a token and gives it its first policy. The
// token is used up only when all else is right.
func (r *Roster) Enrol(ctx context.Context, req fleet.EnrolRequest) (fleet.EnrolReply, error) {
	var reply fleet.EnrolReply
	now := r.c.Now().UTC()
	if len(req.Token) > 128 {
		return reply, ErrToken
	}
	h := hash(req.Token)
	t, err := r.c.Tokens.Peek(ctx, h, now)
	if err != nil {
		return reply, tokenError(err)
	}
	csr, err := authority.ParseCSR(req.CSR)
	if err != nil {
		return reply, &RequestError{err}
	}
	// A policy that cannot be made must not cost the token.
	if _, _, err := r.Policy(ctx, t.Seat); err != nil {
		return reply, err
	}
	if _, err := r.c.Tokens.Take(ctx, h, now); err != nil {
		return reply, tokenError(err)
	}
	leaf, err := r.c.Keys.SignSeat(csr, t.Seat, now)
	if err != nil {
		return reply, err
	}
	der, err := x509.MarshalPKIXPublicKey(leaf.PublicKey)
	if err != nil {
		return reply, fmt.Errorf("enrol %s: %w", t.Seat, err)
	}
	_, err = r.c.Seats.Update(ctx, t.Seat, func(s *store.Seat) error {
		if s.Revoked {
			return ErrToken
		}
		for i := range s.Certs {
			s.Certs[i].Superseded = true
		}
		s.Certs = append(s.Certs, store.Cert{
			Serial: authority.SerialOf(leaf), Key: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
			Issued: now, NotAfter: leaf.NotAfter,
		})
		return nil
	})
	if err != nil {
		return reply, err
	}
	pub, err := r.c.Keys.PublicPEM()
	if err != nil {
		return reply, err
	}
	_, doc, err := r.Policy(ctx, t.Seat)
	if err != nil {
		return reply, err
	}
	r.event(ctx, "enrolled", t.Seat, "certificate "+authority.SerialOf(leaf))
	return fleet.EnrolReply{Seat: t.Seat, Chain: r.c.Keys.SeatChain(leaf), CentreKey: string(pub), PolicyJWS: string(doc)}, nil
}

func tokenError(err error) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExpired) {
		return fmt.Errorf("%w (%w)", ErrToken, err)
	}
	return err
}

// RequestError is a fault of what the seat sent.
type RequestError struct{ error }

// Admit says whether a certificate's holder is a seat that may connect now.
func (r *Roster) Admit(ctx context.Context, h authority.Holder) error {
	s, err := r.c.Seats.Seat(ctx, h.Name)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("seat %s is not on the list", h.Name)
	}
	if err != nil {
		return err
	}
	if s.Revoked {
		return fmt.Errorf("seat %s is revoked", h.Name)
	}
	for _, c := range s.Certs {
		if c.Serial == h.Serial && !c.Superseded {
			return nil
		}
	}
	return fmt.Errorf("the certificate %s of seat %s was replaced by a later one", h.Serial, h.Name)
}

// Revoke ends a seat's connections for good. Its recordings stay.
func (r *Roster) Revoke(ctx context.Context, seat string) error {
	if _, err := r.c.Seats.Update(ctx, seat, func(s *store.Seat) error {
		s.Revoked = true
		for i := range s.Certs {
			s.Certs[i].Superseded = true
		}
		return nil
	}); err != nil {
		return err
	}
	r.event(ctx, "seat revoked", seat, "")
	return r.c.Tokens.Drop(ctx, seat)
}

// event writes the log; a failure is told, and stops nothing.
func (r *Roster) event(ctx context.Context, what, seat, text string) {
	if err := r.c.Events.Append(ctx, store.Entry{At: r.c.Now().UTC(), What: what, Seat: seat, Text: text}); err != nil {
		r.c.Log.Error("log of events", "err", err)
	}
}

// Import adds many seats. All are looked at before the first is added, so a
// mistake adds none.
func (r *Roster) Import(ctx context.Context, seats []New, life time.Duration) ([]Added, error) {
	f, err := r.c.Settings()
	if err != nil {
		return nil, err
	}
	for _, n := range seats {
		if _, err := n.check(); err != nil {
			return nil, fmt.Errorf("seat %s: %w", n.Name, err)
		}
		if _, err := pbx(n, f); err != nil {
			return nil, fmt.Errorf("seat %s: %w", n.Name, err)
		}
		if _, err := r.c.Seats.Seat(ctx, n.Name); err == nil {
			return nil, fmt.Errorf("seat %s is there already; nothing was added", n.Name)
		} else if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	out := []Added{}
	for _, n := range seats {
		a, err := r.Add(ctx, n, life)
		if err != nil {
			return out, err
		}
		out = append(out, a)
	}
	return out, nil
}
