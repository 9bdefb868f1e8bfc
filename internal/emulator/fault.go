package emulator

import (
	"net/http"
	"sync"
)

// FaultKind is what a fault does to a call.
type FaultKind string

const (
	// Error answers with Fault.Code; nothing is done.
	Error FaultKind = "error"
	// LostAnswer does the work, then breaks the connection.
	LostAnswer FaultKind = "lost answer"
	// Unavailable answers that the service is not available; nothing is done.
	Unavailable FaultKind = "unavailable"
	// Throttle answers that there were too many requests; nothing is done.
	Throttle FaultKind = "throttle"
	// Die does nothing, calls Options.OnDie, and lets this and every later
	// call fail as if nothing listened, until ClearFaults.
	Die FaultKind = "die"
	// DieAfter is Die after the work was done.
	DieAfter FaultKind = "die after"
)

// Fault is something that goes wrong with a call. Service and Action say with
// which calls, all where empty; Nth with which of them, counted from 1 since
// Inject; Times with how many in a row from there: 1 when zero, all when
// negative. Code is the code of kind Error, InternalError when empty.
type Fault struct {
	Service, Action string
	Nth             int
	Kind            FaultKind
	Code            string
	Times           int
}

// Inject adds a fault. Of several that meet one call the first added wins.
func (c *Cloud) Inject(f Fault) {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	f.Nth, f.Times = max(f.Nth, 1), cmpOr(f.Times, 1)
	c.faults.armed = append(c.faults.armed, &armedFault{Fault: f})
}

// ClearFaults removes every fault and lets calls through again after Die.
func (c *Cloud) ClearFaults() {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.armed, c.faults.died = nil, false
}

func cmpOr(a, b int) int {
	if a != 0 {
		return a
	}
	return b
}

type armedFault struct {
	Fault
	met int // how many calls it was asked about
}

type faults struct {
	mu    sync.Mutex
	armed []*armedFault
	died  bool
}

// next counts a call and returns the fault that it meets, without a kind if
// there is none.
func (f *faults) next(service, action string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found Fault
	for _, a := range f.armed {
		if a.Service != "" && a.Service != service || a.Action != "" && a.Action != action {
			continue
		}
		a.met++
		if a.met >= a.Nth && (a.Times < 0 || a.met < a.Nth+a.Times) && found.Kind == "" {
			found = a.Fault
		}
	}
	return found
}

func (f *faults) dead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.died
}

func (f *faults) die(tell func()) {
	f.mu.Lock()
	f.died = true
	f.mu.Unlock()
	if tell != nil {
		tell()
	}
}

// answer is the error that a call gets instead of its work.
func (f Fault) answer(req *request) error {
	switch f.Kind {
	case Throttle:
		return req.wire.throttled()
	case Unavailable:
		return req.wire.unavailable()
	}
	if f.Code == "" || f.Code == "InternalError" {
		return &apiError{Status: http.StatusInternalServerError, Code: "InternalError", Message: "An internal error has occurred"}
	}
	return refuse(f.Code, "%s was told to fail", req.action)
}

func (w *wire) throttled() error {
	switch w.protocol {
	case protocolEC2:
		return &apiError{Status: http.StatusServiceUnavailable, Code: "RequestLimitExceeded", Message: "Request limit exceeded."}
	case protocolQuery, protocolREST:
		return refuse("Throttling", "Rate exceeded")
	}
	return refuse("ThrottlingException", "Rate exceeded")
}

func (w *wire) unavailable() error {
	switch w.protocol {
	case protocolEC2:
		return &apiError{Status: http.StatusServiceUnavailable, Code: "Unavailable", Message: "The service is unavailable. Please try again shortly."}
	case protocolQuery, protocolREST:
		return &apiError{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "The service is unavailable. Please try again shortly."}
	}
	return &apiError{Status: http.StatusInternalServerError, Code: "InternalServerError", Message: "An error occurred on the server side."}
}
