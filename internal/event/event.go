// Package event is how the rooms tell what they do. They emit events;
// renderers in cmd print them, and the ledger keeps them. An event never
// holds a secret: whoever emits it has left those out.
package event

import "time"

// Kind says what an event is about.
type Kind string

const (
	Started   Kind = "started"   // work on an item began
	Progress  Kind = "progress"  // a line of what is going on
	Output    Kind = "output"    // a line that a script or command printed
	Waiting   Kind = "waiting"   // a wait goes on; Message says for what and what was last seen
	Created   Kind = "created"   // something was made in the cloud; Fields hold id
	Changed   Kind = "changed"   // something was changed in the cloud
	Removed   Kind = "removed"   // something was removed from the cloud
	Succeeded Kind = "succeeded" // work on an item ended well
	Failed    Kind = "failed"    // work on an item failed
	Skipped   Kind = "skipped"   // work on an item was not begun
	Warning   Kind = "warning"   // something the user should know
)

// Event is one thing that happened. Time is set by the sink that first gets
// it when it is zero. Stage is the pipeline's stage or the command ("bake");
// Item is the image ("web") or address ("instance.web[0]") within it.
type Event struct {
	Time    time.Time         `json:"time"`
	Stage   string            `json:"stage,omitempty"`
	Item    string            `json:"item,omitempty"`
	Kind    Kind              `json:"kind"`
	Message string            `json:"message,omitempty"`
	Fields  map[string]string `json:"fields,omitempty"`
}

// Sink takes events. It is called from many goroutines at once.
type Sink interface {
	Emit(Event)
}

// Func is a function as a Sink.
type Func func(Event)

// Emit calls the function.
func (f Func) Emit(e Event) { f(e) }

// Discard drops every event.
var Discard Sink = Func(func(Event) {})

// Tee gives each event to every sink, in order.
func Tee(sinks ...Sink) Sink {
	return Func(func(e Event) {
		for _, s := range sinks {
			s.Emit(e)
		}
	})
}

// Scope fills in Stage and Item where an event names none.
func Scope(sink Sink, stage, item string) Sink {
	return Func(func(e Event) {
		if e.Stage == "" {
			e.Stage = stage
		}
		if e.Item == "" {
			e.Item = item
		}
		if e.Time.IsZero() {
			e.Time = time.Now()
		}
		sink.Emit(e)
	})
}
