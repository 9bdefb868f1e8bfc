package emulator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// maxBody bounds a request's body; EC2's largest parameter is 16 KB of user
// data.
const maxBody = 4 << 20

// answer is what goes back over the wire.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// request is a call as the front understands it.
type request struct {
	id      string
	service string
	action  string
	wire    *wire
	caller  caller
	form    url.Values // of the query protocols; of REST the query
	body    []byte     // of JSON and REST
	labels  url.Values // of REST: what stands in the path
}

// What a transport turns into a broken connection.
var (
	errLost    = errors.New("the connection broke before the answer")
	errRefused = errors.New("nothing listens")
)

// serve carries a call through the stations of the package comment. An error
// means that no answer goes back.
func (c *Cloud) serve(r *http.Request) (answer, error) {
	if c.closing.Load() || c.faults.dead() {
		return answer{}, errRefused
	}
	if err := c.delay(r.Context()); err != nil {
		return answer{}, err
	}
	req, err := c.understand(r)
	if err != nil {
		return req.finish(answer{}, err), nil
	}
	entry := c.calls.begin(c.clock.Now(), req)
	a, err := c.carryOut(r.Context(), req)
	if errors.Is(err, errClosed) {
		return answer{}, errRefused
	}
	c.calls.end(entry, err)
	if errors.Is(err, errLost) || errors.Is(err, errRefused) {
		return answer{}, err
	}
	return req.finish(a, err), nil
}

func (c *Cloud) delay(ctx context.Context) error {
	if c.options.Latency == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(c.options.Latency)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// carryOut lets faults and buckets have their say, and the action its own.
func (c *Cloud) carryOut(ctx context.Context, req *request) (answer, error) {
	fault := c.faults.next(req.service, req.action)
	switch fault.Kind {
	case Die:
		c.faults.die(c.options.OnDie)
		return answer{}, errRefused
	case Error, Unavailable, Throttle:
		return answer{}, fault.answer(req)
	}
	if c.options.Buckets {
		if err := c.buckets.take(req); err != nil {
			return answer{}, err
		}
	}
	a, err := c.perform(ctx, req)
	switch {
	case fault.Kind == LostAnswer && err == nil:
		return answer{}, errLost
	case fault.Kind == DieAfter:
		c.faults.die(c.options.OnDie)
		return answer{}, errRefused
	}
	return a, err
}

// perform runs the action as one transaction and encodes its answer.
func (c *Cloud) perform(ctx context.Context, req *request) (a answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &apiError{Status: http.StatusInternalServerError, Code: "InternalError",
				Message: fmt.Sprintf("An internal error has occurred: %v", p)}
		}
	}()
	op, ok := c.registry[req.service][req.action]
	if !ok {
		return answer{}, req.wire.unknownAction(req.action)
	}
	if err := c.permitted(req); err != nil {
		return answer{}, err
	}
	input := reflect.New(op.input)
	if err = req.decode(input.Elem()); err != nil {
		return answer{}, err
	}
	req.caller.DryRun = dryRun(input.Elem())
	err = c.settleFor(req.caller)
	if err != nil {
		return answer{}, err
	}
	err = c.store.transact(func() error {
		output, err := op.call(withCaller(ctx, req.caller), input.Interface())
		if err != nil {
			return err
		}
		if req.caller.DryRun {
			return &apiError{Status: http.StatusPreconditionFailed, Code: "DryRunOperation",
				Message: "Request would have succeeded, but DryRun flag is set."}
		}
		a, err = req.encode(output)
		return err
	})
	return a, err
}

// settleFor brings what a caller can see up to date: its own world, what
// accounts share in its region, and what its account has in all regions.
func (c *Cloud) settleFor(who caller) error {
	return c.store.transact(func() error {
		c.settle(who.world())
		c.settle(world{Region: who.Region})
		c.settle(world{Account: who.Account})
		return nil
	})
}

func dryRun(input reflect.Value) bool {
	f := input.FieldByName("DryRun")
	return f.IsValid() && f.Kind() == reflect.Pointer && !f.IsNil() && f.Elem().Kind() == reflect.Bool && f.Elem().Bool()
}

func (r *request) decode(input reflect.Value) error {
	switch r.wire.protocol {
	case protocolJSON:
		return r.wire.decodeJSON(r.body, input)
	case protocolREST:
		return r.wire.decodeREST(r, input)
	}
	return r.wire.decodeForm(r.form, input)
}

