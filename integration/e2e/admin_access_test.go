package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestAdminFromABrowser: a page of another origin, which a browser of the operator's has open, can neither close a connection nor read one. The connection that each
// tries to close lives on.
func TestAdminFromABrowser(t *testing.T) {
	c := start(t, config(adminConfig), places{"backend": newBackend(t, echoes).addr})
	d := dial(t, c.addr("echo"))
	check(t, d.ask("hello"))
	admin := c.addr("admin")
	id := c.connections("")[0].ID
	for _, tt := range []struct {
		name    string
		headers map[string]string
		status  int
		says    string
	}{
		{"a page of another origin", map[string]string{"Origin": "https://evil.example"}, http.StatusForbidden, "client is not allowed to access from origin 'https://evil.example'"},
		{"the same with what a browser adds", map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "cross-site"}, http.StatusForbidden, "client is not allowed"},
		{"another port of this machine", map[string]string{"Origin": "http://127.0.0.1:1"}, http.StatusForbidden, "client is not allowed"},
		{"a form or an image, no-cors", map[string]string{"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site"}, http.StatusBadRequest, "Disabling same-origin restrictions is not allowed"},
		{"a sandboxed frame", map[string]string{"Origin": "null"}, http.StatusBadRequest, "null Origin"},
		{"a navigation, without an origin", map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"}, http.StatusForbidden, "client is not allowed to access from origin ''"},
		{"DNS rebinding: a name of the attacker's that has become 127.0.0.1", map[string]string{"Host": "evil.example:2019"}, http.StatusForbidden, "host not allowed: evil.example:2019"},
		{"the same, as the page's own origin", map[string]string{"Host": "evil.example:2019", "Origin": "http://evil.example:2019"}, http.StatusForbidden, "host not allowed"},
		{"a web socket", map[string]string{"Upgrade": "websocket", "Connection": "Upgrade", "Origin": "http://" + admin}, http.StatusBadRequest, "WebSocket connections aren't allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, request := range []struct{ method, path string }{
				{http.MethodDelete, "/gopr/connections/" + id},
				{http.MethodDelete, "/gopr/connections?all=true"},
				{http.MethodGet, "/gopr/connections"},
				{http.MethodPost, "/gopr/connections?all=true"}, // what a form can send
			} {
				req, err := http.NewRequest(request.method, "http://"+admin+request.path, nil)
				check(t, err)
				for name, value := range tt.headers {
					req.Header.Set(name, value)
				}
				req.Host = tt.headers["Host"]
				res, err := adminClient.Do(req)
				check(t, err)
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != tt.status || !strings.Contains(string(body), tt.says) {
					t.Errorf("%s %s: %d %s, want %d and %s", request.method, request.path, res.StatusCode, body, tt.status, tt.says)
				}
				if strings.Contains(string(body), id) {
					t.Errorf("%s %s tells of a connection: %s", request.method, request.path, body)
				}
				if origin := res.Header.Get("Access-Control-Allow-Origin"); origin != "" {
					t.Errorf("%s %s allows the origin %s", request.method, request.path, origin)
				}
			}
			check(t, d.ask("still here"))
		})
	}
	t.Run("a preflight", func(t *testing.T) { // without which a browser sends no DELETE at all
		req, err := http.NewRequest(http.MethodOptions, "http://"+admin+"/gopr/connections", nil)
		check(t, err)
		req.Header.Set("Origin", "https://evil.example")
		req.Header.Set("Access-Control-Request-Method", http.MethodDelete)
		res, err := adminClient.Do(req)
		check(t, err)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusForbidden || res.Header.Get("Access-Control-Allow-Origin")+res.Header.Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("%d %v", res.StatusCode, res.Header)
		}
		check(t, d.ask("still here"))
	})
	req, err := http.NewRequest(http.MethodDelete, "http://"+admin+"/gopr/connections/"+id, nil)
	check(t, err)
	req.Header.Set("Origin", "http://"+admin) // Caddy's own
	res, err := adminClient.Do(req)
	check(t, err)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("from the endpoint's own origin: %d", res.StatusCode)
	}
	check(t, d.ended())
}
