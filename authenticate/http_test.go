package authenticate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

// service is what is asked. It counts the questions.
func service(t *testing.T, answer http.HandlerFunc) (url string, questions *atomic.Int64) {
	t.Helper()
	questions = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		questions.Add(1)
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, questions
}

// judge knows one client.
func judge(w http.ResponseWriter, r *http.Request) {
	var q map[string]any
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	switch {
	case q["client_id"] == "a" && q["credential"] == "one":
		w.WriteHeader(http.StatusNoContent)
	case q["client_id"] == "banned":
		w.WriteHeader(http.StatusForbidden)
	default:
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func TestHTTP(t *testing.T) {
	url, questions := service(t, judge)
	t.Setenv("AUTH_URL", url)
	h := mustLoad(t, "http", "http {env.AUTH_URL}/hello")
	for range 3 {
		says(t, h, credentials("a", "one"), nil)
		says(t, h, credentials("a", "two"), no)
		says(t, h, credentials("banned", "one"), no)
	}
	if n := questions.Load(); n != 3 {
		t.Errorf("%d questions, not one for each", n)
	}
	h = mustLoad(t, "http", "http "+url+" {\ncache 0\ncache_refused 0\n}")
	for range 2 {
		says(t, h, credentials("a", "one"), nil)
		says(t, h, credentials("a", "two"), no)
	}
	if n := questions.Load(); n != 3+4 {
		t.Errorf("%d questions without memory", n-3)
	}
}

// A verdict is of one client, with one credential, from one host, with one certificate.
func TestHTTPRemembersOneOfAKind(t *testing.T) {
	url, questions := service(t, func(http.ResponseWriter, *http.Request) {})
	h := mustLoad(t, "http", "http "+url)
	ca := newAuthority(t)
	state := ca.handshake(tls.RequestClientCert, pair(ca.sign(&x509.Certificate{})))
	for i, c := range []gateway.Credentials{
		credentials("a", "one"),
		credentials("a", "two"),
		credentials("ao", "ne"),
		{ClientID: []byte("a"), Secret: []byte("one"), Remote: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}},
		{ClientID: []byte("a"), Secret: []byte("one"), TLS: state},
	} {
		says(t, h, c, nil)
		says(t, h, c, nil)
		if n := questions.Load(); n != int64(i+1) {
			t.Fatalf("%d questions after %d of a kind", n, i+1)
		}
	}
	says(t, h, gateway.Credentials{ClientID: []byte("a"), Secret: []byte("one"), Remote: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 2}}, nil)
	if n := questions.Load(); n != 5 {
		t.Error("asked again because of another port")
	}
}

// What the service is told.
func TestHTTPAsks(t *testing.T) {
	var body map[string]any
	var header http.Header
	url, _ := service(t, func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body, header = nil, r.Header
		if err := json.Unmarshal(b, &body); err != nil || r.Method != http.MethodPost {
			t.Errorf("%s %s: %v", r.Method, b, err)
		}
	})
	t.Setenv("AUTH_TOKEN", "t0ken")
	h := mustLoad(t, "http", "http "+url+" {\nheader Authorization \"Bearer {env.AUTH_TOKEN}\"\nheader X-Gateway one\n}")
	ca := newAuthority(t)
	state := ca.handshake(tls.RequireAndVerifyClientCert, pair(ca.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "a"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})))
	says(t, h, gateway.Credentials{
		ClientID: []byte("a"), Secret: []byte("one"), Remote: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}, TLS: state,
	}, nil)
	told, _ := body["tls"].(map[string]any)
	print, _ := told["fingerprint"].(string)
	delete(told, "fingerprint")
	if want := map[string]any{
		"client_id": "a", "credential": "one", "remote_addr": "192.0.2.1:1",
		"tls": map[string]any{"server_name": "gateway", "subject": "CN=a", "verified": true},
	}; !reflect.DeepEqual(body, want) || len(print) != 64 {
		t.Errorf("%v, %q", body, print)
	}
	if header.Get("Authorization") != "Bearer t0ken" || header.Get("X-Gateway") != "one" || header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", header)
	}
	says(t, h, credentials("\xff\x00", "\xfe"), nil)
	if want := map[string]any{"client_id_base64": "/wA=", "credential_base64": "/g=="}; !reflect.DeepEqual(body, want) {
		t.Errorf("%v", body)
	}
}

