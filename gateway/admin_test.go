package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// ask has the admin API answer a request, as Caddy would have it: an error is a status and {"error": …}.
func ask(t testing.TB, method, uri string) (status int, body string) {
	t.Helper()
	mux := http.NewServeMux()
	for _, r := range new(Admin).Routes() {
		mux.HandleFunc(r.Pattern, func(w http.ResponseWriter, req *http.Request) {
			err := r.Handler.ServeHTTP(w, req)
			if err == nil {
				return
			}
			fault, ok := err.(caddy.APIError) // as Caddy looks at it: no errors.As
			if !ok {
				fault.HTTPStatus = http.StatusInternalServerError
			}
			w.WriteHeader(fault.HTTPStatus)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": fault.Err.Error()})
		})
	}
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequest(method, uri, nil))
	return rec.Code, rec.Body.String()
}

// askFor is ask for what must be found; it decodes the answer.
func askFor[T any](t testing.TB, method, uri string) (v T) {
	t.Helper()
	status, body := ask(t, method, uri)
	if status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, uri, status, body)
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%s %s: %v in %s", method, uri, err, body)
	}
	return v
}

func TestAdminMethods(t *testing.T) {
	for _, tt := range []struct {
		method, uri string
		status      int
		says        string
	}{
		{http.MethodGet, "/gopr/handlers", http.StatusOK, `{"handlers":[`},
		{http.MethodDelete, "/gopr/handlers", http.StatusMethodNotAllowed, `{"error":"method DELETE is not allowed here: use GET"}`},
		{http.MethodGet, "/gopr/", http.StatusNotFound, ""},
	} {
		if status, body := ask(t, tt.method, tt.uri); status != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s %s: %d %s, want %d and %s", tt.method, tt.uri, status, body, tt.status, tt.says)
		}
	}
}

func TestGetHandlers(t *testing.T) {
	prefix := fmt.Sprint(t.Name(), time.Now().UnixNano()) // what was counted outlives the test
	b, a := AcquireLive(prefix+"/b"), AcquireLive(prefix+"/a")
	defer ReleaseLive(a)
	defer ReleaseLive(b)
	a.Admit(0)
	a.Admit(0)
	a.Dismiss("eof")
	defer a.Dismiss("eof")
	a.FramesIn.Add(3)
	a.FramesOut.Add(4)
	a.BytesIn.Add(5)
	a.BytesOut.Add(6)
	var got []handlerView
	for _, h := range askFor[handlersView](t, http.MethodGet, "/gopr/handlers").Handlers {
		if strings.HasPrefix(h.Handler, prefix) {
			got = append(got, h)
		}
	}
	want := []handlerView{
		{Handler: prefix + "/a", Connections: 1, Opened: 2, FramesIn: 3, FramesOut: 4, BytesIn: 5, BytesOut: 6, Generations: []generationView{}},
		{Handler: prefix + "/b", Generations: []generationView{}},
	}
	if len(got) != 2 || !reflect.DeepEqual(got[0], want[0]) || !reflect.DeepEqual(got[1], want[1]) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}
