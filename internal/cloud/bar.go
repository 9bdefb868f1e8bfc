package cloud

import "context"

// barKey is where a context keeps what may bar its calls.
type barKey struct{}

// Bar returns a context whose calls are asked about right before each is sent:
// where barred gives an error, the call fails with it and is not sent. Unlike the
// end of a context, contexts that are made to go on after that keep it. What bars
// the calls of ctx already goes on doing so.
func Bar(ctx context.Context, barred func() error) context.Context {
	return context.WithValue(ctx, barKey{}, func() error {
		if err := Barred(ctx); err != nil {
			return err
		}
		return barred()
	})
}

// Barred tells why no call is sent with a context any more, if that is so.
func Barred(ctx context.Context) error {
	if barred, ok := ctx.Value(barKey{}).(func() error); ok {
		return barred()
	}
	return nil
}
