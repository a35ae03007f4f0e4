package wsflow

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// explain says what went wrong at dialling and what to do next.
func explain(u *url.URL, resp *http.Response, err error) error {
	host := u.Host
	var (
		unknownCA x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		name      x509.HostnameError
		record    tls.RecordHeaderError
		dns       *net.DNSError
		alert     tls.AlertError
	)
	say := func(format string, args ...any) error {
		return &explained{fmt.Sprintf(format, args...), err}
	}
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return say("the certificate of %s is out of its dates: renew it, or set the seat's clock right (%v)", host, invalid)
	case errors.As(err, &unknownCA):
		return say("the certificate of %s is not signed by the CA that the policy names: install the PBX's CA in the policy, or a certificate of that CA at the PBX", host)
	case errors.As(err, &name):
		return say("the certificate of %s is for another name: use the name that stands in it (%v)", host, name)
	case errors.As(err, &invalid):
		return say("the certificate of %s is not fit for a server: replace it (%v)", host, invalid)
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return say("%s does not speak TLS on this port: check port and scheme of the PBX's address", host)
	case errors.As(err, &alert):
		return say("%s refused the TLS connection: check that it speaks TLS 1.2 or later (%v)", host, alert)
	case errors.As(err, &dns):
		return say("the name of the PBX %s is not known: check the address and the network's name server", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return say("nothing listens at %s: start the PBX, or check the port", host)
	case errors.Is(err, context.DeadlineExceeded):
		return say("%s does not answer: check network and firewall", host)
	case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		return say("%s answered HTTP %d instead of opening a WebSocket: check the path %q of the PBX's address", host, resp.StatusCode, u.Path)
	}
	return say("no connection to %s: check network and PBX (%v)", host, root(err))
}

// explained is a cause in words for a person.
type explained struct {
	words string
	cause error
}

func (e *explained) Error() string { return e.words }
func (e *explained) Unwrap() error { return e.cause }

// root is the innermost cause: the layers of the libraries say little to a
// person, and their port numbers differ each time.
func root(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