// A service that fails says neither yes nor no, and nothing of it is remembered.
func TestHTTPFails(t *testing.T) {
	failures := map[string]http.HandlerFunc{
		"an error":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"not found": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/yes", http.StatusTemporaryRedirect)
		},
		"too slow":  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"no answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"no HTTP at all": func(w http.ResponseWriter, _ *http.Request) {
			nc, _, _ := w.(http.Hijacker).Hijack()
			_, _ = nc.Write([]byte("GOPR"))
			nc.Close()
		},
	}
	for name, answer := range failures {
		t.Run(name, func(t *testing.T) {
			var well atomic.Bool
			url, _ := service(t, func(w http.ResponseWriter, r *http.Request) {
				if _, _ = io.Copy(io.Discard, r.Body); well.Load() || r.URL.Path == "/yes" { // a body that was read has the server watch for the end
					return
				}
				answer(w, r)
			})
			refuse := mustLoad(t, "http", "http "+url+" {\ntimeout 50ms\n}")
			allow := mustLoad(t, "http", "http "+url+" {\ntimeout 50ms\non_failure allow\n}")
			if err := refuse.Authenticate(t.Context(), credentials("a", "one")); err == nil || errors.Is(err, no) {
				t.Errorf("refuse: %v", err)
			}
			says(t, allow, credentials("a", "one"), nil)
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			if err := allow.Authenticate(gone, credentials("b", "one")); !errors.Is(err, context.Canceled) {
				t.Errorf("a client that has gone: %v", err)
			}
			well.Store(true)
			refuse = mustLoad(t, "http", "http "+url)
			says(t, refuse, credentials("a", "one"), nil)
		})
	}
}

// Only who has the right name, CA and certificate is asked, or answers.
func TestHTTPOverTLS(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.sign(&x509.Certificate{DNSNames: []string{"auth.example.com"}})
	trusted := x509.NewCertPool()
	trusted.AddCert(ca.cert)
	s := httptest.NewUnstartedServer(http.HandlerFunc(judge))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair(cert, key)}, ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)

	dir := t.TempDir()
	file := func(name, kind string, der []byte) string {
		name = filepath.Join(dir, name)
		rewrite(t, name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
		return name
	}
	caFile := file("ca.crt", "CERTIFICATE", ca.cert.Raw)
	clientCert, clientKey := ca.sign(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	pkcs8, err := x509.MarshalPKCS8PrivateKey(clientKey)
	if err != nil {
		t.Fatal(err)
	}
	auth := "client_auth " + file("gw.crt", "CERTIFICATE", clientCert.Raw) + " " + file("gw.key", "PRIVATE KEY", pkcs8)
	says(t, mustLoad(t, "http", "http "+s.URL+" {\ntls {\nserver_name auth.example.com\nca "+caFile+"\n"+auth+"\n}\n}"), credentials("a", "one"), nil)
	for _, options := range []string{
		"server_name auth.example.com\n" + auth,
		"ca " + caFile + "\n" + auth,
		"server_name auth.example.com\nca " + caFile,
	} {
		h := mustLoad(t, "http", "http "+s.URL+" {\ntls {\n"+options+"\n}\n}")
		if err := h.Authenticate(t.Context(), credentials("a", "one")); err == nil || errors.Is(err, no) {
			t.Errorf("%q: %v", options, err)
		}
	}
}

func TestHTTPThatCannotBe(t *testing.T) {
	none := write(t, "no certificate")
	for _, tt := range []struct{ segment, says string }{
		{"http", "write it as `authenticate http https://auth.example.com/hello`"},
		{"http auth.example.com", "no URL that can be asked"},
		{"http ftp://auth.example.com", "no URL that can be asked"},
		{"http {env.GOPR_NOT_SET}", "GOPR_NOT_SET"},
		{"http https://a {\non_failure ignore\n}", `unknown on_failure "ignore": refuse or allow`},
		{"http https://a {\ntimeout -3s\n}", "negative"},
		{"http https://a {\nheader X\n}", "header Authorization"},
		{"http https://a {\nheader X 1\nheader X 2\n}", "given twice"},
		{"http http://localhost {\ntls {\nserver_name a\n}\n}", "remove `tls`"},
		{"http https://a {\ntls {\nca /nowhere\n}\n}", "no such file"},
		{"http https://a {\ntls {\nca " + none + "\n}\n}", "has no certificate"},
		{"http https://a {\ntls {\nclient_auth a\n}\n}", "client_auth /etc/caddy/gateway.crt"},
		{"http https://a {\ntls {\nclient_auth " + none + " " + none + "\n}\n}", "tls client_auth"},
	} {
		if _, err := load(t, "http", tt.segment); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, not %q", tt.segment, err, tt.says)
		}
	}
}
