package fleet

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxReply bounds what is read of any answer of the centre, in bytes.
const maxReply = 4 << 20

// ClientConfig is what a seat needs to speak to its centre.
type ClientConfig struct {
	URL   string        // "https://centre.example:8443"
	CA    []byte        // PEM; the only authority that is trusted for the centre
	Chain []byte        // PEM, leaf first, from EnrolReply; empty only to enrol
	Key   crypto.Signer // of the leaf; may live in a TPM
}

// Client is an HTTPS client of the centre, with the seat's certificate. All
// methods may be called from any goroutine.
type Client struct {
	base *url.URL
	http *http.Client
	seat string
}

// NewClient checks the configuration; it opens no connection.
func NewClient(c ClientConfig) (*Client, error) {
	base, err := url.Parse(c.URL)
	if err != nil || base.Scheme != "https" || base.Host == "" || base.RawQuery != "" || base.Fragment != "" || base.User != nil {
		return nil, fmt.Errorf("centre address %q: want https://host:port", c.URL)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(c.CA) {
		return nil, errors.New("centre CA: no certificate in the PEM given")
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}
	cl := &Client{base: base}
	if len(c.Chain) > 0 {
		leaf, cert, err := keyPair(c.Chain, c.Key)
		if err != nil {
			return nil, err
		}
		conf.Certificates = []tls.Certificate{cert}
		cl.seat = leaf.Subject.CommonName
	}
	cl.http = &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: conf,
			// One seat keeps one connection for uploads; WebSockets need HTTP/1.1.
			MaxConnsPerHost:       4,
			IdleConnTimeout:       90 * time.Second,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 60 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the centre does not redirect")
		},
	}
	return cl, nil
}

func keyPair(chain []byte, key crypto.Signer) (*x509.Certificate, tls.Certificate, error) {
	var cert tls.Certificate
	for rest := chain; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if b.Type == "CERTIFICATE" {
			cert.Certificate = append(cert.Certificate, b.Bytes)
		}
	}
	if len(cert.Certificate) == 0 || key == nil {
		return nil, cert, errors.New("seat certificate: no certificate or no key; enrol the seat first")
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, cert, fmt.Errorf("seat certificate: %w", err)
	}
	if pub, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(key.Public()) {
		return nil, cert, errors.New("seat certificate: it is not for this seat's key; enrol the seat again")
	}
	cert.PrivateKey, cert.Leaf = key, leaf
	return leaf, cert, nil
}

// Seat is the name in the client's certificate, "" before enrolment.
func (c *Client) Seat() string { return c.seat }

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// StatusError is an answer of the centre that is not a success.
type StatusError struct {
	Problem
	RetryAfter time.Duration // 0: the centre did not say
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("centre answered %d %s", e.Status, e.Title)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Temporary says that the same request may succeed later.
func (e *StatusError) Temporary() bool {
	return e.Status >= 500 || e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout
}

// Do sends one request below the centre's address and returns the body of a
// 2xx answer. Any other answer is a *StatusError, with the body's bytes
// beside it. A body that is an io.Closer is always closed, but it may be read
// until then even after Do has returned.
func (c *Client) Do(ctx context.Context, method, path string, header http.Header, body io.Reader, size int64) ([]byte, error) {
	u := *c.base
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		if c, ok := body.(io.Closer); ok {
			c.Close()
		}
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if body != nil {
		req.ContentLength = size
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxReply+1))
	if err != nil {
		return nil, fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	if len(b) > maxReply {
		return nil, fmt.Errorf("%s %s: the answer is larger than %d bytes", method, path, maxReply)
	}
	if res.StatusCode/100 == 2 {
		return b, nil
	}
	return b, problem(res, b)
}

// Stream sends one GET and hands the body over with its length, -1 if unknown;
// the caller closes it.
func (c *Client) Stream(ctx context.Context, path string, query url.Values) (io.ReadCloser, int64, error) {
	u := *c.base
	u.RawQuery = query.Encode()
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, 0, fmt.Errorf("GET %s: %w", path, err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("GET %s: %w", path, err)
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		b, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
		return nil, 0, problem(res, b)
	}
	return res.Body, res.ContentLength, nil
}

func problem(res *http.Response, body []byte) error {
	e := &StatusError{}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json") {
		_ = json.Unmarshal(body, &e.Problem) // a bad body leaves the bare status
	}
	e.Status = res.StatusCode
	if e.Title == "" {
		e.Title = http.StatusText(res.StatusCode)
	}
	e.Title, e.Detail = clip(e.Title), clipTo(e.Detail, 400)
	if s, err := time.ParseDuration(res.Header.Get("Retry-After") + "s"); err == nil && s > 0 {
		e.RetryAfter = min(s, time.Hour)
	}
	return e
}

func clipTo(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}

// postJSON sends v and decodes a 2xx answer into reply, strictly.
func (c *Client) postJSON(ctx context.Context, path string, v, reply any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	out, err := c.Do(ctx, http.MethodPost, path, http.Header{"Content-Type": {"application/json"}}, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	dec.DisallowUnknownFields()
	if err := dec.Decode(reply); err != nil {
		return fmt.Errorf("POST %s: the answer is not understood: %w", path, err)
	}
	return nil
}

// Recording asks what the centre has of one of the seat's recordings, and
// whether a legal hold stands. Nothing at all is the zero UploadState.
func (c *Client) Recording(ctx context.Context, id string) (UploadState, error) {
	var st UploadState
	b, err := c.Do(ctx, http.MethodGet, PathRec+id, nil, nil, 0)
	var se *StatusError
	if errors.As(err, &se) && se.Status == http.StatusNotFound {
		return st, nil
	}
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(b, &st); err != nil {
		return UploadState{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return st, nil
}

// ErrAnswer says that the centre's answer is not understood.
var ErrAnswer = errors.New("the centre's answer is not understood")
