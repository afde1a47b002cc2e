package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var certFile = regexp.MustCompile(`/etc/caddy/[\w-]+\.(crt|key)\b`)

// withCerts returns a configuration in which the certificates and keys under /etc/caddy are files that are there: with them it can be provisioned.
func withCerts(t *testing.T, config string) string {
	t.Helper()
	if !certFile.MatchString(config) {
		return config
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range certFile.FindAllString(config, -1) {
		block := &pem.Block{Type: "CERTIFICATE", Bytes: cert}
		if strings.HasSuffix(name, ".key") {
			block = &pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return strings.ReplaceAll(config, "/etc/caddy/", dir+"/")
}
