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
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("the certificate of %s is out of its dates: renew it, or set the seat's clock right: %w", host, err)
	case errors.As(err, &unknownCA):
		return fmt.Errorf("the certificate of %s is not signed by the CA that the policy names: install the PBX's CA in the policy, or a certificate of that CA at the PBX: %w", host, err)
	case errors.As(err, &name):
		return fmt.Errorf("the certificate of %s is for another name: use the name that stands in it: %w", host, err)
	case errors.As(err, &invalid):
		return fmt.Errorf("the certificate of %s is not fit for a server: %w", host, err)
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%s does not speak TLS on this port: check port and scheme of the PBX's address: %w", host, err)
	case errors.As(err, &alert):
		return fmt.Errorf("%s refused the TLS connection: check that it speaks TLS 1.2 or later: %w", host, err)
	case errors.As(err, &dns):
		return fmt.Errorf("the name of the PBX %s is not known: check the address and the network's name server: %w", host, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens at %s: is the PBX running, is the port right? %w", host, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s does not answer: check network and firewall: %w", host, err)
	case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("%s answered HTTP %d instead of opening a WebSocket: check the path %q of the PBX's address", host, resp.StatusCode, u.Path)
	}
	return fmt.Errorf("connect to %s: %w", host, err)
}
