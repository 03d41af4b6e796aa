package sluice_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	sluice "github.com/sluice-dev/sluice/sdk-gen/go"
)

func TestCertificatesAreVerified(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	check(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	files := map[string]*pem.Block{
		"certificate": {Type: "CERTIFICATE", Bytes: certificate}, "key": {Type: "PRIVATE KEY", Bytes: secret},
	}
	for name, block := range files {
		check(t, os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600))
	}
	s := startServer(t, "SLUICE__TLS__CERTIFICATE="+filepath.Join(folder, "certificate"),
		"SLUICE__TLS__KEY="+filepath.Join(folder, "key"))
	equal(t, s.url[:len("https://")], "https://")

	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem.EncodeToMemory(files["certificate"]))
	client := s.client(sluice.WithTLS(&tls.Config{RootCAs: trusted}))
	content := random(9 * mib)
	uploaded, err := client.Upload(background, sluice.Bytes(content), sluice.WithName("secret"))
	check(t, err)
	stored(t, client, uploaded.File, content)

	// The system does not trust it, and will not in two minutes.
	began := time.Now()
	_, err = s.client().Account(background)
	var failure *sluice.Error
	if !errors.As(err, &failure) || failure.Kind != sluice.KindTransport || failure.Transient() {
		t.Fatalf("%v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Fatalf("it took %s", took)
	}
}
