package hcl2

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// httpLimit is how long one request may take with all that it is redirected
	// to: a template is loaded while somebody looks on.
	httpLimit = 30 * time.Second
	// httpMost bounds what a server may answer, in bytes.
	httpMost = 4 << 20
)

// HTTP asks servers for what data "http" stands for. It asks each only once for
// the same thing, so that all evaluations of a template see one answer. The zero
// value is ready; it is not for use by several goroutines at once.
type HTTP struct {
	// Transport is http.DefaultTransport where it is nil, which checks
	// certificates and goes by HTTPS_PROXY and its like.
	Transport http.RoundTripper
	// Limit is how long a request may take; 30 seconds where it is 0.
	Limit time.Duration
	done  map[string]outcome
}

type request struct {
	method, url, body string
	headers           map[string]string
}

type response struct {
	body    string
	headers map[string]string
	hint    string // what to do about an error
}

type outcome struct {
	response
	err error
}

func (h *HTTP) fetch(r request) (response, error) {
	key, err := json.Marshal([]any{r.method, r.url, r.body, r.headers})
	if err != nil {
		return response{}, err
	}
	if o, ok := h.done[string(key)]; ok {
		return o.response, o.err
	}
	if h.done == nil {
		h.done = map[string]outcome{}
	}
	var o outcome
	o.response, o.err = h.ask(r)
	h.done[string(key)] = o
	return o.response, o.err
}

// ask makes the request. Its errors name the host alone, since secrets may stand
// in the rest of an address.
func (h *HTTP) ask(r request) (response, error) {
	address, err := url.Parse(r.url)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return response{hint: `such as url = "https://example.com/versions.json"`}, errors.New("url is no http or https address")
	}
	from := r.method + " from " + address.Host
	req, err := http.NewRequest(r.method, r.url, strings.NewReader(r.body))
	if err != nil {
		return response{}, fmt.Errorf("%s: %w", from, bare(err))
	}
	for name, value := range r.headers {
		req.Header.Set(name, value)
		if http.CanonicalHeaderKey(name) == "Host" {
			req.Host = value // net/http sends this one, and not the header
		}
	}
	limit := h.Limit
	if limit == 0 {
		limit = httpLimit
	}
	client := &http.Client{Transport: h.Transport, Timeout: limit, CheckRedirect: staySecure}
	resp, err := client.Do(req)
	if err != nil {
		return explained(from, limit, err)
	}
	defer func() { _ = resp.Body.Close() }() // all that matters of it is read
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return response{}, fmt.Errorf("%s: the server answers %s", from, resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, httpMost+1))
	switch {
	case err != nil:
		return explained(from, limit, err)
	case len(text) > httpMost:
		return response{}, fmt.Errorf("%s: the answer is larger than %d MiB", from, httpMost>>20)
	case !utf8.Valid(text):
		return response{}, fmt.Errorf("%s: the answer is no text in UTF-8", from)
	}
	answer := response{body: string(text), headers: map[string]string{}}
	for name, values := range resp.Header {
		answer.headers[name] = strings.Join(values, ", ")
	}
	return answer, nil
}

// staySecure refuses to be led from https to http, where anybody on the way
// could answer.
func staySecure(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("it redirects more than ten times")
	}
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("it redirects from https to http, at %s", req.URL.Host)
	}
	return nil
}

// explained is why there is no answer.
func explained(from string, limit time.Duration, err error) (response, error) {
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return response{hint: "what it would give can be a variable: --var"}, fmt.Errorf("%s: no answer within %s", from, limit)
	}
	return response{hint: "what it would give can be a variable: --var"}, fmt.Errorf("%s: %w", from, bare(err))
}

// bare is an error without the address that net/http writes before it.
func bare(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
