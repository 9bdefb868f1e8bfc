package bake

import "context"

// fingerprintStep takes in every input of the bake.
type fingerprintStep struct{}

func (fingerprintStep) name() string                         { return "fingerprint" }
func (fingerprintStep) run(_ context.Context, b *bake) error { return b.takeInputs() }
func (fingerprintStep) undo(context.Context, *bake) error    { return nil }
