package rig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"embed"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

//go:embed asterisk
var asteriskConf embed.FS

// asterisk is a real Asterisk in a chroot made by scripts/asterisk, with a
// configuration of its own and in a mount namespace of its own, so nothing of
// it is left when it ends.
type asterisk struct {
	root string // the chroot
	dir  string // of this instance, seen from inside the chroot
	logs string
	conf asteriskVars
	cert tls.Certificate
	proc *Proc
}

// asteriskVars fill the configuration's templates.
type asteriskVars struct {
	Dir, Modules     string
	SIPPort, WSSPort int
	RTPStart, RTPEnd int
	Seats, Phones    []account
	Customer         account
	Softphone        account
	HostAddrs        []string
}

type account struct{ User, Password string }

// ErrNoAsterisk says that the chroot was not made yet.
var ErrNoAsterisk = errors.New("no Asterisk here; make it with scripts/asterisk")

func newAsterisk(ctx context.Context, root, logs string, cert tls.Certificate) (*asterisk, error) {
	found, _ := filepath.Glob(filepath.Join(root, "usr/lib/*/asterisk/modules"))
	if len(found) == 0 {
		found, _ = filepath.Glob(filepath.Join(root, "usr/lib/asterisk/modules"))
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w (looked in %s)", ErrNoAsterisk, root)
	}
	host, err := os.MkdirTemp(filepath.Join(root, "tmp"), "deskset-")
	if err != nil {
		return nil, err
	}
	a := &asterisk{root: root, dir: strings.TrimPrefix(host, root), logs: logs, cert: cert}
	a.conf = asteriskVars{
		Dir: a.dir, Modules: strings.TrimPrefix(found[0], root),
		Seats:    []account{{SeatUser, Password(SeatUser)}, {"102", Password("102")}},
		Phones:   []account{{Customer, Password(Customer)}, {Colleague, Password(Colleague)}},
		Customer: account{CustomerNumber, Password(CustomerNumber)}, Softphone: account{Softphone, Password(Softphone)}, HostAddrs: hostAddrs(),
	}
	if err := a.ports(); err != nil {
		return nil, err
	}
	return a, a.Restart(ctx)
}

// hostAddrs are the addresses that pjnath would offer instead of loopback,
// which it skips; the configuration maps them back.
func hostAddrs() (out []string) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			out = append(out, n.IP.String())
		}
	}
	return out
}

// ports takes free ones; Asterisk binds them a moment later.
func (a *asterisk) ports() error {
	t, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer t.Close()
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer u.Close()
	a.conf.WSSPort = t.Addr().(*net.TCPAddr).Port
	a.conf.SIPPort = u.LocalAddr().(*net.UDPAddr).Port
	a.conf.RTPStart = 10000 + os.Getpid()%50*200
	a.conf.RTPEnd = a.conf.RTPStart + 199
	return nil
}

func (a *asterisk) write() error {
	host := filepath.Join(a.root, a.dir)
	for _, d := range []string{"etc", "run", "log", "spool", "db"} {
		if err := os.MkdirAll(filepath.Join(host, d), 0o755); err != nil {
			return err
		}
	}
	entries, err := asteriskConf.ReadDir("asterisk")
	if err != nil {
		return err
	}
	for _, e := range entries {
		t, err := template.ParseFS(asteriskConf, "asterisk/"+e.Name())
		if err != nil {
			return err
		}
		var b strings.Builder
		if err := t.Execute(&b, a.conf); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(host, "etc", e.Name()), []byte(b.String()), 0o600); err != nil {
			return err
		}
	}
	key, err := x509.MarshalPKCS8PrivateKey(a.cert.PrivateKey)
	if err != nil {
		return err
	}
	crt := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Certificate[0]})
	if err := os.WriteFile(filepath.Join(host, "etc/pbx.crt"), crt, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(host, "etc/pbx.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600)
}

func (a *asterisk) Name() string { return "asterisk" }
func (a *asterisk) WSS() string  { return fmt.Sprintf("127.0.0.1:%d", a.conf.WSSPort) }
func (a *asterisk) SIP() string  { return fmt.Sprintf("127.0.0.1:%d", a.conf.SIPPort) }

// Restart starts Asterisk and waits until it is fully booted.
func (a *asterisk) Restart(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, 60*time.Second)
	defer stop()
	if err := a.write(); err != nil {
		return err
	}
	// The mounts live in a namespace of the process and end with it.
	const inside = `mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot "$0" asterisk -C "$1/etc/asterisk.conf" -f`
	var err error
	a.proc, err = start("asterisk", a.logs, nil, "unshare", "--mount", "sh", "-c", inside, a.root, a.dir)
	if err != nil {
		return err
	}
	err = poll(ctx, "Asterisk", func() bool {
		select {
		case <-a.proc.Done():
			stop()
			return false
		default:
		}
		out, err := a.cli(ctx, "core waitfullybooted")
		return err == nil && strings.Contains(out, "fully booted")
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, a.proc.Tail(10))
	}
	return nil
}

func (a *asterisk) SetCert(cert tls.Certificate) { a.cert = cert }

func (a *asterisk) SetPassword(user, password string) {
	for _, l := range [][]account{a.conf.Seats, a.conf.Phones} {
		for i := range l {
			if l[i].User == user {
				l[i].Password = password
			}
		}
	}
}

// HangUpAll ends all channels.
func (a *asterisk) HangUpAll(ctx context.Context) error {
	_, err := a.cli(ctx, "channel request hangup all")
	return err
}

// Kill is kill -9.
func (a *asterisk) Kill() error {
	a.proc.Kill()
	return nil
}

// Close ends it and removes what it wrote.
func (a *asterisk) Close() error {
	a.proc.Kill()
	return os.RemoveAll(filepath.Join(a.root, a.dir))
}

func (a *asterisk) cli(ctx context.Context, command string) (string, error) {
	return output(ctx, nil, "chroot", a.root, "asterisk", "-C", a.dir+"/etc/asterisk.conf", "-rx", command)
}
