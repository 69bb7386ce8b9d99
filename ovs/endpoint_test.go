//go:build linux

package ovs_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/ovs"
)

// An authority signs certificates for the length of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := new(authority)
	a.cert, a.key = a.sign(t, "CA")
	return a
}

// sign makes a certificate for a server on loopback; the first is the
// authority's own.
func (a *authority) sign(t *testing.T, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: a.key == nil, BasicConstraintsValid: true,
	}
	parent, signer := a.cert, a.key
	if signer == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// write writes PEM files and returns ovsdb-server's arguments.
func (a *authority) write(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	cert, key := a.sign(t, "server")
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return []string{
		"--remote=pssl:6640:127.0.0.1", "--private-key=" + file("key", "PRIVATE KEY", der),
		"--certificate=" + file("cert", "CERTIFICATE", cert.Raw), "--ca-cert=" + file("ca", "CERTIFICATE", a.cert.Raw),
	}
}

// TestTLS speaks to a server that has a certificate, and to one that is not who
// it should be.
func TestTLS(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	db := ovstest.Start(t, ca.write(t)...)
	addBridgeRow(t, db, "lan")
	cert, key := ca.sign(t, "client")
	me := []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}
	for _, tc := range []struct {
		name     string
		endpoint string
		config   *tls.Config
		ok       bool
	}{
		{"known", "ssl:127.0.0.1:6640", &tls.Config{RootCAs: ca.pool(), Certificates: me}, true},
		{"standard port", "ssl:127.0.0.1", &tls.Config{RootCAs: ca.pool(), Certificates: me}, true},
		{"own check", "ssl:127.0.0.1", &tls.Config{InsecureSkipVerify: true, Certificates: me,
			VerifyConnection: func(s tls.ConnectionState) error { return s.PeerCertificates[0].CheckSignatureFrom(ca.cert) }}, true},
		{"stranger", "ssl:127.0.0.1", &tls.Config{RootCAs: stranger.pool(), Certificates: me}, false},
		{"unconfigured", "ssl:127.0.0.1", nil, false},
		{"unchecked", "ssl:127.0.0.1", &tls.Config{InsecureSkipVerify: true, Certificates: me}, false},
		{"other name", "ssl:localhost", &tls.Config{RootCAs: ca.pool(), Certificates: me}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &ovs.Client{Endpoint: tc.endpoint, TLS: tc.config}
			defer func() { _ = c.Close() }()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			got, err := c.IsBridge(ctx, "lan")
			if got != tc.ok || (err == nil) != tc.ok {
				t.Errorf("%v, %v", got, err)
			}
			if tc.name == "unchecked" && !errors.Is(err, fs.ErrInvalid) {
				t.Error(err)
			}
		})
	}
}

func TestTCP(t *testing.T) {
	db := ovstest.Start(t, "--remote=ptcp:6640:127.0.0.1", "--remote=ptcp:6641:[::1]")
	addBridgeRow(t, db, "lan")
	for _, endpoint := range []string{"tcp:127.0.0.1", "tcp:127.0.0.1:6640", "tcp:[::1]:6641"} {
		if got, err := ovs.IsBridge(t.Context(), endpoint, "lan"); !got || err != nil {
			t.Errorf("%s: %v, %v", endpoint, got, err)
		}
	}
}

func addBridgeRow(t testing.TB, db *ovstest.Database, name string) {
	t.Helper()
	db.Vsctl(t, "--no-wait", "add-br", name)
}
