package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// admin is the admin API of a running Caddy.
type admin struct {
	base   string // http://host:port
	client *http.Client
}

// adminTimeout is how long an answer may take, a page of a long list.
const adminTimeout = time.Minute

// call makes a request and decodes its answer. An error says what the API says, or that there is none.
func (a *admin) call(ctx context.Context, method, path string, query url.Values, into any) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	uri := a.base + path
	if len(query) > 0 {
		uri += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, uri, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Origin", a.base) // for endpoints that enforce it, as Caddy's own commands do
	res, err := a.client.Do(req)
	if err != nil {
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return fmt.Errorf("no answer of Caddy's admin endpoint, at %s: %w (--address says where it is)", a.base, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return refusal(res)
	}
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		return fmt.Errorf("the admin endpoint's answer to %s: %w", path, err)
	}
	return nil
}

// refusedError is the API's own word.
type refusedError struct {
	status int
	says   string
}

func (e *refusedError) Error() string { return e.says }

func refusal(res *http.Response) error {
	var said struct {
		Error string `json:"error"`
	}
	b, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	switch err := json.Unmarshal(b, &said); {
	case err == nil && said.Error != "":
	case res.StatusCode == http.StatusNotFound:
		said.Error = "this Caddy has no such admin API: it is built without this module, or with another version of it"
	default:
		said.Error = "the admin endpoint answers " + res.Status
	}
	return &refusedError{res.StatusCode, said.Error}
}

// failed returns the exit code for an error of call.
func failed(err error) int {
	if refused := (*refusedError)(nil); errors.As(err, &refused) && (refused.status == http.StatusNotFound || refused.status == http.StatusConflict) {
		return exitNo
	}
	return exitUsage
}
