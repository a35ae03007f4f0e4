package digest

import (
	"strings"
	"testing"
)

func TestVectors(t *testing.T) {
	const (
		realm7616 = "http-auth@example.org"
		nonce7616 = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
		cn7616    = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
	)
	mufasa := Request{User: "Mufasa", Password: "Circle of Life", Method: "GET", URI: "/dir/index.html", CNonce: cn7616, NC: 1}
	for _, c := range []struct {
		name, challenge, response string
		req                       Request
	}{
		{"RFC 2617 3.5", `Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`,
			"6629fae49393a05397450978507c4ef1",
			Request{User: "Mufasa", Password: "Circle Of Life", Method: "GET", URI: "/dir/index.html", CNonce: "0a4f113b", NC: 1}},
		{"RFC 2069 2.4 with errata", `Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`,
			"1949323746fe6a43ef61f9606e7febea",
			Request{User: "Mufasa", Password: "CircleOfLife", Method: "GET", URI: "/dir/index.html"}},
		{"RFC 7616 3.9.1 MD5", `Digest realm="` + realm7616 + `", qop="auth, auth-int", algorithm=MD5, nonce="` + nonce7616 + `", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`,
			"8ca523f5e9506fed4657c9700eebdbec", mufasa},
		{"RFC 7616 3.9.1 SHA-256", `Digest realm="` + realm7616 + `", qop="auth, auth-int", algorithm=SHA-256, nonce="` + nonce7616 + `", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`,
			"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", mufasa},
		{"RFC 7616 3.9.2 SHA-512-256, userhash, errata 4897", `Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true`,
			"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
			Request{User: "Jäsøn Doe", Password: "Secret, or not?", Method: "GET", URI: "/doe.json", CNonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", NC: 1}},
	} {
		ch, err := Parse(c.challenge)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := ch.Authorize(c.req)
		if err != nil || !strings.Contains(got, `response="`+c.response+`"`) {
			t.Errorf("%s: %s, %v", c.name, got, err)
		}
		ps, err := Params(strings.TrimPrefix(got, "Digest "))
		if err != nil || ps["realm"] != ch.Realm || ps["opaque"] != ch.Opaque || ps["algorithm"] != ch.Algorithm {
			t.Errorf("%s: reads back as %v, %v", c.name, ps, err)
		}
	}
}

func TestStrongest(t *testing.T) {
	md5 := Challenge{Realm: "r", Nonce: "1"}
	sha := Challenge{Realm: "r", Nonce: "2", Algorithm: "sha-256", QOP: []string{"auth"}}
	odd := Challenge{Realm: "r", Nonce: "3", Algorithm: "AKAv1-MD5"}
	qop := Challenge{Realm: "r", Nonce: "4", Algorithm: "SHA-512-256", QOP: []string{"future"}}
	if c, ok := Strongest([]Challenge{md5, sha, odd, qop}); !ok || c.Nonce != "2" {
		t.Errorf("picked %v", c)
	}
	if c, ok := Strongest([]Challenge{odd, md5}); !ok || c.Nonce != "1" {
		t.Errorf("picked %v", c)
	}
	if _, ok := Strongest([]Challenge{odd, qop}); ok {
		t.Error("picked what it cannot answer")
	}
	if _, err := odd.Authorize(Request{}); err == nil {
		t.Error("answered an unknown algorithm")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{"", "Basic realm=x", "Digest", `Digest realm="x"`, `Digest realm="x, nonce="y"`, `Digest realm="x", nonce="y\`, `Digest =x`, "Digest realm=\"a\nb\", nonce=c", `Digest realm="x", nonce="y", algorithm="a b"`} {
		if c, err := Parse(s); err == nil {
			t.Errorf("%q read as %v", s, c)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`Digest realm="a", nonce="b", qop="auth,auth-int", algorithm=SHA-256, stale=TRUE, opaque="\"x\""`)
	f.Add(`digest realm=a,nonce=b`)
	f.Add(`Digest realm="a\`)
	f.Fuzz(func(t *testing.T, s string) {
		c, err := Parse(s)
		if err != nil || !c.Supported() {
			return
		}
		a, err := c.Authorize(Request{User: "u", Password: "p", Method: "REGISTER", URI: "sip:x", CNonce: "c", NC: 1})
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(a, "\r\n") {
			t.Fatalf("line break in %q", a)
		}
		ps, err := Params(strings.TrimPrefix(a, "Digest "))
		if err != nil || ps["nonce"] != c.Nonce || ps["realm"] != c.Realm {
			t.Fatalf("%q reads back as %v, %v", a, ps, err)
		}
	})
}