func (r *request) encode(output any) (answer, error) {
	a := answer{status: http.StatusOK, header: http.Header{}}
	if r.wire.protocol == protocolREST {
		a.status = r.wire.statusOf(r.action)
		r.wire.encodeHeaders(a.header, output)
	}
	if r.wire.protocol == protocolJSON {
		a.header.Set("Content-Type", "application/x-amz-json-1.1")
		body, err := r.wire.encodeJSON(output)
		a.body = body
		return a, err
	}
	a.header.Set("Content-Type", "text/xml;charset=UTF-8")
	a.body = r.wire.encodeXML(r.action, r.id, output)
	return a, nil
}

// finish gives a call its answer, an error's if there is one.
func (r *request) finish(a answer, err error) answer {
	if err != nil {
		var e *apiError
		if !errors.As(err, &e) {
			e = &apiError{Status: http.StatusInternalServerError, Code: "InternalError", Message: err.Error()}
		}
		a = encodeError(r.wire.protocol, e, r.id)
	}
	a.header.Set("X-Amzn-Requestid", r.id)
	a.header.Set("Server", "goldline")
	return a
}

// understand finds out what is asked, by whom and where. The request that it
// returns is always good enough to answer an error with.
func (c *Cloud) understand(r *http.Request) (*request, error) {
	req := &request{id: requestID(), wire: c.wires["ec2"]}
	target := r.Header.Get("X-Amz-Target")
	if target != "" {
		req.wire = c.wires["ssm"]
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return req, refuse("IncompleteBody", "The request's body could not be read")
	}
	if len(body) > maxBody {
		return req, &apiError{Status: http.StatusRequestEntityTooLarge, Code: "RequestEntityTooLarge", Message: "The request is too large"}
	}
	scope, err := credentialScope(r)
	if err != nil {
		return req, err
	}
	w, ok := c.wires[scope.service]
	if !ok {
		return req, refuse("UnknownService", "The local cloud has no service %q: it has %v", scope.service, sortedKeys(c.wires))
	}
	req.service, req.wire, req.body = scope.service, w, body
	if req.caller, err = c.identify(req, scope, r); err != nil {
		return req, err
	}
	if w.protocol == protocolJSON {
		_, req.action, _ = strings.Cut(target, ".")
		return req, nil
	}
	req.form = r.URL.Query()
	if w.protocol == protocolREST {
		req.action, req.labels, err = w.route(r.Method, r.URL)
		return req, err
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return req, refuse(w.malformed(), "The request's body is no form")
		}
		for key, values := range form {
			req.form[key] = append(req.form[key], values...)
		}
	}
	req.action = req.form.Get("Action")
	if req.action == "" {
		return req, refuse("MissingAction", "The request must contain the parameter Action")
	}
	return req, nil
}

func (w *wire) malformed() string {
	if w.protocol == protocolEC2 {
		return "MalformedQueryString"
	}
	return "ValidationError"
}

// scope is the credential scope of a request's signature.
type scope struct{ key, region, service string }

// credentialScope reads the scope of a signature of version 4, from the header
// or from a presigned URL. The signature itself is not verified: the local
// cloud has no secrets to verify it with.
func credentialScope(r *http.Request) (scope, error) {
	credential := r.URL.Query().Get("X-Amz-Credential")
	if header := r.Header.Get("Authorization"); header != "" {
		_, rest, ok := strings.Cut(header, "Credential=")
		if !ok || !strings.HasPrefix(header, "AWS4-") {
			return scope{}, &apiError{Status: http.StatusUnauthorized, Code: "AuthFailure", Message: "The Authorization header is no signature of version 4"}
		}
		credential, _, _ = strings.Cut(rest, ",")
	}
	if credential == "" {
		return scope{}, &apiError{Status: http.StatusForbidden, Code: "MissingAuthenticationToken",
			Message: "The request is not signed: the local cloud takes any credentials, but needs some"}
	}
	parts := strings.Split(strings.TrimSpace(credential), "/")
	if len(parts) != 5 || parts[4] != "aws4_request" {
		return scope{}, &apiError{Status: http.StatusUnauthorized, Code: "AuthFailure", Message: "The credential scope is malformed"}
	}
	if parts[3] != "sts" && !regionName.MatchString(parts[2]) {
		return scope{}, refuse("AuthFailure", "%q is no region", parts[2])
	}
	return scope{key: parts[0], region: parts[2], service: parts[3]}, nil
}

var regionName = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)

func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
