package bake

import "context"

// fingerprintStep takes in every input of the bake.
type fingerprintStep struct{}

func (fingerprintStep) name() string                           { return "fingerprint" }
func (fingerprintStep) run(ctx context.Context, b *bake) error { return b.takeInputs(ctx) }
func (fingerprintStep) undo(context.Context, *bake) error      { return nil }
