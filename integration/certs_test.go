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

var (
	certFile = regexp.MustCompile(`/etc/caddy/[\w-]+\.(crt|key)\b`)
	// devicesFile is a file of clients, for authenticate static.
	devicesFile = regexp.MustCompile(`/etc/caddy/devices\b[^-.]`)
)

// devices is what such a file has.
const devices = "thermometer-17:$2a$10$.Dm2nb21qaQYeXcS2KN4tu1ONd8/GXeUmosSBdoocElY6AnaVZ5jm\n"

// withCerts returns a configuration in which the certificates, keys and clients under /etc/caddy are files that are there: with them it can be provisioned.
func withCerts(t *testing.T, config string) string {
	t.Helper()
	if !certFile.MatchString(config) && !devicesFile.MatchString(config) {
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
	if err := os.WriteFile(filepath.Join(dir, "devices"), []byte(devices), 0o600); err != nil {
		t.Fatal(err)
	}
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
