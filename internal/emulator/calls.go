package emulator

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Call is one call that reached the local cloud, in the order of arrival.
type Call struct {
	N       int // from 1 since Open or ResetCalls
	Time    time.Time
	Service string
	Action  string
	Account string
	Region  string
	// Code is the error code of the answer, empty for success; LostAnswer and
	// ConnectionRefused where no answer went back.
	Code string
	// Params are the parameters as they stood in the request; of a JSON
	// request its members, values that are not text as JSON; of a REST request
	// also the parts of its path, and its body as Body. Values of
	// SecureString parameters are left out.
	Params url.Values
}

// maxCalls bounds the log of a cloud that serves for days: the oldest half is
// dropped beyond it.
const maxCalls = 50_000

type calls struct {
	mu  sync.Mutex
	n   int
	log []*Call
}

// Calls lists the calls so far.
func (c *Cloud) Calls() []Call {
	c.calls.mu.Lock()
	defer c.calls.mu.Unlock()
	list := make([]Call, len(c.calls.log))
	for i, call := range c.calls.log {
		list[i] = *call
	}
	return list
}

// ResetCalls empties the log and counts from 1 again.
func (c *Cloud) ResetCalls() {
	c.calls.mu.Lock()
	defer c.calls.mu.Unlock()
	c.calls.n, c.calls.log = 0, nil
}

func (l *calls) begin(now time.Time, req *request) *Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	call := &Call{
		N: l.n, Time: now, Service: req.service, Action: req.action,
		Account: req.caller.Account, Region: req.caller.Region, Params: req.params(),
	}
	l.log = append(l.log, call)
	if len(l.log) > maxCalls {
		l.log = slices.Clone(l.log[maxCalls/2:])
	}
	return call
}

func (l *calls) end(call *Call, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var e *apiError
	switch {
	case errors.As(err, &e):
		call.Code = e.Code
	case errors.Is(err, errLost):
		call.Code = "LostAnswer"
	case errors.Is(err, errRefused):
		call.Code = "ConnectionRefused"
	case err != nil:
		call.Code = "InternalError"
	}
}

func (r *request) params() url.Values {
	if r.wire.protocol != protocolJSON {
		params := url.Values{}
		for label, values := range r.labels {
			params[label] = values
		}
		if r.wire.protocol == protocolREST && len(r.body) > 0 {
			params.Set("Body", string(r.body))
		}
		for key, values := range r.form {
			if !notParameters[key] {
				params[key] = values
			}
		}
		return params
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(r.body, &members) != nil {
		return nil
	}
	params := url.Values{}
	for name, value := range members {
		var text string
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		params.Set(name, text)
	}
	if params.Get("Type") == "SecureString" {
		params.Del("Value")
	}
	return params
}
